//! Values as words of 32 bits: pairs of 16-bit values of neighbouring steps, quadruples of bytes, or one rounded `f32`.
//!
//! Words travel in the place of floats and are moved, never calculated with. All levels make the same bits.

use crate::{
    MatRef,
    precision::{Format, OFFSET},
    rotate,
    scale::Scale,
    simd::{self, Vector},
};

/// Which operand of a product; the parts of [`Format::Tiles3`] differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// 1.5 * 2^23: the mantissa of a sum with it counts in units of 1, also below zero.
pub(crate) const UNITS: f32 = 12_582_912.0;

/// What becomes of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    /// Rounded to bf16.
    High,
    /// What [`Half::High`] leaves, rounded to bf16.
    Mid,
    /// A 16-bit integer.
    Integer,
}

impl Half {
    /// The bits of each value in the lower half of its lane.
    #[inline(always)]
    fn of<V: Vector>(self, x: V, scale: V) -> V {
        match self {
            Self::High => x.round_to_bf16().upper_halves(),
            Self::Mid => x.sub(x.round_to_bf16()).round_to_bf16().upper_halves(),
            Self::Integer => x.mul(scale).add(V::splat(UNITS)),
        }
    }

    /// Of a part of a format.
    #[inline(always)]
    fn of_part(format: Format, part: usize, side: Side) -> Self {
        match (format, part, side) {
            (Format::Int16 | Format::WideBytes, ..) => Self::Integer,
            (Format::Tiles3, 2, Side::Left) | (Format::Tiles3, 1, Side::Right) => Self::Mid,
            _ => Self::High,
        }
    }
}

/// Words of a row of an operand, as [`along`] makes them, rotated and scaled as the format asks for. Returns what the row's sums are to
/// be multiplied by. `rotated` has room for the values of `words`, in a format that rotates.
#[inline(always)]
pub(crate) fn row<V: Vector>(
    words: &mut [f32],
    x: &[f32],
    rotated: &mut [f32],
    format: Format,
    side: Side,
) -> f32 {
    if !format.is_scaled() {
        along::<V>(words, x, 1.0, format, side);
        return 1.0;
    }
    let mut x = x;
    if format.is_rotated() {
        let rotated = &mut rotated[..words.len() * format.values_per_word()];
        rotate::rotate::<V>(rotated, x);
        x = rotated;
    }
    let scale = Scale::of::<V>(x, format);
    along::<V>(words, x, scale.up, format, side);
    // Both operands were rotated; one makes up for it.
    if side == Side::Right {
        scale.down * rotate::gain(format)
    } else {
        scale.down
    }
}

/// Words of `x`, whose values are consecutive steps: the parts of a slice, one after the other, filled up with zeros.
#[inline(always)]
pub(crate) fn along<V: Vector>(
    words: &mut [f32],
    x: &[f32],
    scale: f32,
    format: Format,
    side: Side,
) {
    if format == Format::Rounded {
        for i in 0..simd::count::<V>(x.len()) {
            V::load_at(x, i, 0.0).round_to_bf16().store_at(words, i);
        }
        return;
    }
    if format.values_per_word() == 4 {
        return bytes_along::<V>(words, x, scale, side);
    }
    let part = words.len() / format.parts();
    if part > 0 {
        for (i, words) in words.chunks_exact_mut(part).enumerate() {
            pairs_along::<V>(words, x, scale, Half::of_part(format, i, side));
        }
    }
}

#[inline(always)]
fn pairs_along<V: Vector>(words: &mut [f32], x: &[f32], scale: f32, half: Half) {
    let (scale, width) = (V::splat(scale), V::LANES / 2);
    for i in 0..simd::count::<V>(x.len()) {
        let bits = half.of(V::load_at(x, i, 0.0), scale);
        match words.get_mut(i * width..(i + 1) * width) {
            // SAFETY: there is room for half a vector.
            Some(words) => unsafe { bits.store_lower_halves(words.as_mut_ptr()) },
            None => {
                let (mut last, rest) = ([0.0; 8], &mut words[i * width..]);
                // SAFETY: a vector has at most 16 lanes.
                unsafe { bits.store_lower_halves(last.as_mut_ptr()) };
                rest.copy_from_slice(&last[..rest.len()]);
            }
        }
    }
    let written = words.len().min(simd::count::<V>(x.len()) * width);
    words[written..].fill(0.0);
}

/// Of whole vectors, as blocks of rotation are.
#[inline(always)]
fn bytes_along<V: Vector>(words: &mut [f32], x: &[f32], scale: f32, side: Side) {
    let offset = if side == Side::Left {
        OFFSET as f32
    } else {
        0.0
    };
    let (scale, units) = (V::splat(scale), V::splat(UNITS + offset));
    for (words, x) in words
        .chunks_exact_mut(V::LANES / 4)
        .zip(x.chunks_exact(V::LANES))
    {
        // SAFETY: there is room for a quarter of a vector.
        unsafe {
            V::load(x)
                .mul(scale)
                .add(units)
                .store_lowest_bytes(words.as_mut_ptr())
        };
    }
}

