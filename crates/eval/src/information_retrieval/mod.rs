//! Information retrieval: how well queries find their relevant documents in a corpus.

mod csv;
mod metric;
mod options;
mod predictions;
mod retrieve;

use std::collections::{BTreeSet, HashMap, HashSet};

use matryo_data::RetrievalData;
use matryo_index::Hit;
use matryo_model::{Embed, SimilarityFn};

use crate::{EvalError, Evaluator, Report};

pub use csv::write_csv;
pub use metric::Metric;
pub use options::{InformationRetrievalOptions, PrimaryMetric};
pub use predictions::write_predictions;
use retrieve::Found;

/// Semantics of sentence_transformers/evaluation/InformationRetrievalEvaluator.py 5.7: queries without relevant documents are
/// dropped, queries and documents are encoded in their roles, equal scores are ranked as `heapq` ranks (score, document id).
///
/// Several dimensions cost one encoding: embeddings are cut to the first `dim` values and compared as always. Memory holds the
/// embeddings of all queries and of one chunk of the corpus, and the best documents of each query.
pub struct InformationRetrievalEvaluator {
    queries: Vec<Query>,
    /// Ids and texts.
    corpus: Vec<(String, String)>,
    /// Place of each document in the order of the ids; decides ties.
    ranks: Vec<u32>,
    options: InformationRetrievalOptions,
}

/// A query that has relevant documents.
struct Query {
    id: String,
    text: String,
    /// Relevant rows of the corpus.
    rows: BTreeSet<usize>,
    /// Number of relevant documents, those that the corpus lacks included.
    relevant: usize,
}

/// What one dimension gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The averages.
    pub report: Report,
    /// What they come from, one entry a score function.
    pub rankings: Vec<Ranking>,
}

/// What one score function found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The score function.
    pub function: SimilarityFn,
    /// The best documents of each query, best first.
    pub hits: Vec<Vec<Hit>>,
    /// Every metric of every query, in the order of the report, for tests of significance.
    pub metrics: Vec<PerQuery>,
}

/// One metric of every query.
#[derive(Clone, Debug, PartialEq)]
pub struct PerQuery {
    /// The metric.
    pub metric: Metric,
    /// Over this many of the best documents.
    pub k: usize,
    /// One value a query, in the order of [`InformationRetrievalEvaluator::query_ids`].
    pub values: Vec<f64>,
}

impl InformationRetrievalEvaluator {
    /// Measures on `data`; fails on options or data that could give no result.
    pub fn new(
        data: RetrievalData,
        options: InformationRetrievalOptions,
    ) -> Result<Self, EvalError> {
        options.validate()?;
        let RetrievalData {
            queries,
            corpus,
            relevant,
            ..
        } = data;
        if corpus.is_empty() {
            return Err(EvalError::NoDocuments);
        }
        require_unique("query", &queries)?;
        require_unique("document", &corpus)?;
        let rows: HashMap<&str, usize> = corpus
            .iter()
            .enumerate()
            .map(|(row, (id, _))| (id.as_str(), row))
            .collect();
        let total = queries.len();
        let with_relevant = queries.into_iter().filter_map(|(id, text)| {
            let ids = relevant.get(&id).filter(|ids| !ids.is_empty())?;
            let rows = ids
                .iter()
                .filter_map(|id| rows.get(id.as_str()).copied())
                .collect();
            Some(Query {
                id,
                text,
                rows,
                relevant: ids.len(),
            })
        });
        let queries: Vec<_> = with_relevant.collect();
        if queries.is_empty() {
            return Err(EvalError::NoQueries { queries: total });
        }
        Ok(Self {
            queries,
            ranks: ranks(&corpus),
            corpus,
            options,
        })
    }

    /// Ids of the queries that count.
    pub fn query_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.queries.iter().map(|query| query.id.as_str())
    }

    /// Id of a document by its row, as [`Hit::row`] has it.
    pub fn document_id(&self, row: usize) -> &str {
        &self.corpus[row].0
    }

    /// Number of documents.
    pub fn documents(&self) -> usize {
        self.corpus.len()
    }

    /// Everything that is known of each dimension, in the order of `dims`.
    pub fn evaluate(&self, model: &dyn Embed) -> Result<Vec<Evaluation>, EvalError> {
        self.check(model.dim())?;
        let found = self.retrieve(model)?;
        let named = self.options.names().into_iter().zip(found);
        Ok(named
            .map(|(name, rankings)| self.evaluation(name, rankings))
            .collect())
    }

    fn evaluation(&self, name: String, found: Vec<Found>) -> Evaluation {
        let rankings: Vec<_> = found.into_iter().map(|found| self.ranking(found)).collect();
        let key = |r: &Ranking, m: &PerQuery| format!("{}_{}@{}", r.function, m.metric, m.k);
        let of_ranking = |r: &Ranking| {
            r.metrics
                .iter()
                .map(|m| (key(r, m), m.average()))
                .collect::<Vec<_>>()
        };
        let metrics = rankings.iter().flat_map(of_ranking).collect();
        let primary = self.options.primary_key(&rankings);
        Evaluation {
            report: Report {
                name,
                primary,
                metrics,
            },
            rankings,
        }
    }

    fn ranking(&self, Found { function, hits }: Found) -> Ranking {
        let is_relevant = |(query, hits): (&Query, &Vec<Hit>)| {
            hits.iter()
                .map(|hit| query.rows.contains(&hit.row))
                .collect::<Vec<_>>()
        };
        let relevance: Vec<_> = self.queries.iter().zip(&hits).map(is_relevant).collect();
        let of_query = |metric: Metric, k| {
            let pairs = self.queries.iter().zip(&relevance);
            pairs
                .map(|(query, found)| metric.of_query(found, query.relevant, k))
                .collect()
        };
        let columns = self.options.columns().into_iter();
        let metrics = columns
            .map(|(metric, k)| PerQuery {
                metric,
                k,
                values: of_query(metric, k),
            })
            .collect();
        Ranking {
            function,
            hits,
            metrics,
        }
    }
}

impl Evaluator for InformationRetrievalEvaluator {
    fn check(&self, dim: usize) -> Result<(), EvalError> {
        let too_large = self
            .options
            .dims
            .iter()
            .flatten()
            .copied()
            .find(|&d| d > dim);
        too_large.map_or(Ok(()), |d| {
            Err(EvalError::DimTooLarge {
                dim: d,
                model_dim: dim,
            })
        })
    }

    fn run(&self, model: &dyn Embed) -> Result<Vec<Report>, EvalError> {
        Ok(self
            .evaluate(model)?
            .into_iter()
            .map(|evaluation| evaluation.report)
            .collect())
    }
}

impl PerQuery {
    /// The average over the queries, as the report has it.
    pub fn average(&self) -> f64 {
        self.metric.average(&self.values)
    }
}

fn require_unique(kind: &'static str, entries: &[(String, String)]) -> Result<(), EvalError> {
    let mut seen = HashSet::new();
    match entries.iter().find(|(id, _)| !seen.insert(id)) {
        Some((id, _)) => Err(EvalError::DuplicateId {
            kind,
            id: id.clone(),
        }),
        None => Ok(()),
    }
}

/// Place of each document's id in ascending order; Rust orders strings as Python does, by code point.
fn ranks(corpus: &[(String, String)]) -> Vec<u32> {
    let mut rows: Vec<_> = (0..corpus.len()).collect();
    rows.sort_unstable_by_key(|&row| &corpus[row].0);
    let mut ranks = vec![0; rows.len()];
    for (rank, row) in (0..).zip(rows) {
        ranks[row] = rank;
    }
    ranks
}
