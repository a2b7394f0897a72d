//! One vector of `f32` lanes, and the elementary functions built on it.
//!
//! Kernels are written once over [`Vector`] and compiled once per instruction set: [`crate::cpu::run`] enters a function with the
//! right target features and everything below is inlined into it. Hence `#[inline(always)]` throughout, and no closures in kernels
//! (a closure does not inherit the features of the function around it).

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;

/// `LANES` floats. Only [`crate::cpu::run`] names an implementation, after it has checked that the processor has it.
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
    /// Sum of the lanes, in a fixed order.
    fn sum(self) -> f32;
    /// Largest lane.
    fn largest(self) -> f32;

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
        if start + Self::LANES <= s.len() { Self::load(&s[start..]) } else { Self::load_tail(&s[start..], fill) }
    }

    /// Writes vector number `i` of `s`; the last one may be short.
    #[inline(always)]
    fn store_at(self, s: &mut [f32], i: usize) {
        let start = i * Self::LANES;
        if start + Self::LANES <= s.len() { self.store(&mut s[start..]) } else { self.store_tail(&mut s[start..]) }
    }
}

/// Vectors that cover `len` floats.
#[inline(always)]
pub(crate) fn count<V: Vector>(len: usize) -> usize {
    len.div_ceil(V::LANES)
}

/// `e^x`, relative error below 2e-7; 0 below about -87, where the exact value is denormal.
///
/// `e^x = 2^n e^f` with `n = round(x / ln 2)` and `|f| <= ln 2 / 2`; `ln 2` in two parts keeps `f` exact; Taylor to degree 7.
#[inline(always)]
pub(crate) fn exp<V: Vector>(x: V) -> V {
    let x = x.max(V::splat(-87.0)).min(V::splat(88.0));
    let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
    let f = n.fma(V::splat(-0.693_359_4), x);
    let f = n.fma(V::splat(2.121_944_4e-4), f);
    let mut p = V::splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p.fma(f, V::splat(c));
    }
    p.times_power_of_two(n)
}

/// The error function, absolute error below 3e-7 (rational approximation of Eigen's `erf` for floats).
#[inline(always)]
#[allow(clippy::excessive_precision)] // as published
pub(crate) fn erf<V: Vector>(x: V) -> V {
    let x = x.max(V::splat(-4.0)).min(V::splat(4.0));
    let z = x.mul(x);
    let mut p = V::splat(-2.726_142_3e-10);
    for c in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_599_8e-3, -1.609_603_3e-2] {
        p = p.fma(z, V::splat(c));
    }
    let mut q = V::splat(-1.456_607_2e-5);
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        q = q.fma(z, V::splat(c));
    }
    x.mul(p).div(q)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<V: Vector>(x: V) -> V {
    let one = V::splat(1.0);
    one.div(one.add(exp(V::splat(0.0).sub(x))))
}

/// Hyperbolic tangent, absolute error below 3e-7: `2 sigmoid(2x) - 1`.
#[inline(always)]
pub(crate) fn tanh<V: Vector>(x: V) -> V {
    sigmoid(x.add(x)).fma(V::splat(2.0), V::splat(-1.0))
}
