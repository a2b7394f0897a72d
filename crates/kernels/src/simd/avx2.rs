//! Eight lanes: AVX2 with FMA.

use std::arch::x86_64::*;

use super::Vector;
use crate::{multiply, tile::Tile};

#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// Each method is one instruction.
macro_rules! instruction {
    ($($name:ident($($arg:ident),*) = $intrinsic:ident;)*) => {
        $(#[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: values of this type exist only below `Level::run`, which found AVX2 and FMA.
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
        // SAFETY: only reached below `Level::run`, which found AVX2.
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
            Self(_mm256_mul_ps(
                self.0,
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)),
            ))
        }
    }

    #[inline(always)]
    fn round_to_bf16(self) -> Self {
        // SAFETY: as above.
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let rounded = _mm256_and_si256(sum, _mm256_set1_epi32(0xffff_0000_u32 as i32));
            let is_nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0);
            let nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc0_0000));
            Self(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), nan, is_nan))
        }
    }

    #[inline(always)]
    fn upper_halves(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_castsi256_ps(_mm256_srli_epi32::<16>(_mm256_castps_si256(self.0))) })
    }

    #[inline(always)]
    fn join_halves(self, upper: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let lower = _mm256_and_si256(_mm256_castps_si256(self.0), _mm256_set1_epi32(0xffff));
            let upper = _mm256_slli_epi32::<16>(_mm256_castps_si256(upper.0));
            Self(_mm256_castsi256_ps(_mm256_or_si256(lower, upper)))
        }
    }

    #[inline(always)]
    unsafe fn store_lower_halves(self, p: *mut f32) {
        // SAFETY: the caller's promise; unaligned stores are allowed. The pack works within 128 bits, so its halves are
        // joined from quarters 0 and 2.
        unsafe {
            let lower = _mm256_and_si256(_mm256_castps_si256(self.0), _mm256_set1_epi32(0xffff));
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(lower, lower));
            _mm_storeu_si128(p.cast(), _mm256_castsi256_si128(packed));
        }
    }

    #[inline(always)]
    fn swap(self, distance: usize) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            match distance {
                1 => _mm256_permute_ps::<0b10_11_00_01>(self.0),
                2 => _mm256_permute_ps::<0b01_00_11_10>(self.0),
                _ => _mm256_permute2f128_ps::<1>(self.0, self.0),
            }
        })
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(self, p: *mut f32) {
        // SAFETY: the caller's promise; unaligned stores are allowed. The shuffle works within 128 bits, so its words are joined from
        // words 0 and 4.
        unsafe {
            let lowest = _mm256_set1_epi32(0x0c08_0400);
            let shuffled = _mm256_shuffle_epi8(_mm256_castps_si256(self.0), lowest);
            let joined =
                _mm256_permutevar8x32_epi32(shuffled, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0));
            _mm_storel_epi64(p.cast(), _mm256_castsi256_si128(joined));
        }
    }

    #[inline(always)]
    unsafe fn transpose8(from: *const f32, stride: usize, to: *mut f32, step: usize) {
        // SAFETY: the caller's promise.
        unsafe { transpose8(from, stride, to, step) }
    }

    #[inline(always)]
    unsafe fn multiply(tile: Tile) {
        // SAFETY: the caller's promise; values of this type exist only where these instructions do.
        unsafe { multiply::avx2(tile) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.lanes();
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }

    #[inline(always)]
    fn sum_each(four: [Self; 4]) -> [f32; 4] {
        // SAFETY: as above.
        unsafe { sum_each([four[0].0, four[1].0, four[2].0, four[3].0]) }
    }
}

/// Neighbours are added, of all four side by side, then halves: 3 instructions a sum instead of 10.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
pub(super) unsafe fn sum_each(four: [__m256; 4]) -> [f32; 4] {
    // SAFETY: the caller's promise; four floats are as large as the vector.
    unsafe {
        let [a, b, c, d] = four;
        let sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let sums = _mm_add_ps(
            _mm256_castps256_ps128(sums),
            _mm256_extractf128_ps::<1>(sums),
        );
        let mut each = [0.0; 4];
        _mm_storeu_ps(each.as_mut_ptr(), sums);
        each
    }
}

/// Eight rows of eight, transposed in registers: pairs of rows are interleaved, pairs of pairs joined, halves swapped.
///
/// # Safety
/// As [`Vector::transpose8`]; the processor has AVX2.
#[inline(always)]
pub(super) unsafe fn transpose8(from: *const f32, stride: usize, to: *mut f32, step: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut r = [_mm256_setzero_ps(); 8];
        for (i, r) in r.iter_mut().enumerate() {
            *r = _mm256_loadu_ps(from.add(i * stride));
        }
        let mut pairs = r;
        for i in 0..4 {
            pairs[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            pairs[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for half in 0..2 {
            let p = &pairs[4 * half..4 * half + 4];
            let quads = [
                _mm256_shuffle_ps::<0x44>(p[0], p[2]),
                _mm256_shuffle_ps::<0xee>(p[0], p[2]),
                _mm256_shuffle_ps::<0x44>(p[1], p[3]),
                _mm256_shuffle_ps::<0xee>(p[1], p[3]),
            ];
            for (l, quad) in quads.into_iter().enumerate() {
                let to = to.add(l * step + 4 * half);
                _mm_storeu_ps(to, _mm256_castps256_ps128(quad));
                _mm_storeu_ps(to.add(4 * step), _mm256_extractf128_ps::<1>(quad));
            }
        }
    }
}
