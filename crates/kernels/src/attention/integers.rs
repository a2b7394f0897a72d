//! The forward of one head of one text with products of 16-bit integers, which multiply twice as fast as floats where a processor has them.
//!
//! ```text
//! s[i][j] = down_q down_k (Q[i] . K[j])       P[i][j] = round(unit * exp(scale (s[i][j] - largest)))       y[i] = down_v (sum over j of P[i][j] V[j]) / (sum over j of P[i][j])
//! ```
//!
//! 1. Q, K and V are integers with one factor for each part of the head in the text, so that a vector depends on its own text alone. The
//!    largest value decides the factor: norms of rows would leave a digit more, but take a pass of their own, and the gain of speed was
//!    1.03 where it is 1.11.
//! 2. Sums are exact. Rows of queries and keys have a Euclidean norm below 2^15.5, so no product of two leaves 32 bits (as in `scale.rs`);
//!    values have at most [`VALUES`] steps to either side, and `unit` is as large as the number of keys that a query sees allows.
//! 3. The probabilities are divided by the sum of the rounded ones: what a small one loses goes to the others, and nothing shrinks.
//! 4. The softmax works in place and leaves pairs of keys in one word, as the product with the values reads them; hence an even first key.

use std::ops::{Range, RangeInclusive};

use super::{
    forward::write_values,
    head::{Added, Head, HeadSize},
    products::{Panels, ScoreProduct, Strips},
};
use crate::{
    Arithmetic, Level, MatRef, Precision, pack,
    parallel::SharedMut,
    precision::Format,
    scale::Scale,
    simd::{self, Vector, math},
    tile::{Multiply, PANEL},
    words::{self, Side, UNITS},
};

/// Steps of the values to either side of 0.
const VALUES: usize = 512;

/// Numbers of keys that a query sees at which this is faster, and probabilities keep enough digits. On a Xeon without AMX, 12 heads of 32 take
/// 0.88 times as long with floats at 48 keys, 0.97 at 96, 1.01 at 112, 1.11 at 128 and 1.30 at 384, where texts lie in the second-level cache.
const KEYS: RangeInclusive<usize> = 112..=1024;

/// Largest values that neither overflow nor vanish when they are scaled.
const SAFE: Range<f32> = 1e-12..1e15;

