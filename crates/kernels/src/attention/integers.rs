//! The forward of one head of one text with products of 16-bit integers, which multiply twice as fast as floats where a processor has them.
//!
//! ```text
//! s[i][j] = down_q down_k (Q[i] . K[j])             P[i][j] = round(unit[i] * exp(scale (s[i][j] - largest)))
//! y[i][c] = center[c] + down_v[c] (sum over j of P[i][j] V[j][c]) / (sum over j of P[i][j])
//! ```
//!
//! 1. Q, K and V are integers with factors for the head of a text, so that a vector depends on its own text alone: one for Q and one for K,
//!    which the longest row decides, and one for each column of V. V counts from the middle of its column: else what all keys have in
//!    common would be rounded the same way for each of them, an error that no sum over keys and no mean over tokens makes smaller.
//! 2. Sums are exact. Rows of Q and K have a Euclidean norm below 2^15.5, so no product of two leaves 32 bits (as in `scale.rs`); V has
//!    [`VALUES`] steps to either side, and `unit` is as large as the sum of a query's exponentials allows: where one key has most of the
//!    weight, as that of a separator often has, the rest of many hundred keeps 15 bits.
//! 3. The probabilities are divided by the sum of the rounded ones: what a small one loses goes to the others, and nothing shrinks.
//! 4. The softmax works in place and leaves pairs of keys in one word, as the product with the values reads them; hence an even first key.

use std::ops::{Range, RangeInclusive};

use super::{
    forward::{Sums, Values},
    head::{Added, Head, HeadSize},
    products::Strips,
};
use crate::{
    Arithmetic, MatRef, pack,
    parallel::SharedMut,
    precision::Format,
    scale::{self, Scale},
    simd::{self, Vector, math},
    tile::{Multiply, PANEL},
    words::{self, Side, UNITS},
};

/// Steps of the values to either side of 0.
const VALUES: f32 = 2048.0;

/// Most steps of a query's probabilities together, so that no sum of products with values leaves 32 bits: rounding adds at most 512 of
/// them, and a sum of exponentials may be short of 64.
const PROBABILITIES: f32 = (1 << 20) as f32 - 640.0;

/// Numbers of keys that a query sees at which this is faster, and probabilities keep enough digits. On a Xeon without AMX, 12 heads of 32
/// take with floats 0.77 times as long at 48 keys, 0.93 at 128, 1.01 at 160, 1.13 at 256, 1.18 at 384 and 1.23 at 768, where texts lie in the
/// second-level cache. A unit for all queries of a text, without a second pass over the exponentials, gave 1.30 at 384, and lost what a
/// dominant key leaves to hundreds of others.
const KEYS: RangeInclusive<usize> = 160..=1024;

/// Largest values that neither overflow nor vanish when they are scaled.
const SAFE: Range<f32> = 1e-12..1e15;

/// The register tile, where attention calculates with integers: in 8 bits, with instructions for dot products of integers, as those have
/// that keep bytes as bytes.
pub(super) fn multiply(arithmetic: Arithmetic) -> Option<Multiply> {
    let has_unit = matches!(arithmetic.format(), Format::Bytes | Format::ByteTiles);
    has_unit.then(|| arithmetic.level.multiply(Format::Int16))
}

/// Words of a row of a head.
fn words(size: HeadSize) -> usize {
    size.shape.head_dim.div_ceil(2)
}

/// Words of the values in panels.
fn panels_len(size: HeadSize) -> usize {
    size.len.div_ceil(2) * size.shape.head_dim.next_multiple_of(PANEL)
}

/// Most scores of a block: its keys, and one before them.
fn scores_len(size: HeadSize) -> usize {
    size.scores_len() + PANEL
}

/// [`Columns`] of the values.
fn columns_len(size: HeadSize) -> usize {
    3 * size.shape.head_dim
}

/// Scores, values in panels and their factors, a block of queries, the bias, keys in strips, rows on their way there.
pub(super) fn scratch_len(size: HeadSize) -> usize {
    scores_len(size)
        + panels_len(size)
        + columns_len(size)
        + words(size) * (PANEL + size.len + size.len.max(PANEL))
        + size.bias_len()
}

