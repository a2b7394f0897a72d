//! One query and many rows of bytes, to one integer a row: dot products of `i8`, Hamming distances of bits. Exact, so every instruction set
//! gives the same bits.

#[cfg(target_arch = "x86_64")]
use crate::simd::bytes as x86;
#[cfg(target_arch = "aarch64")]
use crate::simd::neon_bytes as neon;
use crate::{
    Level,
    cache::prefetch,
    cpu::Vectors,
    scan::{LINE, RowsRef, TILE, ahead, block_rows},
    simd::portable_bytes as portable,
};

/// Widest row of `i8`: sums of products of an unsigned and a signed byte then fit 32 bits.
const WIDEST: usize = 1 << 16;

/// A vector of bytes, and the instructions that add what a row and a query make of it to 32-bit sums.
pub(crate) trait ByteUnit {
    /// A vector of bytes.
    type Bytes: Copy;
    /// A vector of sums.
    type Sums: Copy;
    /// Bytes in a vector, 64 at most.
    const LEN: usize;
    /// What is added to every byte of a row before it is multiplied: 128 makes it unsigned, as some instructions want it.
    const OFFSET: i32;

    fn zero() -> Self::Sums;
    /// # Safety
    /// `LEN` bytes are readable at `p`.
    unsafe fn load(p: *const u8) -> Self::Bytes;
    fn add(sums: Self::Sums, row: Self::Bytes, query: Self::Bytes) -> Self::Sums;
    /// Sum of the lanes of each.
    fn totals(four: [Self::Sums; TILE]) -> [i32; TILE];

    /// `s`, shorter than a vector, and zeros.
    #[inline(always)]
    fn load_part(s: &[u8]) -> Self::Bytes {
        let mut bytes = [0; 64];
        bytes[..s.len()].copy_from_slice(s);
        // SAFETY: a vector has 64 bytes at most.
        unsafe { Self::load(bytes.as_ptr()) }
    }
}

/// One query and a block of rows.
struct ByteScan<'a> {
    totals: &'a mut [i32],
    query: &'a [u8],
    rows: RowsRef<'a, u8>,
}

/// [`ByteScan::run`], compiled for one instruction set.
///
/// # Safety
/// The processor has the instruction set.
type Run = unsafe fn(ByteScan<'_>);

impl ByteScan<'_> {
    /// One total a row.
    ///
    /// # Safety
    /// The processor has what the unit needs.
    #[inline(always)]
    unsafe fn run<U: ByteUnit>(self) {
        let offset = U::OFFSET
            * self
                .query
                .iter()
                .map(|&byte| i32::from(byte.cast_signed()))
                .sum::<i32>();
        for first in (0..self.rows.rows()).step_by(TILE) {
            let count = TILE.min(self.rows.rows() - first);
            let totals = U::totals(self.tile::<U>(first));
            for (total, sum) in self.totals[first..first + count].iter_mut().zip(totals) {
                *total = sum - offset;
            }
        }
    }

    /// Sums of four rows from `first` on; beyond the last they are those of the last.
    #[inline(always)]
    fn tile<U: ByteUnit>(&self, first: usize) -> [U::Sums; TILE] {
        let (width, last, ahead) = (
            self.rows.cols(),
            self.rows.rows() - 1,
            ahead(self.rows.stride()),
        );
        let mut rows = [self.rows.row(first); TILE];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = self.rows.row((first + r).min(last));
        }
        for row in &rows {
            for at in (0..width).step_by(LINE) {
                prefetch(row.as_ptr().wrapping_add(at + ahead));
            }
        }
        let mut sums = [U::zero(); TILE];
        let whole = width / U::LEN * U::LEN;
        for at in (0..whole).step_by(U::LEN) {
            // SAFETY: the query and all rows have `width` bytes, and `at + LEN <= width`.
            let query = unsafe { U::load(self.query.as_ptr().add(at)) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: as above.
                *sum = U::add(*sum, unsafe { U::load(row.as_ptr().add(at)) }, query);
            }
        }
        if whole < width {
            let query = U::load_part(&self.query[whole..]);
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum = U::add(*sum, U::load_part(&row[whole..]), query);
            }
        }
        sums
    }
}

