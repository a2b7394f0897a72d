//! Token rows to one row a text, with the semantics of sentence-transformers' Pooling on unpadded texts.
//!
//! Every mode but max is a weighted sum of rows; the weights are those of [`weights`].

use rayon::prelude::*;

use crate::{MatMut, MatRef, Spans};

/// How token rows become one row a text. Rows of a text before `skip` (a prompt) may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolMode {
    /// First token that counts.
    Cls,
    /// Largest value of each column.
    Max,
    /// Mean over the tokens.
    Mean,
    /// Sum over the tokens divided by the square root of their number.
    MeanSqrtLen,
    /// Mean weighted by position, 1 for the first token of the text.
    WeightedMean,
    /// Last token.
    LastToken,
}

/// The weight of each of a text's `len` rows, of which the first `skip` do not count.
fn weights(len: usize, skip: usize, mode: PoolMode) -> Vec<f32> {
    let mut weights = vec![0.0; len];
    let counted = skip.min(len)..len;
    let count = counted.len() as f32;
    match mode {
        PoolMode::Cls => weights[if skip < len { skip } else { 0 }] = 1.0,
        PoolMode::LastToken => weights[len - 1] = 1.0,
        PoolMode::Mean => weights[counted].fill(1.0 / count.max(1e-9)),
        PoolMode::MeanSqrtLen => weights[counted].fill(1.0 / count.max(1e-9).sqrt()),
        PoolMode::WeightedMean => {
            let sum: f32 = counted.clone().map(|i| (i + 1) as f32).sum();
            counted.for_each(|i| weights[i] = (i + 1) as f32 / sum.max(1e-9));
        }
        PoolMode::Max => unreachable!("max has no weights"),
    }
    weights
}

fn add_scaled(y: &mut [f32], x: &[f32], weight: f32) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += weight * x);
}

/// The row that holds the largest value of column `c`, the first of equals; `None` if every row is skipped.
fn largest_row(x: MatRef<'_>, rows: std::ops::Range<usize>, c: usize) -> Option<usize> {
    rows.reduce(|best, r| if x.row(r)[c] > x.row(best)[c] { r } else { best })
}

/// `y` `[n, d]` from `x` `[t, d]`; `skip` has one entry a text.
pub fn pool(mut y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode) {
    spans.check(x.rows());
    assert_eq!((y.rows(), y.cols(), skip.len()), (spans.texts(), x.cols(), spans.texts()), "pool");
    let cols = x.cols().max(1);
    y.data().par_chunks_mut(cols).enumerate().for_each(|(i, y)| {
        let rows = spans.rows(i);
        if mode == PoolMode::Max {
            return pool_max(y, x, rows.start + (skip[i] as usize).min(rows.len())..rows.end);
        }
        y.fill(0.0);
        for (r, weight) in rows.clone().zip(weights(rows.len(), skip[i] as usize, mode)) {
            add_scaled(y, x.row(r), weight);
        }
    });
}

/// With every row skipped, upstream takes the maximum over masked values, minus infinity.
fn pool_max(y: &mut [f32], x: MatRef<'_>, rows: std::ops::Range<usize>) {
    y.fill(f32::NEG_INFINITY);
    for r in rows {
        y.iter_mut().zip(x.row(r)).for_each(|(y, x)| *y = y.max(*x));
    }
}

/// Backward of [`pool`]: adds into `dx` `[t, d]`; `x` is the forward's input.
pub fn pool_bwd(mut dx: MatMut<'_>, dy: MatRef<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode) {
    spans.check(x.rows());
    assert_eq!((dx.rows(), dx.cols(), dy.rows(), dy.cols()), (x.rows(), x.cols(), skip.len(), x.cols()), "pool_bwd");
    for (i, &skip) in skip.iter().enumerate() {
        let rows = spans.rows(i);
        if mode == PoolMode::Max {
            let counted = rows.start + (skip as usize).min(rows.len())..rows.end;
            for c in 0..x.cols() {
                if let Some(r) = largest_row(x, counted.clone(), c) {
                    dx.row(r)[c] += dy.row(i)[c];
                }
            }
            continue;
        }
        for (r, weight) in rows.clone().zip(weights(rows.len(), skip as usize, mode)) {
            add_scaled(dx.row(r), dy.row(i), weight);
        }
    }
}
