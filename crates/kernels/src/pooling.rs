//! Token rows to one row a text, with the semantics of sentence_transformers' `Pooling` on padded batches.
//!
//! All modes but the maximum are weighted sums; only their weights differ. A text of `n` tokens of which the first `skip`
//! do not count (a masked prompt) has these weights at token `i`:
//!
//! | mode | weight of a counted token | every token skipped |
//! |---|---|---|
//! | cls | 1 for the first counted | 1 for token 0: `argmax` of an all-zero mask |
//! | mean | `1 / counted` | 0 |
//! | mean_sqrt_len | `1 / sqrt(counted)` | 0 |
//! | weightedmean | `(i + 1) / sum of (i + 1)` over the counted | 0 |
//! | lasttoken | 1 for the last | 0 |
//! | max | (no sum) | minus infinity |

use std::ops::Range;

use crate::{MatMut, MatRef, Spans, parallel};

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

/// Rows of `y` `[n, d]` from `x` `[t, d]`; `skip` has one number a text.
pub fn pool(mut y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode) {
    spans.check(x.rows());
    assert_eq!(
        (y.rows(), y.cols(), skip.len()),
        (spans.texts(), x.cols(), spans.texts()),
        "pool"
    );
    let cols = y.cols().max(1);
    parallel::for_parts(y.data(), cols, |text, y| {
        let rows = x.row_range(spans.rows(text).start, spans.rows(text).end);
        match mode {
            PoolMode::Max => max(y, rows, skip[text] as usize),
            _ => weighted_sum(y, rows, skip[text] as usize, mode),
        }
    });
}

/// Adds the gradient to `dx`.
pub fn pool_bwd(
    mut dx: MatMut<'_>,
    dy: MatRef<'_>,
    x: MatRef<'_>,
    spans: Spans<'_>,
    skip: &[u32],
    mode: PoolMode,
) {
    spans.check(x.rows());
    assert_eq!(
        (dx.rows(), dx.cols()),
        (x.rows(), x.cols()),
        "pool_bwd: dx and x"
    );
    assert_eq!(
        (dy.rows(), dy.cols(), skip.len()),
        (spans.texts(), x.cols(), spans.texts()),
        "pool_bwd: dy"
    );
    for (text, &skip) in skip.iter().enumerate() {
        let (rows, skip) = (spans.rows(text), skip as usize);
        let (start, len) = (rows.start, rows.len());
        if mode == PoolMode::Max {
            max_bwd(&mut dx, dy.row(text), x, start + skip..rows.end);
            continue;
        }
        for (i, weight) in weights(len, skip, mode) {
            axpy(dx.row(start + i), weight, dy.row(text));
        }
    }
}

fn weighted_sum(y: &mut [f32], x: MatRef<'_>, skip: usize, mode: PoolMode) {
    y.fill(0.0);
    for (i, weight) in weights(x.rows(), skip, mode) {
        axpy(y, weight, x.row(i));
    }
}

/// Tokens that count, with their weights.
fn weights(len: usize, skip: usize, mode: PoolMode) -> impl Iterator<Item = (usize, f32)> {
    let counted = len.saturating_sub(skip);
    let tokens = match mode {
        PoolMode::Cls if counted == 0 => 0..len.min(1),
        PoolMode::Cls => skip..skip + 1,
        PoolMode::LastToken if counted > 0 => len - 1..len,
        PoolMode::LastToken | PoolMode::Max => 0..0,
        PoolMode::Mean | PoolMode::MeanSqrtLen | PoolMode::WeightedMean => len - counted..len,
    };
    let total: usize = tokens.clone().map(|i| i + 1).sum();
    tokens.map(move |i| {
        let weight = match mode {
            PoolMode::Mean => 1.0 / counted as f32,
            PoolMode::MeanSqrtLen => 1.0 / (counted as f32).sqrt(),
            PoolMode::WeightedMean => (i + 1) as f32 / total as f32,
            PoolMode::Cls | PoolMode::LastToken | PoolMode::Max => 1.0,
        };
        (i, weight)
    })
}

fn max(y: &mut [f32], x: MatRef<'_>, skip: usize) {
    y.fill(f32::NEG_INFINITY);
    for row in skip..x.rows() {
        for (y, &x) in y.iter_mut().zip(x.row(row)) {
            *y = if x > *y { x } else { *y };
        }
    }
}

/// The gradient goes to the first of equal maxima, as torch's `max(dim)` on the CPU sends it.
fn max_bwd(dx: &mut MatMut<'_>, dy: &[f32], x: MatRef<'_>, rows: Range<usize>) {
    for (col, dy) in dy.iter().enumerate() {
        let best = rows.clone().reduce(|best, row| {
            if x.row(row)[col] > x.row(best)[col] {
                row
            } else {
                best
            }
        });
        if let Some(best) = best {
            dx.row(best)[col] += dy;
        }
    }
}

fn axpy(y: &mut [f32], weight: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += weight * x;
    }
}
