//! Scores of a few queries against many rows, in one pass over the rows: bound by memory, not by arithmetic.
//!
//! ```text
//! for each block of rows               24 KiB: in the first-level cache for all queries after the first
//!     for each group of queries
//!         for each 4 rows              one register tile: 4 rows by 1, 2 or 4 queries, a vector of sums each
//!             the four sums of a query, folded together
//! ```
//!
//! 1. Rows are read where they lie; nothing is packed, as the matrix product does, which for a few queries costs more than the products.
//! 2. A pair's sum has one order, whichever rows and queries are scored beside it: a score depends on its row and its query alone.
//! 3. Rows may lie further apart than they are wide, so that a prefix of them can be scored. Memory comes in lines of 64 bytes, and in pages
//!    of 4 KiB to the processor's prefetching: prefixes that are scanned often are better stored side by side.
//! 4. Rows are asked for [`AHEAD`] bytes early, because the processor's own prefetching stops at every page of 4 KiB.

mod bytes;
mod floats;
mod gather;
mod rows_ref;

pub(crate) use bytes::ByteUnit;
pub use bytes::{scan_bits, scan_i8};
pub use floats::scan_f32;
pub use gather::gather_f32;
pub use rows_ref::RowsRef;

/// Rows of a register tile.
pub(crate) const TILE: usize = 4;

/// Bytes of rows that are scored with one query after another: half a first-level cache.
const BLOCK: usize = 24 * 1024;

/// Bytes between asking for a line of a row and reading it.
const AHEAD: usize = 8 * 1024;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Rows of a block, whole tiles, where a row has `width` bytes.
fn block_rows(width: usize) -> usize {
    (BLOCK / width.max(1))
        .next_multiple_of(TILE)
        .clamp(TILE, BLOCK)
}

/// About [`AHEAD`], and whole rows, so that a line of a prefix is followed by the same line of a later row.
fn ahead(stride: usize) -> usize {
    AHEAD.div_ceil(stride.max(1)) * stride
}
