//! Sums over bytes: NEON. Every product of two signed bytes fits 16 bits, the sum of two need not, so each is added to 32 bits for itself.

use std::arch::aarch64::*;

use crate::scan::ByteUnit;

/// Products of signed bytes.
pub(crate) struct Dot;

impl ByteUnit for Dot {
    type Bytes = int8x16_t;
    type Sums = int32x4_t;
    const LEN: usize = 16;
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn zero() -> int32x4_t {
        // SAFETY: only reached below `scan`, which found NEON.
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn load(p: *const u8) -> int8x16_t {
        // SAFETY: the caller's promise.
        unsafe { vld1q_s8(p.cast()) }
    }

    #[inline(always)]
    fn add(sums: int32x4_t, row: int8x16_t, query: int8x16_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe {
            let sums = vpadalq_s16(sums, vmull_s8(vget_low_s8(row), vget_low_s8(query)));
            vpadalq_s16(sums, vmull_high_s8(row, query))
        }
    }

    #[inline(always)]
    fn totals(four: [int32x4_t; 4]) -> [i32; 4] {
        // SAFETY: as above.
        unsafe {
            [
                vaddvq_s32(four[0]),
                vaddvq_s32(four[1]),
                vaddvq_s32(four[2]),
                vaddvq_s32(four[3]),
            ]
        }
    }
}

/// Differing bits.
pub(crate) struct Popcnt;

impl ByteUnit for Popcnt {
    type Bytes = uint8x16_t;
    type Sums = uint32x4_t;
    const LEN: usize = 16;
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn zero() -> uint32x4_t {
        // SAFETY: only reached below `scan`, which found NEON.
        unsafe { vdupq_n_u32(0) }
    }

    #[inline(always)]
    unsafe fn load(p: *const u8) -> uint8x16_t {
        // SAFETY: the caller's promise.
        unsafe { vld1q_u8(p) }
    }

    #[inline(always)]
    fn add(sums: uint32x4_t, row: uint8x16_t, query: uint8x16_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vpadalq_u16(sums, vpaddlq_u8(vcntq_u8(veorq_u8(row, query)))) }
    }

    #[inline(always)]
    fn totals(four: [uint32x4_t; 4]) -> [i32; 4] {
        // SAFETY: as above.
        let totals = unsafe {
            [
                vaddvq_u32(four[0]),
                vaddvq_u32(four[1]),
                vaddvq_u32(four[2]),
                vaddvq_u32(four[3]),
            ]
        };
        totals.map(u32::cast_signed)
    }
}
