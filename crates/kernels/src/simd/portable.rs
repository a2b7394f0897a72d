//! Eight lanes as an array, for any processor; the compiler makes of it what the target allows.

use super::Vector;
use crate::{
    multiply,
    tile::{Tile, Unit},
};

#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Vector for Portable {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 4;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; 8])
    }

    #[inline(always)]
    unsafe fn load_ptr(p: *const f32) -> Self {
        // SAFETY: the caller's promise; an array of floats needs no more alignment than a float.
        Self(unsafe { *p.cast() })
    }

    #[inline(always)]
    unsafe fn store_ptr(self, p: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *p.cast() = self.0 }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.zip(b, |x, y| x + y)
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.zip(b, |x, y| x - y)
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.zip(b, |x, y| x * y)
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.zip(b, |x, y| x / y)
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        self.zip(b, |x, y| if x > y { x } else { y })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        self.zip(b, |x, y| if x < y { x } else { y })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    /// Rounded twice: without the instruction, `f32::mul_add` is a slow call.
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }

    #[inline(always)]
    fn times_power_of_two(self, n: Self) -> Self {
        self.zip(n, |x, n| {
            x * f32::from_bits(((n as i32 + 127) as u32) << 23)
        })
    }

    #[inline(always)]
    fn round_to_bf16(self) -> Self {
        Self(self.0.map(|x| {
            let bits = x.to_bits();
            let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
            f32::from_bits(if x.is_nan() { 0x7fc0_0000 } else { rounded })
        }))
    }

    #[inline(always)]
    fn upper_halves(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(x.to_bits() >> 16)))
    }

    #[inline(always)]
    fn join_halves(self, upper: Self) -> Self {
        self.zip(upper, |a, b| {
            f32::from_bits(a.to_bits() & 0xffff | b.to_bits() << 16)
        })
    }

    #[inline(always)]
    unsafe fn store_lower_halves(self, p: *mut f32) {
        let word = |i: usize| {
            f32::from_bits(self.0[2 * i].to_bits() & 0xffff | self.0[2 * i + 1].to_bits() << 16)
        };
        // SAFETY: the caller's promise.
        unsafe { *p.cast::<[f32; 4]>() = std::array::from_fn(word) };
    }

    #[inline(always)]
    fn swap(self, distance: usize) -> Self {
        Self(std::array::from_fn(|i| self.0[i ^ distance]))
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(self, p: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *p.cast::<[u8; 8]>() = self.0.map(|x| x.to_bits() as u8) };
    }

    #[inline(always)]
    unsafe fn transpose8(from: *const f32, stride: usize, to: *mut f32, step: usize) {
        for r in 0..8 {
            for l in 0..8 {
                // SAFETY: the caller's promise.
                unsafe { *to.add(l * step + r) = *from.add(r * stride + l) };
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply(tile: Tile) {
        // SAFETY: the caller's promise.
        unsafe { multiply::portable(tile) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// Pairs of 16-bit integers, as an array.
pub(crate) struct Pairs;

impl Unit for Pairs {
    type Words = [u32; 8];
    type Sums = [i32; 8];
    const LANES: usize = 8;
    const TILE_ROWS: usize = Portable::TILE_ROWS;

    #[inline(always)]
    fn zero() -> [i32; 8] {
        [0; 8]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> [u32; 8] {
        // SAFETY: the caller's promise; words are as large and aligned as floats.
        unsafe { *p.cast() }
    }

    #[inline(always)]
    unsafe fn splat(p: *const f32) -> [u32; 8] {
        // SAFETY: the caller's promise.
        [unsafe { *p.cast() }; 8]
    }

    #[inline(always)]
    fn add_product(sums: [i32; 8], x: [u32; 8], b: [u32; 8]) -> [i32; 8] {
        let half = |word: u32, half: u32| i32::from((word >> (16 * half)) as i16);
        let product = |i: usize| half(x[i], 0) * half(b[i], 0) + half(x[i], 1) * half(b[i], 1);
        std::array::from_fn(|i| sums[i] + product(i))
    }

    #[inline(always)]
    unsafe fn store(sums: [i32; 8], p: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *p.cast::<[f32; 8]>() = sums.map(|sum| sum as f32) };
    }
}
