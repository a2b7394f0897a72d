//! Eight lanes: AVX2 with FMA.

use std::arch::x86_64::*;

use super::Vector;

#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// Each method is one instruction.
macro_rules! instruction {
    ($($name:ident($($arg:ident),*) = $intrinsic:ident;)*) => {
        $(#[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: values of this type exist only below `cpu::run`, which found AVX2 and FMA.
            Self(unsafe { $intrinsic(self.0 $(, $arg.0)*) })
        })*
    };
}

impl Avx2 {
    #[inline(always)]
    fn lanes(self) -> [f32; 8] {
        let mut lanes = [0.0; 8];
        self.store(&mut lanes);
        lanes
    }
}

impl Vector for Avx2 {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;

    instruction! {
        add(b) = _mm256_add_ps;
        sub(b) = _mm256_sub_ps;
        mul(b) = _mm256_mul_ps;
        div(b) = _mm256_div_ps;
        max(b) = _mm256_max_ps;
        min(b) = _mm256_min_ps;
        sqrt() = _mm256_sqrt_ps;
        fma(b, c) = _mm256_fmadd_ps;
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: only reached below `cpu::run`, which found AVX2.
        Self(unsafe { _mm256_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load_ptr(p: *const f32) -> Self {
        // SAFETY: the caller's promise; unaligned loads are allowed.
        Self(unsafe { _mm256_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn store_ptr(self, p: *mut f32) {
        // SAFETY: the caller's promise; unaligned stores are allowed.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: as above. 8 = nearest, no exceptions.
        Self(unsafe { _mm256_round_ps::<8>(self.0) })
    }

    #[inline(always)]
    fn times_power_of_two(self, n: Self) -> Self {
        // SAFETY: as above. `n + 127` in the exponent bits is 2^n.
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.0), _mm256_set1_epi32(127));
            Self(_mm256_mul_ps(self.0, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.lanes();
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        self.lanes().into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}
