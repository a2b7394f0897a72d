//! Sums over bytes for any processor; the compiler makes of them what the target allows.

use crate::scan::ByteUnit;

/// Products of signed bytes.
pub(crate) struct Dot;

impl ByteUnit for Dot {
    type Bytes = [i8; 16];
    type Sums = [i32; 16];
    const LEN: usize = 16;
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn zero() -> [i32; 16] {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn load(p: *const u8) -> [i8; 16] {
        // SAFETY: the caller's promise.
        unsafe { *p.cast() }
    }

    #[inline(always)]
    fn add(sums: [i32; 16], row: [i8; 16], query: [i8; 16]) -> [i32; 16] {
        std::array::from_fn(|i| sums[i] + i32::from(row[i]) * i32::from(query[i]))
    }

    #[inline(always)]
    fn totals(four: [[i32; 16]; 4]) -> [i32; 4] {
        four.map(|sums| sums.iter().sum())
    }
}

/// Differing bits, eight bytes at a time. One instruction where the processor counts bits in words.
pub(crate) struct Words;

impl ByteUnit for Words {
    type Bytes = u64;
    type Sums = i32;
    const LEN: usize = 8;
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn zero() -> i32 {
        0
    }

    #[inline(always)]
    unsafe fn load(p: *const u8) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<u64>().read_unaligned() }
    }

    #[inline(always)]
    fn add(sum: i32, row: u64, query: u64) -> i32 {
        sum + (row ^ query).count_ones().cast_signed()
    }

    #[inline(always)]
    fn totals(four: [i32; 4]) -> [i32; 4] {
        four
    }
}
