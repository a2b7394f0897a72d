//! Sums over bytes: AVX-512 and AVX2, with and without VNNI.
//!
//! 1. VNNI multiplies an unsigned by a signed byte: rows are made unsigned by 128, which adds 128 times the sum of the query to every row.
//! 2. Without it bytes are widened to 16 bits: `vpmaddubsw` would clip its sums of two products.

use std::arch::x86_64::*;

use crate::scan::ByteUnit;

/// One unit: its vectors and its instructions.
macro_rules! unit {
    (
        $(#[$doc:meta])* $name:ident: $bytes:ty, $sums:ty, $len:literal, offset $offset:literal,
        zero $zero:ident, load $load:ident, $(load_part |$part:ident| $load_part:expr,)?
        add |$c:ident, $row:ident, $query:ident| $add:expr, totals $totals:ident
    ) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl ByteUnit for $name {
            type Bytes = $bytes;
            type Sums = $sums;
            const LEN: usize = $len;
            const OFFSET: i32 = $offset;

            #[inline(always)]
            fn zero() -> $sums {
                // SAFETY: only reached below `scan`, which checked the instruction set.
                unsafe { $zero() }
            }

            #[inline(always)]
            unsafe fn load(p: *const u8) -> $bytes {
                // SAFETY: the caller's promise; unaligned loads are allowed.
                unsafe { $load(p.cast()) }
            }

            $(#[inline(always)]
            fn load_part($part: &[u8]) -> $bytes {
                // SAFETY: as above.
                unsafe { $load_part }
            })?

            #[inline(always)]
            fn add($c: $sums, $row: $bytes, $query: $bytes) -> $sums {
                // SAFETY: as above.
                unsafe { $add }
            }

            #[inline(always)]
            fn totals(four: [$sums; 4]) -> [i32; 4] {
                // SAFETY: as above.
                unsafe { $totals(four) }
            }
        }
    };
}

unit! {
    /// Products of bytes, one instruction: AVX-512 VNNI.
    VnniAvx512: __m512i, __m512i, 64, offset 128,
    zero _mm512_setzero_si512, load _mm512_loadu_si512, load_part |s| first_bytes(s),
    add |c, row, query| _mm512_dpbusd_epi32(c, _mm512_xor_si512(row, _mm512_set1_epi8(i8::MIN)), query),
    totals totals512
}

unit! {
    /// Products of bytes widened to 16 bits: AVX-512.
    MaddAvx512: __m256i, __m512i, 32, offset 0,
    zero _mm512_setzero_si512, load _mm256_loadu_si256,
    add |c, row, query| _mm512_add_epi32(c, _mm512_madd_epi16(_mm512_cvtepi8_epi16(row), _mm512_cvtepi8_epi16(query))),
    totals totals512
}

unit! {
    /// Products of bytes, one instruction: AVX-VNNI.
    VnniAvx2: __m256i, __m256i, 32, offset 128,
    zero _mm256_setzero_si256, load _mm256_loadu_si256,
    add |c, row, query| _mm256_dpbusd_avx_epi32(c, _mm256_xor_si256(row, _mm256_set1_epi8(i8::MIN)), query),
    totals totals256
}

unit! {
    /// Products of bytes widened to 16 bits: AVX2.
    MaddAvx2: __m128i, __m256i, 16, offset 0,
    zero _mm256_setzero_si256, load _mm_loadu_si128,
    add |c, row, query| _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_cvtepi8_epi16(row), _mm256_cvtepi8_epi16(query))),
    totals totals256
}

unit! {
    /// Differing bits: AVX-512 VPOPCNTDQ.
    PopcntAvx512: __m512i, __m512i, 64, offset 0,
    zero _mm512_setzero_si512, load _mm512_loadu_si512, load_part |s| first_bytes(s),
    add |c, row, query| _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_xor_si512(row, query))),
    totals totals512
}

/// `s`, shorter than a vector, and zeros: rows of bits are often shorter than one.
///
/// # Safety
/// The processor has AVX-512 BW.
#[inline(always)]
unsafe fn first_bytes(s: &[u8]) -> __m512i {
    debug_assert!(s.len() < 64);
    // SAFETY: the caller's promise; bytes beyond the slice are masked, and masked bytes are not read.
    unsafe { _mm512_maskz_loadu_epi8((1 << s.len()) - 1, s.as_ptr().cast()) }
}

/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn totals512(four: [__m512i; 4]) -> [i32; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut halves = [_mm256_setzero_si256(); 4];
        for (half, sums) in halves.iter_mut().zip(&four) {
            *half = _mm256_add_epi32(
                _mm512_castsi512_si256(*sums),
                _mm512_extracti64x4_epi64::<1>(*sums),
            );
        }
        totals256(halves)
    }
}

/// Neighbours are added, of all four side by side, then halves.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn totals256(four: [__m256i; 4]) -> [i32; 4] {
    // SAFETY: the caller's promise; four integers are as large as the vector.
    unsafe {
        let [a, b, c, d] = four;
        let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let sums = _mm_add_epi32(
            _mm256_castsi256_si128(sums),
            _mm256_extracti128_si256::<1>(sums),
        );
        let mut totals = [0; 4];
        _mm_storeu_si128(totals.as_mut_ptr().cast(), sums);
        totals
    }
}
