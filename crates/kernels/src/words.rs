//! Values as words of 32 bits: pairs of 16-bit values of neighbouring steps, or one rounded `f32`.
//!
//! Plain loops without branches, which the compiler turns into vector code inside a kernel. All levels make the same bits.

use crate::{MatRef, precision::Format};

/// Which operand of a product; the parts of [`Format::Tiles3`] differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Factor that makes the values of a row, or of a column, 16-bit integers, and the factor back.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub up: f32,
    pub down: f32,
}

/// Largest Euclidean norm of a row before it is rounded. Rounding adds at most half a unit times the root of 1,024 steps, 16;
/// together that stays below 2^15.5 = 46,340.9.
const NORM: f32 = 46_300.0;

/// Largest size of a value.
const LARGEST: f32 = 32_766.0;

/// A row of nothing but smaller values than this counts as zeros.
const TINY: f32 = 1e-30;

impl Scale {
    /// Of a format without scales.
    pub(crate) const ONE: Self = Self { up: 1.0, down: 1.0 };

    /// From the largest size of a value, and the sum of squares of the values divided by it.
    #[inline(always)]
    fn new(largest: f32, squares: f32) -> Self {
        if largest < TINY {
            return Self { up: 0.0, down: 0.0 };
        }
        let up = (NORM / squares.sqrt()).min(LARGEST) / largest;
        // Not a number, or infinite, somewhere: then so is the result, as in `f32`.
        if squares.is_finite() && up > 0.0 { Self { up, down: 1.0 / up } } else { Self { up: 0.0, down: f32::NAN } }
    }

    /// Of one row. Sums run in 16 lanes whatever the level is.
    #[inline(always)]
    pub(crate) fn of(x: &[f32]) -> Self {
        let (mut largest, mut squares) = ([0.0_f32; 16], [0.0_f32; 16]);
        let (whole, rest) = x.as_chunks::<16>();
        for x in whole {
            for (largest, x) in largest.iter_mut().zip(x) {
                *largest = larger(*largest, *x);
            }
        }
        let largest = rest.iter().chain(&largest).fold(0.0, |a, &x| larger(a, x));
        let inverse = 1.0 / largest;
        for x in whole {
            for (sum, x) in squares.iter_mut().zip(x) {
                *sum += (x * inverse) * (x * inverse);
            }
        }
        let rest: f32 = rest.iter().map(|x| (x * inverse) * (x * inverse)).sum();
        Self::new(largest, squares.iter().sum::<f32>() + rest)
    }

    /// Of each column of `x`; `squares` is scratch.
    #[inline(always)]
    pub(crate) fn of_columns(x: MatRef<'_>, ups: &mut [f32], downs: &mut [f32], squares: &mut [f32]) {
        let columns = x.cols();
        let (ups, downs, squares) = (&mut ups[..columns], &mut downs[..columns], &mut squares[..columns]);
        downs.fill(0.0);
        for row in 0..x.rows() {
            for (largest, &x) in downs.iter_mut().zip(x.row(row)) {
                *largest = larger(*largest, x);
            }
        }
        for (up, largest) in ups.iter_mut().zip(&*downs) {
            *up = 1.0 / largest;
        }
        squares.fill(0.0);
        for row in 0..x.rows() {
            for ((sum, inverse), &x) in squares.iter_mut().zip(&*ups).zip(x.row(row)) {
                *sum += (x * inverse) * (x * inverse);
            }
        }
        for ((up, down), squares) in ups.iter_mut().zip(downs).zip(squares) {
            let scale = Self::new(*down, *squares);
            (*up, *down) = (scale.up, scale.down);
        }
    }
}

/// The larger size.
#[inline(always)]
fn larger(largest: f32, x: f32) -> f32 {
    let size = x.abs();
    if size > largest { size } else { largest }
}

/// A value in 16 bits, of which the lower half of the result is made.
trait Half: Copy {
    fn bits(self, x: f32, scale: f32) -> u32;
}

/// Rounded to bf16, to nearest even.
#[derive(Clone, Copy)]
struct High;

/// What [`High`] leaves, rounded to bf16.
#[derive(Clone, Copy)]
struct Mid;

/// A 16-bit integer.
#[derive(Clone, Copy)]
struct Integer;

impl Half for High {
    #[inline(always)]
    fn bits(self, x: f32, _: f32) -> u32 {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        if x.is_nan() { 0x7fc0 } else { rounded }
    }
}

impl Half for Mid {
    #[inline(always)]
    fn bits(self, x: f32, scale: f32) -> u32 {
        High.bits(x - rounded(x), scale)
    }
}

impl Half for Integer {
    /// The lower half of the sum with 1.5 * 2^23, whose mantissa counts in units of 1.
    #[inline(always)]
    fn bits(self, x: f32, scale: f32) -> u32 {
        (x * scale + 12_582_912.0).to_bits() & 0xffff
    }
}

/// `x` rounded to bf16.
#[inline(always)]
fn rounded(x: f32) -> f32 {
    f32::from_bits(High.bits(x, 1.0) << 16)
}

