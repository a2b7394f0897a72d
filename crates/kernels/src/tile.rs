//! The register tile of every product: up to 12 rows by up to 32 columns.
//!
//! ```text
//! for l in 0..k            one step: two vectors of b, R scalars of a, 2 R multiply-adds
//!     for r in 0..R
//!         sums[r][0..32] += a[r][l] * b[l][0..32]
//! ```
//!
//! 1. `b` is a panel `[k][32]`: its loads are consecutive and, in an aligned buffer, never straddle cache lines.
//! 2. `a` is a strip `[k][rows]`, or scores `[rows][32]`, both small and contiguous. Reading rows of a large matrix in place
//!    loses up to half the speed where rows lie a multiple of 4 KiB apart (widths 1024, 3072): twelve rows then share
//!    the eight places that one set of the first-level cache has.
//! 3. With AVX-512, 12 rows by two vectors fill 24 of the 32 registers, enough independent sums to hide the latency of the
//!    multiply-add; with AVX2, 6 rows by two vectors fill 12 of 16.
//! 4. Sums leave through a small buffer in the first-level cache: what follows a product is then written once, not once
//!    a tile height, at the price of one store and one load in `k` multiply-adds.
//! 5. An element is one sum in the order of `l`, whatever the height of the tile it falls into.

use crate::simd::Vector;

/// Columns of a panel.
pub(crate) const PANEL: usize = 32;

/// Most rows of a tile.
pub(crate) const MAX_ROWS: usize = 12;

/// The sums of one tile.
#[repr(align(64))]
pub(crate) struct Sums(pub [[f32; PANEL]; MAX_ROWS]);

impl Sums {
    pub(crate) fn new() -> Self {
        Self([[0.0; PANEL]; MAX_ROWS])
    }
}

/// How the rows of the left operand lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Side by side: element `(r, l)` at `r + l * step`.
    Adjacent {
        /// Distance between steps.
        step: usize,
    },
    /// [`PANEL`] apart: element `(r, l)` at `r * PANEL + l`.
    Panels,
}

/// One tile's work.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// First element of the left operand.
    pub a: *const f32,
    /// Its layout.
    pub rows: Rows,
    /// Its rows, at most `V::TILE_ROWS`.
    pub height: usize,
    /// A panel.
    pub b: *const f32,
    /// Columns of the panel that are wanted; others may or may not be computed.
    pub columns: usize,
    /// Steps.
    pub k: usize,
    /// Receives `height` rows of [`PANEL`].
    pub sums: *mut f32,
}

impl Tile {
    /// Computes the tile.
    ///
    /// # Safety
    /// `a` is readable for `height` rows and `k` steps in its layout, `b` for `k * PANEL` floats; `sums` is writable for
    /// `height * PANEL`.
    #[inline(always)]
    pub(crate) unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promise, layout by layout.
        unsafe {
            match self.rows {
                Rows::Adjacent { step } => self.halves::<V, 1>(step),
                Rows::Panels => self.halves::<V, PANEL>(1),
            }
        }
    }

    /// Two vectors of columns at a time; a single one where no more are wanted.
    #[inline(always)]
    unsafe fn halves<V: Vector, const ROW: usize>(mut self, step: usize) {
        let columns = self.columns;
        for first in (0..columns).step_by(2 * V::LANES) {
            // SAFETY: the caller's promise; `first` is less than PANEL.
            unsafe {
                if columns - first > V::LANES || V::LANES < 16 {
                    self.heights::<V, 2, ROW>(step);
                } else {
                    self.heights::<V, 1, ROW>(step);
                }
                self.b = self.b.add(2 * V::LANES);
                self.sums = self.sums.add(2 * V::LANES);
            }
        }
    }

    #[inline(always)]
    unsafe fn heights<V: Vector, const N: usize, const ROW: usize>(self, step: usize) {
        macro_rules! of_height {
            ($($height:literal)*) => {
                match self.height {
                    // SAFETY: the caller's promise.
                    $($height if $height <= V::TILE_ROWS => unsafe { self.sum::<V, $height, N, ROW>(step) },)*
                    height => unreachable!("a tile of {height} rows"),
                }
            };
        }
        of_height!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    #[inline(always)]
    unsafe fn sum<V: Vector, const R: usize, const N: usize, const ROW: usize>(self, step: usize) {
        let mut c = [[V::splat(0.0); N]; R];
        for l in 0..self.k {
            // SAFETY: the caller's promise; l < k, r < R = height, i < N with N vectors inside a panel.
            unsafe {
                let mut b = [V::splat(0.0); N];
                for (i, b) in b.iter_mut().enumerate() {
                    *b = V::load_ptr(self.b.add(l * PANEL + i * V::LANES));
                }
                for (r, c) in c.iter_mut().enumerate() {
                    let x = V::splat(*self.a.add(r * ROW + l * step));
                    for (c, b) in c.iter_mut().zip(b) {
                        *c = x.fma(b, *c);
                    }
                }
            }
        }
        for (r, c) in c.into_iter().enumerate() {
            for (i, c) in c.into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { c.store_ptr(self.sums.add(r * PANEL + i * V::LANES)) };
            }
        }
    }
}