/// Writes the head's columns of `y`; `false` if floats suit the head better.
#[inline(always)]
pub(super) fn forward<V: Vector>(
    head: &Head<'_>,
    y: SharedMut,
    multiply: Multiply,
    scratch: &mut [f32],
) -> bool {
    let (size, dim) = (head.size(), head.shape.head_dim);
    let most_keys = head.shape.mask.most_keys(head.len());
    if !KEYS.contains(&most_keys) || dim > 1024 || head.distances().is_some() {
        return false;
    }
    let (scores, rest) = scratch.split_at_mut(scores_len(size));
    let (values, rest) = rest.split_at_mut(panels_len(size));
    let (columns, rest) = rest.split_at_mut(columns_len(size));
    let (queries, rest) = rest.split_at_mut(words(size) * PANEL);
    let (bias, rest) = rest.split_at_mut(size.bias_len());
    let (strips, rows) = rest.split_at_mut(words(size) * size.len);
    let [q, k, v] = [0, 1, 2].map(|part| head.part(part));
    let (Some(q_scale), Some(k_scale)) = (of_rows::<V>(q), of_rows::<V>(k)) else {
        return false;
    };
    let Some(columns) = Columns::of::<V>(v, columns) else {
        return false;
    };
    let scale = head.shape.scale * q_scale.down * k_scale.down;
    let bias = head.pack_bias(bias, scale);
    let added = Added {
        bias: bias.as_ref(),
        distances: None,
    };
    let strips = Strips::pack_words::<V>(strips, rows_of_words::<V>(rows, k, k_scale.up), multiply);
    columns.pack::<V>(values, v);
    let values = Values {
        head,
        y,
        panels: values,
        rows: size.len.div_ceil(2),
        multiply,
        columns: Some(&columns),
    };
    for block in head.blocks() {
        let mut keys = head.keys(&block);
        keys.start -= keys.start % 2;
        let scores = &mut scores[..keys.len() * PANEL];
        let q = q.row_range(block.start, block.end);
        pack::transpose_panel::<V>(queries, rows_of_words::<V>(rows, q, q_scale.up));
        head.scores::<V>(scores, &strips, queries, added, &block, &keys);
        let factors = softmax::<V>(scores, scale, block.len());
        let pairs = &scores[..keys.len().div_ceil(2) * PANEL];
        values.multiply::<V>(&block, pairs, keys.start / 2, &factors);
    }
    true
}

/// The factor that makes no row of `m` longer than sums allow, and no value larger than 16 bits; `None` if there is none.
#[inline(always)]
fn of_rows<V: Vector>(m: MatRef<'_>) -> Option<Scale> {
    const AT_ONCE: usize = 4;
    let (mut largest, mut most, mut is_finite) = (V::splat(0.0), 0.0_f32, true);
    for first in (0..m.rows()).step_by(AT_ONCE) {
        let mut squares = [V::splat(0.0); AT_ONCE];
        for (i, squares) in squares.iter_mut().enumerate() {
            let row = m.row((first + i).min(m.rows() - 1));
            for i in 0..simd::count::<V>(row.len()) {
                let size = math::abs(V::load_at(row, i, 0.0));
                largest = largest.max(size);
                *squares = scale::square(size).add(*squares);
            }
        }
        for squares in V::sum_each(squares) {
            most = most.max(squares);
            is_finite &= squares.is_finite();
        }
    }
    let mut lanes = [0.0; 16];
    largest.store(&mut lanes);
    let largest = lanes.into_iter().fold(0.0, f32::max);
    let up = (46_300.0 / most.sqrt()).min(32_766.0 / largest);
    (is_finite && SAFE.contains(&largest)).then(|| Scale { up, down: 1.0 / up })
}

/// What makes the values of each column integers of at most [`VALUES`] steps, and back.
pub(super) struct Columns<'a> {
    /// The middle between the least and the largest value.
    centers: &'a [f32],
    ups: &'a [f32],
    downs: &'a [f32],
}

impl<'a> Columns<'a> {
    /// Finds the factors of the columns of `m` and keeps them in `storage`. `None` where a value is not finite, or too large or too small to be
    /// scaled.
    #[inline(always)]
    fn of<V: Vector>(m: MatRef<'_>, storage: &'a mut [f32]) -> Option<Self> {
        let (centers, rest) = storage.split_at_mut(m.cols());
        let (ups, downs) = rest.split_at_mut(m.cols());
        for i in 0..simd::count::<V>(m.cols()) {
            let first = V::load_at(m.row(0), i, 0.0);
            // The sum is not finite if a value is not, which the others may pass over.
            let (mut most, mut least, mut sum) = (first, first, V::splat(0.0));
            for row in 0..m.rows() {
                let value = V::load_at(m.row(row), i, 0.0);
                (most, least, sum) = (most.max(value), least.min(value), sum.add(value));
            }
            most.store_at(ups, i);
            least.store_at(downs, i);
            sum.store_at(centers, i);
        }
        for ((center, up), down) in centers.iter_mut().zip(&mut *ups).zip(&mut *downs) {
            let (most, least) = (*up, *down);
            let size = most.abs().max(least.abs());
            if !center.is_finite() || !(size == 0.0 || SAFE.contains(&size)) {
                return None;
            }
            *center = 0.5 * (most + least);
            let reach = most - *center;
            (*up, *down) = if reach > 0.0 {
                (VALUES / reach, reach / VALUES)
            } else {
                (0.0, 0.0)
            };
        }
        Some(Self {
            centers,
            ups,
            downs,
        })
    }

