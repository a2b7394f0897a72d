//! Work cut into blocks, and memory that tasks share.

use rayon::prelude::*;

use crate::{MatMut, MatRef, team};

/// Values of an elementwise block: large against the cost of a task, small against the cache.
pub(crate) const BLOCK: usize = 16 * 1024;

/// Rows of a block whose partial sums are added in the order of the blocks.
pub(crate) const ROWS: usize = 64;

/// Rows of `cols` values that make about [`BLOCK`] of them, at least one.
pub(crate) fn rows_of_block(cols: usize) -> usize {
    (BLOCK / cols.max(1)).max(1)
}

/// `f` on matching rows of `y` and `x`.
pub(crate) fn zip_rows(y: MatMut<'_>, x: MatRef<'_>, f: impl Fn(&mut [f32], &[f32]) + Sync) {
    assert_eq!(
        (y.rows(), y.cols()),
        (x.rows(), x.cols()),
        "shapes of an elementwise operation"
    );
    let cols = y.cols().max(1);
    let rows = y
        .into_data()
        .par_chunks_mut(cols)
        .with_min_len(BLOCK / cols)
        .enumerate();
    rows.for_each(|(r, y)| f(y, x.row(r)));
}

/// `f(i, part)` for each part of `len` values, the last maybe shorter.
pub(crate) fn for_parts(values: &mut [f32], len: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let (parts, shared, total) = (
        values.len().div_ceil(len.max(1)),
        SharedMut::new(values),
        values.len(),
    );
    team::for_each(parts, &|i| {
        // SAFETY: parts do not overlap, and `values` is borrowed until all are done.
        f(i, unsafe {
            shared.piece(i * len, len.min(total - i * len))
        });
    });
}

/// A mutable buffer that tasks write at places of their own.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut {
    start: *mut f32,
    len: usize,
}

// SAFETY: every user of `piece` promises that tasks write disjoint places.
unsafe impl Send for SharedMut {}
// SAFETY: as above.
unsafe impl Sync for SharedMut {}

impl SharedMut {
    pub(crate) fn new(values: &mut [f32]) -> Self {
        Self {
            start: values.as_mut_ptr(),
            len: values.len(),
        }
    }

    /// Where value `i` lies, or would.
    #[inline(always)]
    pub(crate) fn address(self, i: usize) -> *const f32 {
        self.start.wrapping_add(i)
    }

    /// `len` values from `first` on; panics if they lie outside.
    ///
    /// # Safety
    /// The buffer is still borrowed, and nobody else uses these values while the piece is.
    #[inline(always)]
    pub(crate) unsafe fn piece<'a>(self, first: usize, len: usize) -> &'a mut [f32] {
        assert!(
            first <= self.len && len <= self.len - first,
            "{len} values from {first} on of {}",
            self.len
        );
        // SAFETY: in bounds by the assertion; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), len) }
    }
}
