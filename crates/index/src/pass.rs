//! One pass over the rows for a few queries: parallel over rows, with the hits and ties of a sequential search.
//!
//! ```text
//! for each round of 262,144 rows
//!     run over consecutive blocks, each on any thread:      its own k best, begun with those before the round;
//!                                                           every row that they took, in order
//!     for each run, in order: offer the rows it took        to the k best
//! ```
//! A row that a sequential search would take is better than the k-th of all rows before it, so better than the k-th of those of
//! them that its run has seen: the run takes it too. Offering what the runs took, in order, therefore repeats the sequential search move
//! by move, wherever the runs were cut. A run takes about `k ln(rows / k)` rows; where all are equal it takes all, hence rounds.

use std::ops::Range;

use rayon::prelude::*;

use crate::{Hit, TopK, top_k::GLANCE};

/// Rows of a task: about half a millisecond of floats.
const BLOCK: usize = 4096;

/// Rows scored before they are offered: 16 KiB of scores for one query.
const SCORED: usize = 512;

/// Rows of a round.
const ROUND: usize = 64 * BLOCK;

/// Queries that share a pass.
const QUERIES: usize = 16;

/// Rows and queries, ready to be scored.
pub(crate) trait Score: Sync {
    fn queries(&self) -> usize;
    fn rows(&self) -> usize;
    /// `scores[q][r]` of some queries and some rows; more is better. `totals` is as long as `scores`, for integers.
    fn score(&self, queries: Range<usize>, rows: Range<usize>, scores: &mut [f32], totals: &mut [i32]);
}

/// The `k` best rows of every query, best first.
pub(crate) fn best(scored: &impl Score, k: usize) -> Vec<Vec<Hit>> {
    assert!(scored.rows() <= u32::MAX as usize, "row numbers fit 32 bits");
    let groups = (0..scored.queries()).step_by(QUERIES).map(|first| first..(first + QUERIES).min(scored.queries()));
    groups.flat_map(|queries| pass(scored, queries, k)).map(TopK::into_sorted).collect()
}

fn pass(scored: &impl Score, queries: Range<usize>, k: usize) -> Vec<TopK> {
    let mut best = vec![TopK::new(k); queries.len()];
    for start in (0..scored.rows()).step_by(ROUND) {
        let end = (start + ROUND).min(scored.rows());
        let blocks = (0..(end - start).div_ceil(BLOCK)).into_par_iter();
        let blocks = blocks.map(|block| start + block * BLOCK..(start + (block + 1) * BLOCK).min(end));
        let begin = || Run::new(&best);
        let runs: Vec<Run> = blocks.fold(begin, |run, rows| run.add(scored, queries.clone(), rows)).collect();
        for run in runs {
            for (best, taken) in best.iter_mut().zip(&run.taken) {
                taken.iter().for_each(|&(score, row)| _ = best.push(score, row, row));
            }
        }
    }
    best
}

/// Consecutive blocks on one thread.
struct Run {
    best: Vec<TopK>,
    /// Scores and numbers of the rows that each query's best took.
    taken: Vec<Vec<(f32, u32)>>,
    scores: Vec<f32>,
    totals: Vec<i32>,
}

impl Run {
    fn new(best: &[TopK]) -> Self {
        let len = best.len() * SCORED;
        Self { best: best.to_vec(), taken: vec![Vec::new(); best.len()], scores: vec![0.0; len], totals: vec![0; len] }
    }

    fn add(mut self, scored: &impl Score, queries: Range<usize>, rows: Range<usize>) -> Self {
        for first in rows.clone().step_by(SCORED) {
            let some = first..(first + SCORED).min(rows.end);
            let len = queries.len() * some.len();
            scored.score(queries.clone(), some.clone(), &mut self.scores[..len], &mut self.totals[..len]);
            let scores = self.scores[..len].chunks_exact(some.len());
            for ((best, taken), scores) in self.best.iter_mut().zip(&mut self.taken).zip(scores) {
                offer(best, taken, scores, first);
            }
        }
        self
    }
}

/// Offers the rows from `first` on; most are passed over at a glance.
fn offer(best: &mut TopK, taken: &mut Vec<(f32, u32)>, scores: &[f32], first: usize) {
    for (glance, some) in scores.chunks(GLANCE).enumerate() {
        if best.refuses(some) {
            continue;
        }
        for (row, &score) in (first + glance * GLANCE..).zip(some) {
            if best.push(score, row as u32, row as u32) {
                taken.push((score, row as u32));
            }
        }
    }
}
