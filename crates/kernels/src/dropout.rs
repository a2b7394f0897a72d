//! Dropout as a pure function of keys: any batching, any threads and a recomputed forward see the same mask.

use rayon::prelude::*;

use crate::MatMut;

/// The mask of an element depends on `key`, its row's key and its column only.
#[derive(Clone, Copy, Debug)]
pub struct Dropout<'a> {
    /// Probability of zeroing an element; survivors are divided by `1 - rate`.
    pub rate: f32,
    /// Stands for (seed, layer, site).
    pub key: u64,
    /// One key a token row; stands for (text id, position).
    pub rows: &'a [u64],
}

/// The finalizer of SplitMix64 (Steele, Lea & Flood 2014): every input bit changes every output bit with probability about one half.
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Dropout<'_> {
    /// The state of token row `row`, from which [`Row::factor`] draws.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> Row {
        let state = mix(self.key ^ self.rows[row].wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Row { state, below: (f64::from(self.rate) * (1u64 << 32) as f64) as u64, factor: 1.0 / (1.0 - self.rate) }
    }
}

/// One row's masks.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    state: u64,
    below: u64,
    factor: f32,
}

impl Row {
    /// 0 or `1 / (1 - rate)` for column `col`.
    #[inline(always)]
    pub(crate) fn factor(&self, col: u64) -> f32 {
        let draw = mix(self.state.wrapping_add(col.wrapping_mul(0xD1B5_4A32_D192_ED03))) >> 32;
        if draw < self.below { 0.0 } else { self.factor }
    }
}

/// Applies the masks in place; the backward is the same call on the gradient.
pub fn dropout(mut x: MatMut<'_>, dropout: Dropout<'_>) {
    let cols = x.cols();
    assert_eq!(x.rows(), dropout.rows.len(), "dropout: one key a row");
    if cols == 0 {
        return;
    }
    x.data().par_chunks_mut(cols).enumerate().with_min_len(8).for_each(|(r, x)| {
        let row = dropout.row(r);
        for (c, x) in x.iter_mut().enumerate() {
            *x *= row.factor(c as u64);
        }
    });
}
