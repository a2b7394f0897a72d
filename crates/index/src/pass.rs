//! One pass over the rows for a few queries: parallel over rows, with what a sequential search finds.
//!
//! ```text
//! for each round of 262,144 rows
//!     runs over consecutive blocks, each on any thread:     take the rows that reach a threshold, and raise it:
//!                                                           to the k-th best of what was seen before the round and in the run
//!     for each run, in order: offer the rows it took        to the k best
//! ```
//! A threshold is never above the k-th best of all rows before, so a row that a sequential search would take is taken by its run.
//! Offering what the runs took, in order, therefore repeats the sequential search move by move, wherever the runs were cut.
//! A run takes about `k ln(rows / k)` rows; where all are equal it takes all, hence rounds.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    Hit, TopK,
    candidates::Candidates,
    top_k::{GLANCE, are_out, is_out},
};

/// Rows of a task: about half a millisecond of floats.
const BLOCK: usize = 4096;

/// Rows scored before they are looked at: 2 KiB of scores for one query.
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
    fn score(
        &self,
        queries: Range<usize>,
        rows: Range<usize>,
        scores: &mut [f32],
        totals: &mut [i32],
    );
}

/// What is kept of the rows that are offered, in order.
pub(crate) trait Keep: Clone + Send + Sync {
    /// What a score must reach to be kept; minus infinity where any may be.
    fn least(&self) -> f32;
    fn offer(&mut self, score: f32, row: u32);
}

impl Keep for TopK {
    fn least(&self) -> f32 {
        self.least()
    }

    fn offer(&mut self, score: f32, row: u32) {
        self.push(score, row, row);
    }
}

/// The `k` best rows of every query, best first.
pub(crate) fn best(scored: &impl Score, k: usize) -> Vec<Vec<Hit>> {
    all(scored, k, TopK::new(k))
        .into_iter()
        .map(TopK::into_sorted)
        .collect()
}

/// The same rows in their own order, for those who score them again: many are found sooner so.
pub(crate) fn candidates(scored: &impl Score, k: usize) -> Vec<Vec<u32>> {
    all(scored, k, Candidates::new(k))
        .into_iter()
        .map(Candidates::into_rows)
        .collect()
}

/// What `nothing` becomes for every query.
fn all<K: Keep>(scored: &impl Score, k: usize, nothing: K) -> Vec<K> {
    assert!(
        scored.rows() <= u32::MAX as usize,
        "row numbers fit 32 bits"
    );
    if k == 0 {
        return vec![nothing; scored.queries()];
    }
    let groups = (0..scored.queries())
        .step_by(QUERIES)
        .map(|first| first..(first + QUERIES).min(scored.queries()));
    groups
        .flat_map(|queries| pass(scored, queries, k, &nothing))
        .collect()
}

fn pass<K: Keep>(scored: &impl Score, queries: Range<usize>, k: usize, nothing: &K) -> Vec<K> {
    let mut kept = vec![nothing.clone(); queries.len()];
    for start in (0..scored.rows()).step_by(ROUND) {
        let end = (start + ROUND).min(scored.rows());
        let blocks = (0..(end - start).div_ceil(BLOCK)).into_par_iter();
        let blocks =
            blocks.map(|block| start + block * BLOCK..(start + (block + 1) * BLOCK).min(end));
        let begin = || Run::new(&kept, k);
        let runs: Vec<Run> = blocks
            .fold(begin, |run, rows| run.add(scored, queries.clone(), rows))
            .collect();
        for run in runs {
            for (kept, taken) in kept.iter_mut().zip(run.taken) {
                taken
                    .rows
                    .into_iter()
                    .for_each(|(score, row)| kept.offer(score, row));
            }
        }
    }
    kept
}

/// Consecutive blocks on one thread.
struct Run {
    taken: Vec<Taken>,
    scores: Vec<f32>,
    totals: Vec<i32>,
}

/// What a run takes for one query.
struct Taken {
    rows: Vec<(f32, u32)>,
    best: Candidates,
    least: f32,
}

impl Run {
    fn new<K: Keep>(kept: &[K], k: usize) -> Self {
        let len = kept.len() * SCORED;
        let taken = |kept: &K| Taken {
            rows: Vec::new(),
            best: Candidates::new(k),
            least: kept.least(),
        };
        Self {
            taken: kept.iter().map(taken).collect(),
            scores: vec![0.0; len],
            totals: vec![0; len],
        }
    }

    fn add(mut self, scored: &impl Score, queries: Range<usize>, rows: Range<usize>) -> Self {
        for first in rows.clone().step_by(SCORED) {
            let some = first..(first + SCORED).min(rows.end);
            let len = queries.len() * some.len();
            scored.score(
                queries.clone(),
                some.clone(),
                &mut self.scores[..len],
                &mut self.totals[..len],
            );
            let scores = self.scores[..len].chunks_exact(some.len());
            self.taken
                .iter_mut()
                .zip(scores)
                .for_each(|(taken, scores)| taken.add(scores, first));
        }
        self
    }
}

impl Taken {
    /// The rows from `first` on; most are passed over at a glance.
    fn add(&mut self, scores: &[f32], first: usize) {
        for (glance, some) in scores.chunks(GLANCE).enumerate() {
            if are_out(some, self.least) {
                continue;
            }
            for (row, &score) in (first + glance * GLANCE..).zip(some) {
                if !is_out(score, self.least) {
                    self.rows.push((score, row as u32));
                    self.best.offer(score, row as u32);
                    self.least = self.least.max(self.best.least());
                }
            }
        }
    }
}
