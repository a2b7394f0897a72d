//! One vector of `f32` lanes.
//!
//! Kernels are written once over [`Vector`] and compiled once per instruction set: [`crate::Level`] enters a function with the
//! right target features and everything below is inlined into it. Hence `#[inline(always)]` throughout, and no closures in kernels
//! (a closure does not inherit the features of the function around it).

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod bytes;
#[cfg(target_arch = "x86_64")]
pub(crate) mod dot;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_bytes;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_pairs;
pub(crate) mod portable;
pub(crate) mod portable_bytes;

use crate::tile::{Tile, Unit};

/// `LANES` floats. Only [`crate::Level`] names an implementation, after it has checked that the processor has it.
pub(crate) trait Vector: Copy {
    /// Floats in a vector.
    const LANES: usize;
    /// Rows of the register tile of the matrix product: as many as fit beside two columns of vectors.
    const TILE_ROWS: usize;

    fn splat(x: f32) -> Self;
    /// # Safety
    /// `LANES` floats are readable at `p`.
    unsafe fn load_ptr(p: *const f32) -> Self;
    /// # Safety
    /// `LANES` floats are writable at `p`.
    unsafe fn store_ptr(self, p: *mut f32);
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    fn max(self, b: Self) -> Self;
    fn min(self, b: Self) -> Self;
    fn sqrt(self) -> Self;
    /// `self * b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    /// To the nearest integer.
    fn round(self) -> Self;
    /// `self * 2^n` for integer-valued `n` in -126..=127.
    fn times_power_of_two(self, n: Self) -> Self;
    /// `to[l * step + r] = from[r * stride + l]` for `r` and `l` below 8.
    ///
    /// # Safety
    /// All of these are readable and writable.
    unsafe fn transpose8(from: *const f32, stride: usize, to: *mut f32, step: usize);
    /// Rounded to bf16, to nearest even: the lower half of every lane is 0.
    fn round_to_bf16(self) -> Self;
    /// The upper half of every lane in its lower half, and zeros above.
    fn upper_halves(self) -> Self;
    /// The lower halves of `self` below those of `upper`.
    fn join_halves(self, upper: Self) -> Self;
    /// The lower halves of all lanes, side by side.
    ///
    /// # Safety
    /// `LANES / 2` floats are writable at `p`.
    unsafe fn store_lower_halves(self, p: *mut f32);
    /// Each lane's neighbour at `distance`, a power of two below `LANES`: lane `i` becomes lane `i ^ distance`.
    fn swap(self, distance: usize) -> Self;
    /// The lowest bytes of all lanes, side by side.
    ///
    /// # Safety
    /// `LANES / 4` floats are writable at `p`.
    unsafe fn store_lowest_bytes(self, p: *mut f32);
    /// The register tile of products of floats ([`crate::multiply`]).
    ///
    /// # Safety
    /// As [`Tile::run`].
    unsafe fn multiply(tile: Tile);
    /// Sum of the lanes, in a fixed order.
    fn sum(self) -> f32;

    /// Sum of the lanes of each, in a fixed order.
    #[inline(always)]
    fn sum_each(four: [Self; 4]) -> [f32; 4] {
        let [a, b, c, d] = four;
        [a.sum(), b.sum(), c.sum(), d.sum()]
    }

    /// The first `LANES` values of `s`.
    #[inline(always)]
    fn load(s: &[f32]) -> Self {
        assert!(s.len() >= Self::LANES);
        // SAFETY: the assertion.
        unsafe { Self::load_ptr(s.as_ptr()) }
    }

    /// Writes the first `LANES` values of `s`.
    #[inline(always)]
    fn store(self, s: &mut [f32]) {
        assert!(s.len() >= Self::LANES);
        // SAFETY: the assertion.
        unsafe { self.store_ptr(s.as_mut_ptr()) }
    }

    /// All of `s`, shorter than a vector; missing lanes are `fill`.
    #[inline(always)]
    fn load_tail(s: &[f32], fill: f32) -> Self {
        let mut lanes = [fill; 16];
        lanes[..s.len()].copy_from_slice(s);
        Self::load(&lanes)
    }

    /// The leading lanes into all of `s`, shorter than a vector.
    #[inline(always)]
    fn store_tail(self, s: &mut [f32]) {
        let mut lanes = [0.0; 16];
        self.store(&mut lanes);
        s.copy_from_slice(&lanes[..s.len()]);
    }

    /// Vector number `i` of `s`; the last one may be short and is filled with `fill`.
    #[inline(always)]
    fn load_at(s: &[f32], i: usize, fill: f32) -> Self {
        let start = i * Self::LANES;
        if start + Self::LANES <= s.len() {
            Self::load(&s[start..])
        } else {
            Self::load_tail(&s[start..], fill)
        }
    }

    /// Writes vector number `i` of `s`; the last one may be short.
    #[inline(always)]
    fn store_at(self, s: &mut [f32], i: usize) {
        let start = i * Self::LANES;
        if start + Self::LANES <= s.len() {
            self.store(&mut s[start..])
        } else {
            self.store_tail(&mut s[start..])
        }
    }
}

/// Vectors that cover `len` floats.
#[inline(always)]
pub(crate) fn count<V: Vector>(len: usize) -> usize {
    len.div_ceil(V::LANES)
}

/// Multiply-adds of floats.
pub(crate) struct Fma<V>(std::marker::PhantomData<V>);

impl<V: Vector> Unit for Fma<V> {
    type Words = V;
    type Sums = V;
    const LANES: usize = V::LANES;
    const TILE_ROWS: usize = V::TILE_ROWS;

    #[inline(always)]
    fn zero() -> V {
        V::splat(0.0)
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load_ptr(p) }
    }

    #[inline(always)]
    unsafe fn splat(p: *const f32) -> V {
        // SAFETY: the caller's promise.
        V::splat(unsafe { *p })
    }

    #[inline(always)]
    fn add_product(sums: V, x: V, b: V) -> V {
        x.fma(b, sums)
    }

    #[inline(always)]
    unsafe fn store(sums: V, p: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { sums.store_ptr(p) }
    }
}
