//! Dot products of pairs of 16-bit values, or of quadruples of bytes, added to 32-bit sums.
//!
//! 1. Integers never saturate here: a word's products stay below 2^31 and whole sums too ([`crate::scale`]), so every instruction
//!    gives the same bits.
//! 2. Bytes of the left operand are unsigned, by an offset that the sums start without ([`crate::pack`]).

use std::arch::x86_64::*;

use crate::tile::Unit;

/// One unit: its vectors, its rows, and its instructions.
macro_rules! unit {
    (
        $(#[$doc:meta])* $name:ident: $words:ty, $sums:ty, $lanes:literal, $rows:literal,
        zero $zero:ident, $(start $start:ident,)? load $load:ident, splat $splat:ident,
        add |$c:ident, $x:ident, $b:ident| $add:expr,
        store |$s:ident, $p:ident| $store:expr
    ) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Unit for $name {
            type Words = $words;
            type Sums = $sums;
            const LANES: usize = $lanes;
            const TILE_ROWS: usize = $rows;

            #[inline(always)]
            fn zero() -> $sums {
                // SAFETY: only reached below `Level::multiply`, which checked the level.
                unsafe { $zero() }
            }

            $(#[inline(always)]
            unsafe fn start(p: *const f32) -> $sums {
                // SAFETY: the caller's promise; unaligned loads are allowed.
                unsafe { $start(p.cast()) }
            })?

            #[inline(always)]
            unsafe fn load(p: *const f32) -> $words {
                // SAFETY: the caller's promise; unaligned loads are allowed.
                unsafe { $load(p.cast()) }
            }

            #[inline(always)]
            unsafe fn splat(p: *const f32) -> $words {
                // SAFETY: the caller's promise.
                unsafe { $splat(*p.cast::<i32>()) }
            }

            #[inline(always)]
            fn add_product($c: $sums, $x: $words, $b: $words) -> $sums {
                // SAFETY: as above.
                unsafe { $add }
            }

            #[inline(always)]
            unsafe fn store($s: $sums, $p: *mut f32) {
                // SAFETY: the caller's promise; unaligned stores are allowed.
                unsafe { $store }
            }
        }
    };
}

unit! {
    /// Integers, one instruction: AVX-512 VNNI.
    VnniAvx512: __m512i, __m512i, 16, 12,
    zero _mm512_setzero_si512, load _mm512_loadu_si512, splat _mm512_set1_epi32,
    add |c, x, b| _mm512_dpwssd_epi32(c, x, b),
    store |s, p| _mm512_storeu_ps(p, _mm512_cvtepi32_ps(s))
}

unit! {
    /// Integers, a multiplication and an addition: AVX-512.
    MaddAvx512: __m512i, __m512i, 16, 12,
    zero _mm512_setzero_si512, load _mm512_loadu_si512, splat _mm512_set1_epi32,
    add |c, x, b| _mm512_add_epi32(c, _mm512_madd_epi16(x, b)),
    store |s, p| _mm512_storeu_ps(p, _mm512_cvtepi32_ps(s))
}

unit! {
    /// Integers, one instruction: AVX-VNNI.
    VnniAvx2: __m256i, __m256i, 8, 6,
    zero _mm256_setzero_si256, load _mm256_loadu_si256, splat _mm256_set1_epi32,
    add |c, x, b| _mm256_dpwssd_avx_epi32(c, x, b),
    store |s, p| _mm256_storeu_ps(p, _mm256_cvtepi32_ps(s))
}

unit! {
    /// Integers, a multiplication and an addition: AVX2.
    MaddAvx2: __m256i, __m256i, 8, 6,
    zero _mm256_setzero_si256, load _mm256_loadu_si256, splat _mm256_set1_epi32,
    add |c, x, b| _mm256_add_epi32(c, _mm256_madd_epi16(x, b)),
    store |s, p| _mm256_storeu_ps(p, _mm256_cvtepi32_ps(s))
}

unit! {
    /// Bytes, one instruction: AVX-512 VNNI.
    BytesAvx512: __m512i, __m512i, 16, 12,
    zero _mm512_setzero_si512, start _mm512_loadu_si512, load _mm512_loadu_si512, splat _mm512_set1_epi32,
    add |c, x, b| _mm512_dpbusd_epi32(c, x, b),
    store |s, p| _mm512_storeu_ps(p, _mm512_cvtepi32_ps(s))
}

unit! {
    /// Bytes, one instruction: AVX-VNNI.
    BytesAvx2: __m256i, __m256i, 8, 6,
    zero _mm256_setzero_si256, start _mm256_loadu_si256, load _mm256_loadu_si256, splat _mm256_set1_epi32,
    add |c, x, b| _mm256_dpbusd_avx_epi32(c, x, b),
    store |s, p| _mm256_storeu_ps(p, _mm256_cvtepi32_ps(s))
}

unit! {
    /// bf16, one instruction: AVX-512 BF16.
    Bf16Avx512: __m512i, __m512, 16, 12,
    zero _mm512_setzero_ps, load _mm512_loadu_si512, splat _mm512_set1_epi32,
    add |c, x, b| _mm512_dpbf16_ps(c, std::mem::transmute::<__m512i, __m512bh>(x), std::mem::transmute::<__m512i, __m512bh>(b)),
    store |s, p| _mm512_storeu_ps(p, s)
}
