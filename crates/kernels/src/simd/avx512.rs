//! Sixteen lanes: AVX-512.

use std::arch::x86_64::*;

use super::Vector;
use crate::{multiply, tile::Tile};

#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

/// Each method is one instruction.
macro_rules! instruction {
    ($($name:ident($($arg:ident),*) = $intrinsic:ident;)*) => {
        $(#[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: values of this type exist only below `Level::run`, which found AVX-512.
            Self(unsafe { $intrinsic(self.0 $(, $arg.0)*) })
        })*
    };
}

impl Vector for Avx512 {
    const LANES: usize = 16;
    const TILE_ROWS: usize = 12;

    instruction! {
        add(b) = _mm512_add_ps;
        sub(b) = _mm512_sub_ps;
        mul(b) = _mm512_mul_ps;
        div(b) = _mm512_div_ps;
        max(b) = _mm512_max_ps;
        min(b) = _mm512_min_ps;
        sqrt() = _mm512_sqrt_ps;
        fma(b, c) = _mm512_fmadd_ps;
        times_power_of_two(n) = _mm512_scalef_ps;
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: only reached below `Level::run`, which found AVX-512.
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load_ptr(p: *const f32) -> Self {
        // SAFETY: the caller's promise; unaligned loads are allowed.
        Self(unsafe { _mm512_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn store_ptr(self, p: *mut f32) {
        // SAFETY: the caller's promise; unaligned stores are allowed.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: as above. 8 = nearest, no exceptions.
        Self(unsafe { _mm512_roundscale_ps::<8>(self.0) })
    }

    #[inline(always)]
    fn round_to_bf16(self) -> Self {
        // SAFETY: as above.
        unsafe {
            let bits = _mm512_castps_si512(self.0);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let rounded = _mm512_and_si512(sum, _mm512_set1_epi32(0xffff_0000_u32 as i32));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            Self(_mm512_castsi512_ps(_mm512_mask_set1_epi32(
                rounded,
                is_nan,
                0x7fc0_0000,
            )))
        }
    }

    #[inline(always)]
    fn upper_halves(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_castsi512_ps(_mm512_srli_epi32::<16>(_mm512_castps_si512(self.0))) })
    }

    #[inline(always)]
    fn join_halves(self, upper: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let lower = _mm512_and_si512(_mm512_castps_si512(self.0), _mm512_set1_epi32(0xffff));
            let upper = _mm512_slli_epi32::<16>(_mm512_castps_si512(upper.0));
            Self(_mm512_castsi512_ps(_mm512_or_si512(lower, upper)))
        }
    }

    #[inline(always)]
    unsafe fn store_lower_halves(self, p: *mut f32) {
        // SAFETY: the caller's promise; unaligned stores are allowed.
        unsafe { _mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(_mm512_castps_si512(self.0))) }
    }

    #[inline(always)]
    fn swap(self, distance: usize) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            match distance {
                1 => _mm512_permute_ps::<0b10_11_00_01>(self.0),
                2 => _mm512_permute_ps::<0b01_00_11_10>(self.0),
                4 => _mm512_shuffle_f32x4::<0b10_11_00_01>(self.0, self.0),
                _ => _mm512_shuffle_f32x4::<0b01_00_11_10>(self.0, self.0),
            }
        })
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(self, p: *mut f32) {
        // SAFETY: the caller's promise; unaligned stores are allowed.
        unsafe { _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(_mm512_castps_si512(self.0))) }
    }

    #[inline(always)]
    unsafe fn transpose8(from: *const f32, stride: usize, to: *mut f32, step: usize) {
        // SAFETY: the caller's promise.
        unsafe { super::avx2::transpose8(from, stride, to, step) }
    }

    #[inline(always)]
    unsafe fn multiply(tile: Tile) {
        // SAFETY: the caller's promise; values of this type exist only where these instructions do.
        unsafe { multiply::avx512(tile) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: as above.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }

    #[inline(always)]
    fn sum_each(four: [Self; 4]) -> [f32; 4] {
        // SAFETY: as above.
        unsafe {
            super::avx2::sum_each([
                halves(four[0]),
                halves(four[1]),
                halves(four[2]),
                halves(four[3]),
            ])
        }
    }
}

/// The sum of the upper and the lower eight lanes.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn halves(x: Avx512) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        _mm256_add_ps(
            _mm512_castps512_ps256(x.0),
            _mm512_extractf32x8_ps::<1>(x.0),
        )
    }
}