/// Words of `x`, whose values are consecutive steps: the parts of a slice, one after the other, filled up with zeros.
#[inline(always)]
pub(crate) fn along(words: &mut [u32], x: &[f32], scale: f32, format: Format, side: Side) {
    let part = words.len() / format.parts();
    match format {
        Format::F32 => unreachable!("floats are copied"),
        Format::Rounded => {
            for (word, x) in words.iter_mut().zip(x) {
                *word = rounded(*x).to_bits();
            }
        }
        Format::Bf16 | Format::Tiles => pairs_along(words, x, scale, High),
        Format::Int16 => pairs_along(words, x, scale, Integer),
        Format::Tiles3 => {
            let (first, rest) = words.split_at_mut(part);
            let (second, third) = rest.split_at_mut(part);
            pairs_along(first, x, scale, High);
            let (high, mid) = if side == Side::Left { (second, third) } else { (third, second) };
            high.copy_from_slice(first);
            pairs_along(mid, x, scale, Mid);
        }
    }
}

#[inline(always)]
fn pairs_along(words: &mut [u32], x: &[f32], scale: f32, half: impl Half) {
    let (pairs, rest) = x.as_chunks::<2>();
    for (word, [a, b]) in words.iter_mut().zip(pairs) {
        *word = half.bits(*a, scale) | half.bits(*b, scale) << 16;
    }
    let mut end = pairs.len();
    if let [last] = rest {
        words[end] = half.bits(*last, scale);
        end += 1;
    }
    words[end..].fill(0);
}

/// Word row `step` of a slice of which `x` `[steps, columns]` holds the values; integers are scaled by `scales`, one a column.
#[inline(always)]
pub(crate) fn across(words: &mut [u32], x: MatRef<'_>, step: usize, scales: &[f32], format: Format, side: Side) {
    let part = x.rows().div_ceil(2).next_multiple_of(format.step());
    match (format, step / part, side) {
        (Format::F32, ..) => unreachable!("floats are copied"),
        (Format::Rounded, ..) => {
            for (word, x) in words.iter_mut().zip(x.row(step)) {
                *word = rounded(*x).to_bits();
            }
        }
        (Format::Int16, ..) => pair_across(words, x, step, scales, Integer),
        (Format::Tiles3, 2, Side::Left) | (Format::Tiles3, 1, Side::Right) => {
            pair_across(words, x, step % part, x.row(0), Mid);
        }
        // Without scales any row stands in for them.
        (Format::Bf16 | Format::Tiles | Format::Tiles3, ..) => pair_across(words, x, step % part, x.row(0), High),
    }
}

#[inline(always)]
fn pair_across(words: &mut [u32], x: MatRef<'_>, pair: usize, scales: &[f32], half: impl Half) {
    let words = &mut words[..x.cols()];
    if 2 * pair + 1 < x.rows() {
        let (a, b) = (x.row(2 * pair), x.row(2 * pair + 1));
        for (((word, a), b), scale) in words.iter_mut().zip(a).zip(b).zip(scales) {
            *word = half.bits(*a, *scale) | half.bits(*b, *scale) << 16;
        }
    } else if 2 * pair < x.rows() {
        for ((word, a), scale) in words.iter_mut().zip(x.row(2 * pair)).zip(scales) {
            *word = half.bits(*a, *scale);
        }
    } else {
        words.fill(0);
    }
}

/// The value of a word's half (0 or 1) without its scale, for tests and the reference.
pub(crate) fn value(word: u32, half: usize, format: Format) -> f32 {
    let bits = (word >> (16 * half)) & 0xffff;
    match format {
        Format::F32 | Format::Rounded => f32::from_bits(word),
        Format::Int16 => f32::from(bits as u16 as i16),
        Format::Bf16 | Format::Tiles | Format::Tiles3 => f32::from_bits(bits << 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even() {
        for (x, bits) in [
            (1.0, 0x3f80),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (f32::MAX, 0x7f80),
            (f32::NAN, 0x7fc0),
            (f32::NEG_INFINITY, 0xff80),
        ] {
            assert_eq!(High.bits(x, 1.0), bits, "{x:e}");
        }
    }

    #[test]
    fn two_parts_hold_sixteen_bits() {
        for x in [1.234_567_8_f32, -3.0e-5, 7.77e8] {
            let mid = f32::from_bits(Mid.bits(x, 1.0) << 16);
            assert!((x - rounded(x) - mid).abs() <= x.abs() * 2.0_f32.powi(-17), "{x}");
        }
    }

    #[test]
    fn a_row_of_integers_keeps_its_norm_and_its_largest() {
        let flat = vec![-0.37; 1024];
        let mut spike = vec![1e-3; 1024];
        spike[5] = 800.0;
        for row in [flat, spike, vec![0.0; 7], vec![-1e20; 3], vec![1e-25; 9]] {
            let scale = Scale::of(&row);
            let mut words = vec![0; row.len().div_ceil(2)];
            along(&mut words, &row, scale.up, Format::Int16, Side::Left);
            let integers = |i: usize| f64::from(value(words[i / 2], i % 2, Format::Int16));
            let norm: f64 = (0..row.len()).map(|i| integers(i).powi(2)).sum::<f64>().sqrt();
            assert!(norm < 46_340.9);
            let unit = f64::from(scale.down);
            (0..row.len()).for_each(|i| assert!((integers(i) * unit - f64::from(row[i])).abs() <= 0.501 * unit));
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        for x in [f32::NAN, f32::INFINITY] {
            assert!(Scale::of(&[1.0, x, 2.0]).down.is_nan());
        }
    }
}