    /// Pairs of rows of `x` as words, in panels.
    #[inline(always)]
    fn pack<V: Vector>(&self, panels: &mut [f32], x: MatRef<'_>) {
        let (rows, zero) = (x.rows(), V::splat(UNITS));
        for (i, panel) in panels
            .chunks_exact_mut(rows.div_ceil(2) * PANEL)
            .enumerate()
        {
            let columns = i * PANEL..x.cols().min((i + 1) * PANEL);
            let (centers, ups) = (&self.centers[columns.clone()], &self.ups[columns.clone()]);
            let x = x.col_range(columns.start, columns.end);
            for (pair, words) in panel.chunks_exact_mut(PANEL).enumerate() {
                words[x.cols()..].fill(0.0);
                let words = &mut words[..x.cols()];
                for i in 0..simd::count::<V>(x.cols()) {
                    let (center, up) = (V::load_at(centers, i, 0.0), V::load_at(ups, i, 0.0));
                    let value = V::load_at(x.row(2 * pair), i, 0.0);
                    let lower = value.sub(center).mul(up).add(zero);
                    let upper = if 2 * pair + 1 < rows {
                        let value = V::load_at(x.row(2 * pair + 1), i, 0.0);
                        value.sub(center).mul(up).add(zero)
                    } else {
                        zero
                    };
                    lower.join_halves(upper).store_at(words, i);
                }
            }
        }
    }

    /// Means of the integers of columns from `first` on to those of the values.
    #[inline(always)]
    pub(super) fn back<V: Vector>(&self, means: &mut [f32], first: usize) {
        let (centers, downs) = (&self.centers[first..], &self.downs[first..]);
        for i in 0..simd::count::<V>(means.len()) {
            let mean = V::load_at(means, i, 0.0);
            let mean = mean.fma(V::load_at(downs, i, 0.0), V::load_at(centers, i, 0.0));
            mean.store_at(means, i);
        }
    }
}

/// The rows of `x` as pairs of integers, in `storage`.
#[inline(always)]
fn rows_of_words<'s, V: Vector>(storage: &'s mut [f32], x: MatRef<'_>, up: f32) -> MatRef<'s> {
    let width = x.cols().div_ceil(2);
    for (row, words) in storage.chunks_exact_mut(width).take(x.rows()).enumerate() {
        words::along::<V>(words, x.row(row), up, Format::Int16, Side::Left);
    }
    MatRef::new(x.rows(), width, &storage[..x.rows() * width])
}

/// Scores `[keys][PANEL]` to probabilities as integers, two keys in a word, in place; returns for each query what its sums of products
/// with the values are to be multiplied by.
#[inline(always)]
fn softmax<V: Vector>(scores: &mut [f32], scale: f32, queries: usize) -> [f32; PANEL] {
    let keys = scores.len() / PANEL;
    let totals = Sums::exponentials::<V>(scores, scale, queries).totals;
    let mut factors = [0.0; PANEL];
    // The exponential of the largest score is above 1 where the product that it is shifted by was rounded.
    let (units, most) = (V::splat(UNITS), V::splat(UNITS + 32_767.0));
    for lane in (0..queries).step_by(V::LANES) {
        let unit = V::splat(PROBABILITIES).div(V::load(&totals[lane..]));
        let unit = V::splat(32_767.0).min(unit);
        let mut sum = V::splat(0.0);
        for pair in 0..keys / 2 {
            let at = 2 * pair * PANEL + lane;
            let (lower, upper) = (V::load(&scores[at..]), V::load(&scores[at + PANEL..]));
            let lower = most.min(lower.fma(unit, units));
            let upper = most.min(upper.fma(unit, units));
            sum = sum.add(lower.sub(units)).add(upper.sub(units));
            let word = lower.join_halves(upper);
            word.store(&mut scores[pair * PANEL + lane..]);
        }
        if keys % 2 == 1 {
            let last = V::load(&scores[(keys - 1) * PANEL + lane..]);
            let last = most.min(last.fma(unit, units));
            sum = sum.add(last.sub(units));
            let word = last.join_halves(V::splat(0.0));
            word.store(&mut scores[keys / 2 * PANEL + lane..]);
        }
        V::splat(1.0).div(sum).store(&mut factors[lane..]);
    }
    factors
}
