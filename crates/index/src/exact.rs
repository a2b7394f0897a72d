//! Candidates scored again, with more of what is known of them.

use matryo_kernels::{Level, MatMut, MatRef, scan_f32};

use crate::{Hit, Metric, TopK};

/// Lengths below this count as this, as in `torch.nn.functional.normalize`.
const SHORTEST: f32 = 1e-12;

/// The `k` best of `candidates` by `score`, best first: what a search among them alone finds, in whichever order they are given.
pub(crate) fn best_of(candidates: &[Hit], k: usize, mut score: impl FnMut(usize) -> f32) -> Vec<Hit> {
    let mut rows: Vec<_> = candidates.iter().map(|hit| hit.row).collect();
    rows.sort_unstable();
    let mut best = TopK::new(k);
    rows.into_iter().for_each(|row| _ = best.push(score(row), row as u32, row as u32));
    best.into_sorted()
}

/// Score of a row of floats with a query that the metric has prepared.
pub(crate) fn score(level: Level, metric: Metric, query: &[f32], row: &[f32]) -> f32 {
    let product = dot(level, query, row);
    match metric {
        Metric::Dot => product,
        Metric::Cosine => product / dot(level, row, row).sqrt().max(SHORTEST),
    }
}

/// To the bit that of a scan.
pub(crate) fn dot(level: Level, a: &[f32], b: &[f32]) -> f32 {
    let mut product = [0.0];
    scan_f32(level, MatMut::new(1, 1, &mut product), MatRef::new(1, a.len(), a), MatRef::new(1, b.len(), b));
    product[0]
}
