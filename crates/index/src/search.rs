//! Blocked search of all queries in a corpus that may come in chunks.

use matryo_kernels::{Mat, MatRef};
use rayon::prelude::*;

use crate::{
    Hit, TopK,
    top_k::{GLANCE, are_out},
};

/// Queries and corpus rows scored at a time: 4 MB of scores a thread. Fixed, so that no score depends on the number of threads.
const QUERIES_PER_BLOCK: usize = 256;
const ROWS_PER_BLOCK: usize = 4096;

/// Which of several rows with one score is kept when not all can be: the one with the largest rank.
#[derive(Clone, Copy, Debug)]
pub enum Ties<'a> {
    /// A row's rank is its number.
    ByRow,
    /// One rank a corpus row, such as its place in the order of document ids.
    ByRank(&'a [u32]),
}

/// A running search: the best rows so far of every query.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    best: Vec<TopK>,
    ties: Ties<'a>,
}

impl<'a> Search<'a> {
    /// A search for `k` rows for each of `queries` queries.
    pub fn new(queries: usize, k: usize, ties: Ties<'a>) -> Self {
        Self {
            best: vec![TopK::new(k); queries],
            ties,
        }
    }

    /// Scores every query `[queries, dim]` against `chunk` `[rows, dim]`, the corpus from row `first_row` on. `score` gives
    /// `[a, b]` scores of `a` queries and `b` rows, more is better. Chunks must come in the order of the corpus; where they are cut
    /// makes no difference.
    pub fn add<F>(&mut self, queries: MatRef<'_>, chunk: MatRef<'_>, first_row: usize, score: F)
    where
        F: Fn(MatRef<'_>, MatRef<'_>) -> Mat + Sync,
    {
        assert_eq!(queries.rows(), self.best.len(), "one row a query");
        assert!(
            first_row + chunk.rows() <= u32::MAX as usize,
            "row numbers fit 32 bits"
        );
        let ties = self.ties;
        self.best
            .par_chunks_mut(QUERIES_PER_BLOCK)
            .enumerate()
            .for_each(|(block, best)| {
                let start = block * QUERIES_PER_BLOCK;
                let queries = queries.row_range(start, start + best.len());
                for row in (0..chunk.rows()).step_by(ROWS_PER_BLOCK) {
                    let rows = chunk.row_range(row, (row + ROWS_PER_BLOCK).min(chunk.rows()));
                    offer(best, &score(queries, rows), first_row + row, ties);
                }
            });
    }

    /// The best rows of each query, best first.
    pub fn finish(self) -> Vec<Vec<Hit>> {
        self.best.into_par_iter().map(TopK::into_sorted).collect()
    }
}

/// Offers `scores` `[queries, rows]` of the corpus rows from `first_row` on.
fn offer(best: &mut [TopK], scores: &Mat, first_row: usize, ties: Ties<'_>) {
    assert_eq!(scores.rows(), best.len(), "one row of scores a query");
    for (i, best) in best.iter_mut().enumerate() {
        for (glance, some) in scores.row(i).chunks(GLANCE).enumerate() {
            if are_out(some, best.least()) {
                continue;
            }
            for (row, &score) in (first_row + glance * GLANCE..).zip(some) {
                let rank = match ties {
                    Ties::ByRow => row as u32,
                    Ties::ByRank(ranks) => ranks[row],
                };
                best.push(score, rank, row as u32);
            }
        }
    }
}

/// The `k` best rows of `corpus` `[rows, dim]` for each row of `queries` `[queries, dim]`, best first; `score` as in [`Search::add`].
///
/// Semantics of `semantic_search` in sentence_transformers/util.py, save that rows are offered in the order of the corpus: upstream
/// takes them from `torch.topk`, which leaves the order of equal scores open.
pub fn semantic_search<F>(
    queries: MatRef<'_>,
    corpus: MatRef<'_>,
    k: usize,
    score: F,
) -> Vec<Vec<Hit>>
where
    F: Fn(MatRef<'_>, MatRef<'_>) -> Mat + Sync,
{
    let mut search = Search::new(queries.rows(), k, Ties::ByRow);
    search.add(queries, corpus, 0, score);
    search.finish()
}