/// Sum of the bytes of words of a right operand.
pub(crate) fn sum_of_bytes(words: &[f32]) -> i32 {
    words
        .iter()
        .flat_map(|word| word.to_bits().to_le_bytes())
        .map(|byte| i32::from(byte as i8))
        .sum()
}

/// Word row `step` of a slice of which `x` `[steps, columns]` holds the values; integers are scaled by `scales`, one a column.
#[inline(always)]
pub(crate) fn across<V: Vector>(
    words: &mut [f32],
    x: MatRef<'_>,
    step: usize,
    scales: &[f32],
    format: Format,
    side: Side,
) {
    let columns = simd::count::<V>(x.cols());
    if format == Format::Rounded {
        for i in 0..columns {
            V::load_at(x.row(step), i, 0.0)
                .round_to_bf16()
                .store_at(words, i);
        }
        return;
    }
    let part = x.rows().div_ceil(2).next_multiple_of(format.step());
    let (pair, half) = (step % part, Half::of_part(format, step / part, side));
    // Without scales any row stands in for them.
    let scales = if format == Format::Int16 {
        scales
    } else {
        x.row(0)
    };
    if 2 * pair >= x.rows() {
        return words.fill(0.0);
    }
    let (first, has_second) = (x.row(2 * pair), 2 * pair + 1 < x.rows());
    let second = if has_second {
        x.row(2 * pair + 1)
    } else {
        first
    };
    for i in 0..columns {
        let scale = V::load_at(&scales[..x.cols()], i, 0.0);
        let lower = half.of(V::load_at(first, i, 0.0), scale);
        let upper = half.of(V::load_at(second, i, 0.0), scale);
        lower
            .join_halves(if has_second { upper } else { V::splat(0.0) })
            .store_at(words, i);
    }
}

/// Value `i` of a word of a right operand without its scale, for tests and the reference.
pub(crate) fn value(word: u32, i: usize, format: Format) -> f32 {
    let half = |i: usize| (word >> (16 * i)) & 0xffff;
    match format {
        Format::F32 | Format::Rounded => f32::from_bits(word),
        Format::Int16 | Format::WideBytes => f32::from(half(i) as u16 as i16),
        Format::Bytes | Format::ByteTiles => f32::from(word.to_le_bytes()[i] as i8),
        Format::Bf16 | Format::Tiles | Format::Tiles3 => f32::from_bits(half(i) << 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, cpu::Kernel};

    /// The words of some values at a level.
    fn words(level: Level, x: &[f32], scale: f32, format: Format) -> Vec<u32> {
        struct Along<'a>(&'a mut [f32], &'a [f32], f32, Format);
        impl Kernel for Along<'_> {
            #[inline(always)]
            fn run<V: Vector>(self) {
                along::<V>(self.0, self.1, self.2, self.3, Side::Left);
            }
        }
        let mut words = vec![0.0; x.len().div_ceil(format.values_per_word()) * format.parts()];
        level.run(Along(&mut words, x, scale, format));
        words.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn bf16_rounds_to_nearest_even() {
        for level in Level::available() {
            for (x, bits) in [
                (1.0, 0x3f80),
                (f32::from_bits(0x3f80_8000), 0x3f80),
                (f32::from_bits(0x3f81_8000), 0x3f82),
                (f32::from_bits(0x3f80_8001), 0x3f81),
                (f32::MAX, 0x7f80),
                (f32::NAN, 0x7fc0),
                (f32::NEG_INFINITY, 0xff80),
            ] {
                assert_eq!(
                    words(level, &[x, 1.0], 1.0, Format::Bf16),
                    [bits | 0x3f80_0000],
                    "{x:e}, {}",
                    level.name()
                );
            }
        }
    }

    #[test]
    fn two_parts_hold_sixteen_bits() {
        for x in [1.234_567_8_f32, -3.0e-5, 7.77e8] {
            let words = words(Level::best(), &[x, 0.0], 1.0, Format::Tiles3);
            let [hi, again, mid] = [0, 1, 2].map(|part| value(words[part], 0, Format::Tiles3));
            assert!(
                hi == again && (x - hi - mid).abs() <= x.abs() * 2.0_f32.powi(-16),
                "{x}"
            );
        }
    }

    #[test]
    fn a_row_of_integers_keeps_its_norm_and_its_digits() {
        let mut spike = vec![1e-3; 1024];
        spike[5] = 800.0;
        for row in [
            vec![-0.37; 1024],
            spike,
            vec![0.0; 7],
            vec![-1e25; 3],
            vec![1e-25; 9],
            vec![-4.0],
        ] {
            let scale = Scale::of::<simd::portable::Portable>(&row, Format::Int16);
            for level in Level::available() {
                let words = words(level, &row, scale.up, Format::Int16);
                let integer = |i: usize| f64::from(value(words[i / 2], i % 2, Format::Int16));
                let norm: f64 = (0..row.len())
                    .map(|i| integer(i).powi(2))
                    .sum::<f64>()
                    .sqrt();
                assert!(norm < 46_340.9);
                let unit = f64::from(scale.down);
                (0..row.len()).for_each(|i| {
                    assert!((integer(i) * unit - f64::from(row[i])).abs() <= 0.501 * unit)
                });
            }
        }
    }
}
