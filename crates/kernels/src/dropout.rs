//! Dropout masks as a pure function of keys: no generator, no state, nothing to store for the backward.
//!
//! A row's two words are a 64-bit mix (the finaliser of SplitMix64, Steele et al. 2014) of the call's key, the row's key
//! and the head. An element's 32 bits are a keyed integer hash of its column: two multiplications with the constants of
//! Wellons' `lowbias32`, the words of the row entering before and between them. 32-bit multiplications keep the inner loop
//! within the reach of every vector unit; 64-bit ones would not. An element is dropped if its bits lie below `rate * 2^32`.

use matryo_base::mix;
use rayon::prelude::*;

use crate::{Level, MatMut, cpu::Kernel, simd::Vector};

/// The mask of an element depends on `key`, its row's key and its column only,
/// so that any batching, any number of threads and a recomputed forward see the same mask.
#[derive(Clone, Copy, Debug)]
pub struct Dropout<'a> {
    /// Probability of zeroing an element, below 1; survivors are divided by `1 - rate`.
    pub rate: f32,
    /// Stands for (seed, layer, site).
    pub key: u64,
    /// One key a token row; stands for (text id, position).
    pub rows: &'a [u64],
}

/// The words of one row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowWords {
    before: u32,
    between: u32,
}

/// What all elements share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    threshold: u32,
    scale: f32,
}

impl Dropout<'_> {
    /// Words of token row `row`; `head` tells the heads of an attention apart and is 0 elsewhere.
    pub(crate) fn row(&self, row: usize, head: usize) -> RowWords {
        let z = mix(self.key ^ mix(self.rows[row]).wrapping_add(mix(head as u64)));
        RowWords {
            before: z as u32,
            between: (z >> 32) as u32,
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        Rate {
            threshold: (f64::from(self.rate) * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - self.rate),
        }
    }
}

impl RowWords {
    /// 0 or the factor of the survivors, for the element in `column`.
    #[inline(always)]
    pub(crate) fn factor(self, column: u32, rate: Rate) -> f32 {
        let mut x = column.wrapping_mul(0x9e37_79b9) ^ self.before;
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15))
            .wrapping_add(self.between)
            .wrapping_mul(0x846c_a68b);
        if (x ^ (x >> 16)) < rate.threshold {
            0.0
        } else {
            rate.scale
        }
    }
}

/// Applies the masks in place; the backward is the same call on the gradient.
pub fn dropout(level: Level, mut x: MatMut<'_>, dropout: Dropout<'_>) {
    assert_eq!(x.rows(), dropout.rows.len(), "dropout: one key a row");
    let (rate, cols) = (dropout.rate(), x.cols().max(1));
    x.data()
        .par_chunks_mut(cols)
        .with_min_len(16)
        .enumerate()
        .for_each(|(row, x)| {
            level.run(MaskRow {
                x,
                words: dropout.row(row, 0),
                rate,
            });
        });
}

struct MaskRow<'a> {
    x: &'a mut [f32],
    words: RowWords,
    rate: Rate,
}

impl Kernel for MaskRow<'_> {
    /// The compiler vectorises this loop for the level it is inlined into.
    #[inline(always)]
    fn run<V: Vector>(self) {
        for (column, x) in self.x.iter_mut().enumerate() {
            *x *= self.words.factor(column as u32, self.rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(key: u64, rows: &[u64], cols: usize) -> Vec<bool> {
        let mut x = vec![1.0; rows.len() * cols];
        dropout(
            Level::best(),
            MatMut::new(rows.len(), cols, &mut x),
            Dropout {
                rate: 0.1,
                key,
                rows,
            },
        );
        x.into_iter().map(|x| x == 0.0).collect()
    }

    fn share(hits: impl Iterator<Item = bool>) -> f64 {
        let (count, hits) = hits.fold((0, 0), |(n, k), hit| (n + 1, k + u32::from(hit)));
        f64::from(hits) / f64::from(count)
    }

    /// Over 262,144 elements the share has a deviation of 6e-4.
    #[test]
    #[cfg_attr(miri, ignore = "too slow for an interpreter")]
    fn a_tenth_is_dropped() {
        let rows: Vec<u64> = (0..512).collect();
        assert!((share(dropped(7, &rows, 512).into_iter()) - 0.1).abs() < 3e-3);
    }

    /// Pairs of neighbours in a row, in a column and under two keys: both dropped in a hundredth of the cases.
    #[test]
    #[cfg_attr(miri, ignore = "too slow for an interpreter")]
    fn neighbours_are_independent() {
        let rows: Vec<u64> = (0..512).collect();
        let (a, b) = (dropped(7, &rows, 512), dropped(8, &rows, 512));
        for distance in [1, 2, 3, 8, 64, 256, 512, 1024] {
            let both = share(a.iter().zip(&a[distance..]).map(|(x, y)| *x && *y));
            assert!((both - 0.01).abs() < 1.5e-3, "distance {distance}: {both}");
        }
        assert!((share(a.iter().zip(&b).map(|(x, y)| *x && *y)) - 0.01).abs() < 1.5e-3);
    }

    #[test]
    fn a_mask_depends_on_the_row_key_not_on_the_row() {
        let (a, b) = (dropped(3, &[11, 12], 64), dropped(3, &[12, 11], 64));
        assert_eq!((&a[..64], &a[64..]), (&b[64..], &b[..64]));
        assert_ne!(&a[..64], &a[64..]);
    }

    #[test]
    fn every_level_draws_the_same_mask() {
        let keys = [5, 6, 7];
        let masked = |level| {
            let mut x = vec![1.0; 3 * 41];
            dropout(
                level,
                MatMut::new(3, 41, &mut x),
                Dropout {
                    rate: 0.3,
                    key: 1,
                    rows: &keys,
                },
            );
            x
        };
        let expected = masked(Level::Portable);
        assert!(expected.contains(&0.0) && expected.contains(&(1.0 / 0.7)));
        assert!(Level::available().all(|level| masked(level) == expected));
    }
}
