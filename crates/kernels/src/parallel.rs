//! Work cut into blocks of fixed size, so that no result depends on the number of threads.

use rayon::prelude::*;

/// Values of an elementwise block: large against the cost of a task, small against the cache.
pub(crate) const BLOCK: usize = 16 * 1024;

/// Rows of a block whose partial sums are added in the order of the blocks.
pub(crate) const ROWS: usize = 64;

/// `f` on matching blocks of `y` and `x`.
pub(crate) fn zip_blocks(y: &mut [f32], x: &[f32], f: impl Fn(&mut [f32], &[f32]) + Sync) {
    y.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(y, x)| f(y, x));
}

/// A mutable buffer that tasks write at places of their own.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut(pub *mut f32);

// SAFETY: every user promises that tasks write disjoint places.
unsafe impl Send for SharedMut {}
// SAFETY: as above.
unsafe impl Sync for SharedMut {}
