//! Factors that make the values of a row, or of a column, 16-bit integers or bytes.
//!
//! A rounded row of 16-bit integers has a Euclidean norm of at most 2^15.5, so by the Cauchy-Schwarz inequality no sum of products of two
//! of them leaves 32 bits. Sums run in 16 lanes whatever the level is, so every level finds the same factor.

use crate::{
    MatRef,
    precision::Format,
    simd::{self, Vector, math},
};

/// A factor, and the factor back.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub up: f32,
    pub down: f32,
}

/// What the integers of a row may be.
#[derive(Clone, Copy)]
struct Limits {
    /// Largest norm before rounding.
    norm: f32,
    /// Largest size of a value.
    largest: f32,
}

/// Rounding adds at most half a unit times the root of 1,024 steps, 16, to the norm. Together less than 46,340.9.
const PAIRS: Limits = Limits {
    norm: 46_300.0,
    largest: 32_766.0,
};

/// Sums of 1,024 products of bytes stay below 2^24.
const BYTES: Limits = Limits {
    norm: f32::INFINITY,
    largest: 127.0,
};

/// Squares of sums in this range neither overflowed nor lost digits.
const SAFE: std::ops::Range<f32> = 1e-25..1e30;

/// A row of nothing but smaller values than this counts as zeros.
const TINY: f32 = 1e-30;

/// Vectors of columns that are looked at together: two sums each, and independent ones to add to.
const GROUP: usize = 4;

impl Scale {
    /// From the largest size of a value and the sum of squares.
    #[inline(always)]
    fn new(largest: f32, squares: f32, limits: Limits) -> Self {
        let up = (limits.norm / squares.sqrt()).min(limits.largest / largest);
        Self { up, down: 1.0 / up }
    }

    /// From the largest size of a value, when the sum of squares is of no use; `squares` sums them divided by the square of `largest`.
    #[inline(never)]
    fn of_extremes(largest: f32, limits: Limits, squares: impl Fn(f32) -> f32) -> Self {
        if largest < TINY {
            return Self { up: 0.0, down: 0.0 };
        }
        let inverse = 1.0 / largest;
        let scale = Self::new(1.0, squares(inverse), limits);
        let up = scale.up * inverse;
        // Not a number, or infinite, somewhere: then so is the result, as in `f32`.
        if up.is_finite() && up > 0.0 && inverse > 0.0 {
            Self { up, down: 1.0 / up }
        } else {
            Self {
                up: 0.0,
                down: f32::NAN,
            }
        }
    }

    /// Of one row of a format of integers.
    #[inline(always)]
    pub(crate) fn of<V: Vector>(x: &[f32], format: Format) -> Self {
        let limits = if format.is_rotated() { BYTES } else { PAIRS };
        let (mut largest, mut squares) = ([V::splat(0.0); 2], [V::splat(0.0); 2]);
        // One vector of 16 lanes, or two of 8.
        let turns = 16 / V::LANES;
        for i in 0..simd::count::<V>(x.len()) {
            let value = V::load_at(x, i, 0.0);
            largest[i % turns] = largest[i % turns].max(math::abs(value));
            squares[i % turns] = square(value).add(squares[i % turns]);
        }
        let (largest, squares) = (lanes(largest), lanes(squares));
        let largest = largest.into_iter().fold(0.0, f32::max);
        let mut sum = 0.0;
        for square in squares {
            sum += square;
        }
        if SAFE.contains(&sum) {
            return Self::new(largest, sum, limits);
        }
        // The largest may have passed over what is not a number; the sum has not.
        let largest = if sum.is_nan() { f32::NAN } else { largest };
        Self::of_extremes(largest, limits, |inverse| {
            x.iter().map(|x| (x * inverse) * (x * inverse)).sum()
        })
    }

    /// Of each column of `x` as 16-bit integers; `squares` is scratch.
    #[inline(always)]
    pub(crate) fn of_columns<V: Vector>(
        x: MatRef<'_>,
        ups: &mut [f32],
        downs: &mut [f32],
        squares: &mut [f32],
    ) {
        let columns = x.cols();
        let count = simd::count::<V>(columns);
        for first in (0..count).step_by(GROUP) {
            let (largest, squares) = (
                &mut downs[first * V::LANES..columns],
                &mut squares[first * V::LANES..columns],
            );
            match count - first {
                1 => extremes::<V, 1>(x, first, largest, squares),
                2 => extremes::<V, 2>(x, first, largest, squares),
                3 => extremes::<V, 3>(x, first, largest, squares),
                _ => extremes::<V, GROUP>(x, first, largest, squares),
            }
        }
        for column in 0..columns {
            let scale = if SAFE.contains(&squares[column]) {
                Self::new(downs[column], squares[column], PAIRS)
            } else {
                let largest = if squares[column].is_nan() {
                    f32::NAN
                } else {
                    downs[column]
                };
                let square = |row: usize, inverse: f32| {
                    (x.row(row)[column] * inverse) * (x.row(row)[column] * inverse)
                };
                Self::of_extremes(largest, PAIRS, |inverse| {
                    (0..x.rows()).map(|row| square(row, inverse)).sum()
                })
            };
            (ups[column], downs[column]) = (scale.up, scale.down);
        }
    }
}

/// Largest size and sum of squares of the columns of `N` vectors from vector `first` on.
#[inline(always)]
fn extremes<V: Vector, const N: usize>(
    x: MatRef<'_>,
    first: usize,
    largest: &mut [f32],
    squares: &mut [f32],
) {
    let (mut most, mut sums) = ([V::splat(0.0); N], [V::splat(0.0); N]);
    for row in 0..x.rows() {
        let row = &x.row(row)[first * V::LANES..];
        for (i, (most, sum)) in most.iter_mut().zip(&mut sums).enumerate() {
            let value = V::load_at(row, i, 0.0);
            *most = most.max(math::abs(value));
            *sum = square(value).add(*sum);
        }
    }
    for (i, (most, sum)) in most.into_iter().zip(sums).enumerate() {
        most.store_at(largest, i);
        sum.store_at(squares, i);
    }
}

/// The square, of 1e-18 if `x` is smaller: no sum that counts changes by that, and the square stays a normal number (see [`math::exp`] for
/// what others cost).
#[inline(always)]
pub(crate) fn square<V: Vector>(x: V) -> V {
    let size = V::splat(1e-18).max(math::abs(x));
    size.mul(size)
}

/// The lanes of one vector of 16 (the second unused), or of two of 8.
#[inline(always)]
fn lanes<V: Vector>(vectors: [V; 2]) -> [f32; 16] {
    let mut lanes = [0.0; 16];
    vectors[0].store(&mut lanes);
    if V::LANES == 8 {
        vectors[1].store(&mut lanes[8..]);
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::portable::Portable;

    #[test]
    fn what_is_not_finite_stays_so() {
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(
                Scale::of::<Portable>(&[1.0, x, 2.0], Format::Int16)
                    .down
                    .is_nan()
            );
            assert!(
                Scale::of::<Portable>(&[1.0, x, 2.0], Format::Bytes)
                    .down
                    .is_nan()
            );
            let (mut ups, mut downs, mut squares) = ([0.0; 2], [0.0; 2], [0.0; 2]);
            Scale::of_columns::<Portable>(
                MatRef::new(2, 2, &[1.0, 1.0, 2.0, x]),
                &mut ups,
                &mut downs,
                &mut squares,
            );
            assert!(downs[1].is_nan() && downs[0].is_finite());
        }
    }
}
