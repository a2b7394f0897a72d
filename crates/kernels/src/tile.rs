//! The register tile of the matrix product, `R` rows by two vectors.
//!
//! ```text
//! for l in 0..k            one step: two vectors of B, R scalars of A, 2R multiply-adds
//!     for r in 0..R
//!         c[r][0..2V] += a[r, l] * b[l, 0..2V]
//! ```
//!
//! 1. `B` comes packed in panels of [`PANEL`] columns, `[k][PANEL]`, so that its loads are consecutive.
//! 2. `A` is read in place through two strides, one scalar broadcast a multiply-add pair: a cache line of a row serves 16 steps.
//! 3. With AVX-512 12 rows take 24 of the 32 registers, enough independent sums to hide the latency of the multiply-add.
//! 4. `k` is never split: every element is one sum in the order of `l`, whatever the shape, the blocks and the threads.

use crate::simd::Vector;

/// Columns of a packed panel.
pub(crate) const PANEL: usize = 32;

/// A matrix read through a row and a column stride, from its first element on.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    pub ptr: *const f32,
    pub rows: usize,
    pub cols: usize,
}

// SAFETY: only read, and only while the slice it was made from is borrowed.
unsafe impl Send for Strided {}
// SAFETY: as above.
unsafe impl Sync for Strided {}

impl Strided {
    /// The matrix from row `r` on.
    ///
    /// # Safety
    /// Row `r` lies inside.
    #[inline(always)]
    pub unsafe fn skip_rows(self, r: usize) -> Self {
        // SAFETY: the caller's promise.
        Self { ptr: unsafe { self.ptr.add(r * self.rows) }, ..self }
    }
}

/// The sums of `R` rows of `a` with two vectors of columns of `b`.
///
/// # Safety
/// `a` holds `R` rows and `k` columns; `b` holds `k` steps of [`PANEL`] floats, of which two vectors are read.
#[inline(always)]
pub(crate) unsafe fn tile<V: Vector, const R: usize>(a: Strided, b: *const f32, k: usize) -> [[V; 2]; R] {
    let mut c = [[V::splat(0.0); 2]; R];
    for l in 0..k {
        // SAFETY: the caller's promise; l < k.
        let b = unsafe { [V::load_ptr(b.add(l * PANEL)), V::load_ptr(b.add(l * PANEL + V::LANES))] };
        for (r, c) in c.iter_mut().enumerate() {
            // SAFETY: the caller's promise; r < R.
            let x = V::splat(unsafe { *a.ptr.add(r * a.rows + l * a.cols) });
            *c = [x.fma(b[0], c[0]), x.fma(b[1], c[1])];
        }
    }
    c
}

/// Receives the finished sums, one row by two vectors at a time.
pub(crate) trait Finish: Copy {
    /// Row `r`, columns `col..col + 2 * LANES`, of which only the first `valid` exist in the result.
    ///
    /// # Safety
    /// `r`, `col` and `valid` lie inside the result, and no other thread writes them.
    unsafe fn row<V: Vector>(&self, r: usize, col: usize, valid: usize, sums: [V; 2]);
}

/// One panel of the product: `rows` of the result, `a` starting at the first of them, by columns `col..col + valid`.
#[derive(Clone)]
pub(crate) struct PanelProduct<'a, F> {
    pub a: Strided,
    pub rows: std::ops::Range<usize>,
    pub panel: *const f32,
    pub k: usize,
    pub col: usize,
    pub valid: usize,
    pub finish: &'a F,
}

impl<F: Finish> PanelProduct<'_, F> {
    /// Full tiles first, then ever smaller ones.
    ///
    /// # Safety
    /// As [`tile`], for `rows.len()` rows of `a` and a whole panel; as [`Finish::row`] for `rows` and `col..col + valid`.
    #[inline(always)]
    pub unsafe fn run<V: Vector>(&self) {
        for half in (0..self.valid).step_by(2 * V::LANES) {
            // SAFETY: the caller's promise; `half` lies inside the panel.
            unsafe {
                let mut r = self.rows.start;
                if V::TILE_ROWS == 12 {
                    r = self.tiles::<V, 12>(half, r);
                }
                if V::TILE_ROWS >= 6 {
                    r = self.tiles::<V, 6>(half, r);
                }
                r = self.tiles::<V, 4>(half, r);
                r = self.tiles::<V, 2>(half, r);
                self.tiles::<V, 1>(half, r);
            }
        }
    }

    /// As many tiles of `R` rows as there are from row `r` on; returns the first row left.
    ///
    /// # Safety
    /// As [`Self::run`]; `half` lies inside the panel.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const R: usize>(&self, half: usize, mut r: usize) -> usize {
        let valid = (self.valid - half).min(2 * V::LANES);
        while r + R <= self.rows.end {
            // SAFETY: the caller's promise; rows r..r + R exist.
            unsafe {
                let sums = tile::<V, R>(self.a.skip_rows(r - self.rows.start), self.panel.add(half), self.k);
                for (i, sums) in sums.into_iter().enumerate() {
                    self.finish.row(r + i, self.col + half, valid, sums);
                }
            }
            r += R;
        }
        r
    }
}
