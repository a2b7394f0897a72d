//! Encoding once, and searching at every dimension with every score function.

use matryo_index::{Hit, Mat, Search, Ties};
use matryo_model::{Embed, Role, SimilarityFn, similarity};

use super::InformationRetrievalEvaluator;
use crate::EvalError;

/// What one score function found: the best documents of each query.
pub(super) struct Found {
    pub(super) function: SimilarityFn,
    pub(super) hits: Vec<Vec<Hit>>,
}

/// A running search at one dimension with one score function.
struct Cell<'a> {
    dim: usize,
    function: SimilarityFn,
    search: Search<'a>,
}

impl InformationRetrievalEvaluator {
    /// One entry a dimension, in it one a score function.
    pub(super) fn retrieve(&self, model: &dyn Embed) -> Result<Vec<Vec<Found>>, EvalError> {
        let dims = self
            .options
            .dims
            .clone()
            .unwrap_or_else(|| vec![model.dim()]);
        let texts: Vec<_> = self
            .queries
            .iter()
            .map(|query| query.text.as_str())
            .collect();
        let queries = model.embed(&texts, Role::Query)?;
        let mut cells: Vec<Vec<_>> = dims.iter().map(|&dim| self.cells(dim)).collect();
        for start in (0..self.corpus.len()).step_by(self.options.corpus_chunk_size) {
            let documents = self.embed_documents(model, start)?;
            for cell in cells.iter_mut().flatten() {
                cell.add(&queries, &documents, start);
            }
        }
        let finish = |cell: Cell<'_>| Found {
            function: cell.function,
            hits: cell.search.finish(),
        };
        Ok(cells
            .into_iter()
            .map(|cells| cells.into_iter().map(finish).collect())
            .collect())
    }

    fn cells(&self, dim: usize) -> Vec<Cell<'_>> {
        let search = Search::new(
            self.queries.len(),
            self.options.max_k(),
            Ties::ByRank(&self.ranks),
        );
        self.options
            .score_functions
            .iter()
            .map(|&function| Cell {
                dim,
                function,
                search: search.clone(),
            })
            .collect()
    }

    /// The chunk of the corpus that starts at `start`.
    fn embed_documents(&self, model: &dyn Embed, start: usize) -> Result<Mat, EvalError> {
        let chunk = self.corpus[start..]
            .iter()
            .take(self.options.corpus_chunk_size);
        let texts: Vec<_> = chunk.map(|(_, text)| text.as_str()).collect();
        Ok(model.embed(&texts, Role::Document)?)
    }
}

impl Cell<'_> {
    fn add(&mut self, queries: &Mat, documents: &Mat, first_row: usize) {
        let (queries, documents) = (
            queries.view().first_cols(self.dim),
            documents.view().first_cols(self.dim),
        );
        self.search.add(queries, documents, first_row, |a, b| {
            similarity(self.function, a, b)
        });
    }
}