/// The register tile, where attention calculates with integers.
pub(super) fn multiply(arithmetic: Arithmetic) -> Option<Multiply> {
    let Arithmetic { level, precision } = arithmetic;
    let has_unit = matches!(
        level,
        Level::Amx | Level::Avx512Bf16 | Level::Avx512Vnni | Level::Avx2Vnni
    );
    (has_unit && precision == Precision::Int8).then(|| level.multiply(Format::Int16))
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

/// Scores, values in panels, a block of queries, the bias, keys in strips, rows on their way there.
pub(super) fn scratch_len(size: HeadSize) -> usize {
    scores_len(size)
        + panels_len(size)
        + words(size) * (PANEL + size.len + size.len.max(PANEL))
        + size.bias_len()
}

/// A head whose products are calculated with integers.
pub(super) struct Integers {
    multiply: Multiply,
    queries: Scale,
    keys: Scale,
    values: Scale,
    /// The integer that stands for the largest probability.
    unit: f32,
}

impl Integers {
    /// `None` for heads that floats suit better.
    #[inline(always)]
    pub(super) fn new<V: Vector>(head: &Head<'_>, multiply: Multiply) -> Option<Self> {
        let (dim, keys) = (head.shape.head_dim, head.shape.mask.most_keys(head.len()));
        if !KEYS.contains(&keys) || dim > 1024 || head.distances().is_some() {
            return None;
        }
        let row = (46_300.0 / (dim as f32).sqrt()).min(32_766.0);
        let unit = (i32::MAX as usize / (VALUES * keys)).min(32_767);
        Some(Self {
            multiply,
            queries: scale::<V>(head.part(0), row)?,
            keys: scale::<V>(head.part(1), row)?,
            values: scale::<V>(head.part(2), VALUES as f32)?,
            unit: unit as f32,
        })
    }

    /// Writes the head's columns of `y`.
    #[inline(always)]
    pub(super) fn forward<V: Vector>(&self, head: &Head<'_>, y: SharedMut, scratch: &mut [f32]) {
        let (size, words) = (head.size(), words(head.size()));
        let (scores, rest) = scratch.split_at_mut(scores_len(size));
        let (values, rest) = rest.split_at_mut(panels_len(size));
        let (queries, rest) = rest.split_at_mut(words * PANEL);
        let (bias, rest) = rest.split_at_mut(size.bias_len());
        let (strips, rows) = rest.split_at_mut(words * size.len);
        let scale = head.shape.scale * self.queries.down * self.keys.down;
        let bias = head.pack_bias(bias, scale);
        let added = Added {
            bias: bias.as_ref(),
            distances: None,
        };
        let keys = rows_of_words::<V>(rows, head.part(1), self.keys.up);
        let strips = Strips::pack_words::<V>(strips, keys, self.multiply);
        pack_values::<V>(values, head.part(2), self.values.up);
        for block in head.blocks() {
            let mut keys = head.keys(&block);
            keys.start -= keys.start % 2;
            let scores = &mut scores[..keys.len() * PANEL];
            let q = head.part(0).row_range(block.start, block.end);
            let q = rows_of_words::<V>(rows, q, self.queries.up);
            pack::transpose_panel::<V>(queries, q);
            head.scores::<V>(scores, &strips, queries, added, &block, &keys);
            let factors = softmax::<V>(scores, block.len(), [scale, self.unit, self.values.down]);
            let product = ScoreProduct {
                scores: &scores[..keys.len().div_ceil(2) * PANEL],
                by_query: true,
                queries: block.len(),
                panels: Panels {
                    values,
                    rows: size.len.div_ceil(2),
                    first: keys.start / 2,
                    width: head.shape.head_dim,
                },
            };
            write_values::<V>(head, y, &block, &product, self.multiply, &factors);
        }
    }
}

/// The factor that makes the largest value of `m` `most`; `None` if there is none that does.
#[inline(always)]
fn scale<V: Vector>(m: MatRef<'_>, most: f32) -> Option<Scale> {
    // The sum is not finite if a value is not, which the maximum may pass over.
    let (mut largest, mut sum) = ([V::splat(0.0); 2], [V::splat(0.0); 2]);
    for row in 0..m.rows() {
        let row = m.row(row);
        let mut pairs = row.chunks_exact(2 * V::LANES);
        for pair in pairs.by_ref() {
            for i in 0..2 {
                let size = math::abs(V::load(&pair[i * V::LANES..]));
                largest[i] = largest[i].max(size);
                sum[i] = sum[i].add(size);
            }
        }
        let rest = pairs.remainder();
        for i in 0..simd::count::<V>(rest.len()) {
            let size = math::abs(V::load_at(rest, i, 0.0));
            largest[i] = largest[i].max(size);
            sum[i] = sum[i].add(size);
        }
    }
    let [largest, sum] = [largest[0].max(largest[1]), sum[0].add(sum[1])];
    let mut lanes = [0.0; 16];
    largest.store(&mut lanes);
    let largest = lanes.into_iter().fold(0.0, f32::max);
    let is_safe = SAFE.contains(&largest) && sum.sum().is_finite();
    is_safe.then(|| Scale {
        up: most / largest,
        down: largest / most,
    })
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

/// Pairs of rows of `x` as words, in panels.
#[inline(always)]
fn pack_values<V: Vector>(panels: &mut [f32], x: MatRef<'_>, up: f32) {
    let (ups, pairs) = ([up; PANEL], x.rows().div_ceil(2));
    for (i, panel) in panels.chunks_exact_mut(pairs * PANEL).enumerate() {
        let x = x.col_range(i * PANEL, x.cols().min((i + 1) * PANEL));
        for (pair, row) in panel.chunks_exact_mut(PANEL).enumerate() {
            let (row, beyond) = row.split_at_mut(x.cols());
            words::across::<V>(row, x, pair, &ups, Format::Int16, Side::Right);
            beyond.fill(0.0);
        }
    }
}

/// Scores `[keys][PANEL]` to probabilities in units of `1 / unit` of the largest, two keys in a word, in place; returns for each query
/// what its sums of products with the values are to be multiplied by, of which `down` is a part.
#[inline(always)]
fn softmax<V: Vector>(
    scores: &mut [f32],
    queries: usize,
    [scale, unit, down]: [f32; 3],
) -> [f32; PANEL] {
    let keys = scores.len() / PANEL;
    let mut factors = [0.0; PANEL];
    let (factor, unit, units) = (V::splat(scale), V::splat(unit), V::splat(UNITS));
    for lane in (0..queries).step_by(V::LANES) {
        let mut max = V::splat(f32::NEG_INFINITY);
        for key in scores.chunks_exact(PANEL) {
            max = max.max(V::load(&key[lane..]));
        }
        let shift = max.mul(V::splat(-scale));
        let mut sum = V::splat(0.0);
        for pair in 0..keys / 2 {
            let at = 2 * pair * PANEL + lane;
            let (lower, upper) = (V::load(&scores[at..]), V::load(&scores[at + PANEL..]));
            let lower = math::exp(lower.fma(factor, shift)).fma(unit, units);
            let upper = math::exp(upper.fma(factor, shift)).fma(unit, units);
            sum = sum.add(lower.sub(units)).add(upper.sub(units));
            let word = lower.join_halves(upper);
            word.store(&mut scores[pair * PANEL + lane..]);
        }
        if keys % 2 == 1 {
            let last = V::load(&scores[(keys - 1) * PANEL + lane..]).fma(factor, shift);
            let last = math::exp(last).fma(unit, units);
            sum = sum.add(last.sub(units));
            let word = last.join_halves(V::splat(0.0));
            word.store(&mut scores[keys / 2 * PANEL + lane..]);
        }
        V::splat(down).div(sum).store(&mut factors[lane..]);
    }
    factors
}