/// `totals[q][r] = queries[q] . rows[r]`: `totals` `[q, r]`, `queries` `[q, dim]`, `rows` `[r, dim]`, `dim` at most 65,536. On this
/// thread alone.
pub fn scan_i8(level: Level, totals: &mut [i32], queries: RowsRef<'_, i8>, rows: RowsRef<'_, i8>) {
    assert!(
        rows.cols() <= WIDEST,
        "rows of {} bytes, at most {WIDEST} are summed exactly",
        rows.cols()
    );
    scan(dot_of(level), totals, queries.unsigned(), rows.unsigned());
}

/// `totals[q][r]` = number of bits in which `queries[q]` and `rows[r]` differ: `totals` `[q, r]`, `queries` `[q, bytes]`, `rows`
/// `[r, bytes]`. On this thread alone.
pub fn scan_bits(
    level: Level,
    totals: &mut [i32],
    queries: RowsRef<'_, u8>,
    rows: RowsRef<'_, u8>,
) {
    scan(hamming_of(level), totals, queries, rows);
}

fn scan(run: Run, totals: &mut [i32], queries: RowsRef<'_, u8>, rows: RowsRef<'_, u8>) {
    let (count, block) = (rows.rows(), block_rows(rows.cols()));
    assert_eq!(
        (totals.len(), queries.cols()),
        (queries.rows() * count, rows.cols()),
        "scan: totals, queries and rows"
    );
    for first in (0..count).step_by(block) {
        let end = (first + block).min(count);
        for query in 0..queries.rows() {
            let totals = &mut totals[query * count + first..query * count + end];
            let scan = ByteScan {
                totals,
                query: queries.row(query),
                rows: rows.row_range(first, end),
            };
            // SAFETY: `dot_of` and `hamming_of` checked the instruction set.
            unsafe { run(scan) };
        }
    }
}

macro_rules! compiled {
    ($arch:literal: $($name:ident: $unit:ty, $features:literal;)*) => {
        $(#[doc = concat!("[`ByteScan::run`] with ", $features, ".\n\n# Safety\nThe processor has these.")]
        #[cfg(target_arch = $arch)]
        unsafe fn $name(scan: ByteScan<'_>) {
            #[target_feature(enable = $features)]
            fn compiled(scan: ByteScan<'_>) {
                // SAFETY: these are the unit's instructions.
                unsafe { scan.run::<$unit>() }
            }
            // SAFETY: the caller's promise.
            unsafe { compiled(scan) }
        })*
    };
}

compiled! {
    "x86_64":
    dot_avx512vnni: x86::VnniAvx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni";
    dot_avx512: x86::MaddAvx512, "avx512f,avx512bw,avx512dq,avx512vl";
    dot_avx2vnni: x86::VnniAvx2, "avx2,avxvnni";
    dot_avx2: x86::MaddAvx2, "avx2";
    hamming_avx512: x86::PopcntAvx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq";
    hamming_popcnt: portable::Words, "popcnt";
}

compiled! {
    "aarch64":
    dot_neon: neon::Dot, "neon";
    hamming_neon: neon::Popcnt, "neon";
}

unsafe fn dot_portable(scan: ByteScan<'_>) {
    // SAFETY: it needs nothing.
    unsafe { scan.run::<portable::Dot>() }
}

unsafe fn hamming_portable(scan: ByteScan<'_>) {
    // SAFETY: it needs nothing.
    unsafe { scan.run::<portable::Words>() }
}

/// Panics if this processor lacks the level.
fn dot_of(level: Level) -> Run {
    level.check();
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Amx | Level::Avx512Bf16 | Level::Avx512Vnni => dot_avx512vnni,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => dot_avx512,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2Vnni => dot_avx2vnni,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => dot_avx2,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => dot_neon,
        _ => dot_portable,
    }
}

/// Panics if this processor lacks the level. Counting bits is no part of a level; processors that lack it fall back to the next.
fn hamming_of(level: Level) -> Run {
    level.check();
    match level.vectors() {
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 if is_x86_feature_detected!("avx512vpopcntdq") => hamming_avx512,
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 | Vectors::Avx2 if is_x86_feature_detected!("popcnt") => hamming_popcnt,
        #[cfg(target_arch = "aarch64")]
        Vectors::Neon => hamming_neon,
        _ => hamming_portable,
    }
}
