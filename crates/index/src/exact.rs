//! Candidates scored again, with more of what is known of them.

use matryo_kernels::{Level, MatRef, gather_f32};

use crate::{Hit, Metric, TopK};

/// Lengths below this count as this, as in `torch.nn.functional.normalize`.
const SHORTEST: f32 = 1e-12;

/// The `k` best of `candidates`, ascending row numbers, by their floats: what a search among them alone finds. `query` is as the metric
/// wants it. Dot products are to the bit those of a scan.
pub(crate) fn best_of(
    level: Level,
    metric: Metric,
    query: &[f32],
    rows: MatRef<'_>,
    candidates: &[u32],
    k: usize,
) -> Vec<Hit> {
    let (mut products, mut squares) = (vec![0.0; candidates.len()], vec![0.0; candidates.len()]);
    gather_f32(level, &mut products, &mut squares, query, rows, candidates);
    if metric == Metric::Cosine {
        products
            .iter_mut()
            .zip(squares)
            .for_each(|(product, square)| *product /= square.sqrt().max(SHORTEST));
    }
    best_scored(candidates, &products, k)
}

/// The `k` best of `candidates`, ascending row numbers with a score each.
pub(crate) fn best_scored(candidates: &[u32], scores: &[f32], k: usize) -> Vec<Hit> {
    let mut best = TopK::new(k);
    candidates
        .iter()
        .zip(scores)
        .for_each(|(&row, &score)| _ = best.push(score, row, row));
    best.into_sorted()
}

/// Rows of hits, ascending.
pub(crate) fn rows_of(hits: Vec<Hit>) -> Vec<u32> {
    let mut rows: Vec<_> = hits.into_iter().map(|hit| hit.row as u32).collect();
    rows.sort_unstable();
    rows
}
