//! Matrix products on packed operands.
//!
//! ```text
//! out[i][j] = finish(sum over l of a[i][l] * b[l][j])
//!
//! for each block of rows x group of panels        a task, on any thread
//!     for each slice of l                         at most SLICE steps, added up in their order
//!         pack the block's slice of a into strips
//!         for each panel, for each strip          one register tile
//!             out (+)= tile; after the last slice: finish
//! ```
//!
//! 1. The strips of a block and slice take at most [`STRIPS`] floats, so they stay in the second-level cache while all panels of
//!    the group pass. A panel's slice passes once for all strips of the block.
//! 2. Slices bound both, whatever `k` is. Cutting `k` costs one more load and store of `out` a slice: 1 in 1,000.
//! 3. The right operand is packed once for all tasks; a weight that stays the same can be packed ahead ([`PackedWeight`]).
//! 4. With few rows there are more groups, down to single panels, so that every thread has work. The number of tasks follows the
//!    number of threads; no element's sum does.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    Epilogue, Level, MatMut, MatRef, PackedWeight,
    cpu::Kernel,
    epilogue::{Finish, Slice},
    pack, scratch,
    simd::Vector,
    tile::{PANEL, Rows, Sums, Tile},
};

/// Most steps of a slice.
const SLICE: usize = 1024;

/// Floats of a block's strips: 384 KiB, a share of a second-level cache of 1 MiB or more.
const STRIPS: usize = 96 * 1024;

/// Tokens of one chunk of the weight gradient: bounds what is packed at a time.
const TOKENS: usize = 1024;

/// A weight `[out, in]`: as stored, or packed once.
#[derive(Clone, Copy)]
pub enum Weight<'a> {
    /// As in the checkpoint; packed on the fly, which costs about `1 / tokens` of the product.
    Plain(MatRef<'a>),
    /// Packed; forward only.
    Packed(&'a PackedWeight),
}

/// An operand of [`matmul`], read as it lies or transposed.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// `a`.
    Normal(MatRef<'a>),
    /// `a` transposed.
    Transposed(MatRef<'a>),
}

impl Operand<'_> {
    /// Rows of the operand as it is read.
    pub fn rows(&self) -> usize {
        match self {
            Self::Normal(m) => m.rows(),
            Self::Transposed(m) => m.cols(),
        }
    }

    /// Columns of the operand as it is read.
    pub fn cols(&self) -> usize {
        match self {
            Self::Normal(m) => m.cols(),
            Self::Transposed(m) => m.rows(),
        }
    }
}

/// `y = epilogue(x wᵀ)`: `y` `[t, out]`, `x` `[t, in]`, `w` `[out, in]`.
pub fn linear(level: Level, mut y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, mut epilogue: Epilogue<'_>) {
    let (n, k) = match w {
        Weight::Plain(w) => (w.rows(), w.cols()),
        Weight::Packed(w) => (w.rows(), w.cols()),
    };
    assert_eq!((y.rows(), y.cols(), x.cols()), (x.rows(), n, k), "linear: y, x and w");
    let finish = Finish::with(&mut y, &mut epilogue);
    let a = Operand::Normal(x);
    match w {
        Weight::Packed(w) => Product { level, a, panels: w.panels(), n, finish }.run(),
        Weight::Plain(w) => scratch::shared(pack::panels_len(n, k), |panels| {
            pack::pack_transposed(level, panels, w);
            Product { level, a, panels, n, finish }.run();
        }),
    }
}

/// Backward of `y = x wᵀ + b`: `dx = dy w`, `dw += dyᵀ x`, `db += column sums of dy`; what is `None` is skipped.
pub fn linear_bwd(
    level: Level,
    dx: Option<MatMut<'_>>,
    dw: Option<MatMut<'_>>,
    db: Option<&mut [f32]>,
    dy: MatRef<'_>,
    x: MatRef<'_>,
    w: MatRef<'_>,
) {
    assert_eq!((dy.cols(), x.cols(), x.rows()), (w.rows(), w.cols(), dy.rows()), "linear_bwd: dy, x and w");
    if let Some(dx) = dx {
        matmul(level, dx, Operand::Normal(dy), Operand::Normal(w), 1.0);
    }
    if let Some(mut dw) = dw {
        for start in (0..dy.rows()).step_by(TOKENS) {
            let end = (start + TOKENS).min(dy.rows());
            let (dy, x) = (dy.row_range(start, end), x.row_range(start, end));
            check(&dw, Operand::Transposed(dy), Operand::Normal(x));
            multiply(level, Finish::accumulated(&mut dw), Operand::Transposed(dy), Operand::Normal(x));
        }
    }
    if let Some(db) = db {
        crate::reduce::add_column_sums(level, db, dy);
    }
}

/// `out = alpha * a b`; `out` is `[m, n]`.
pub fn matmul(level: Level, mut out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
    check(&out, a, b);
    multiply(level, Finish::scaled(&mut out, alpha), a, b);
}

fn check(out: &MatMut<'_>, a: Operand<'_>, b: Operand<'_>) {
    assert_eq!((out.rows(), out.cols(), a.cols()), (a.rows(), b.cols(), b.rows()), "product: out, a and b");
}

/// Packs `b` and multiplies.
fn multiply(level: Level, finish: Finish<'_>, a: Operand<'_>, b: Operand<'_>) {
    let n = b.cols();
    scratch::shared(pack::panels_len(n, b.rows()), |panels| {
        match b {
            Operand::Normal(b) => pack::pack_rows(panels, b),
            Operand::Transposed(b) => pack::pack_transposed(level, panels, b),
        }
        Product { level, a, panels, n, finish }.run();
    });
}

/// One product with its right operand packed.
#[derive(Clone, Copy)]
struct Product<'a> {
    level: Level,
    a: Operand<'a>,
    panels: &'a [f32],
    n: usize,
    finish: Finish<'a>,
}

impl Product<'_> {
    /// Cuts the result into tasks and runs them.
    fn run(self) {
        let (m, panels) = (self.a.rows(), self.n.div_ceil(PANEL));
        assert_eq!(self.panels.len(), pack::panels_len(self.n, self.a.cols()), "packed operand");
        if m == 0 || panels == 0 {
            return;
        }
        let rows = self.block_rows();
        let blocks = m.div_ceil(rows);
        let group = panels.div_ceil((4 * rayon::current_num_threads()).div_ceil(blocks));
        let groups = panels.div_ceil(if rayon::current_num_threads() == 1 { panels } else { group });
        (0..blocks * groups).into_par_iter().for_each(|task| {
            let (block, part) = (task / groups, task % groups);
            let rows = block * rows..((block + 1) * rows).min(m);
            let panels = part * panels / groups..(part + 1) * panels / groups;
            let steps = self.slice_steps();
            scratch::local(rows.len() * steps, |strips| {
                self.level.run(Task { product: self, rows, panels, steps, strips });
            });
        });
    }

    /// Steps of a slice: equal slices, a multiple of 8 for the transposition.
    fn slice_steps(&self) -> usize {
        let k = self.a.cols();
        k.div_ceil(k.div_ceil(SLICE).max(1)).next_multiple_of(8).min(k)
    }

    /// Rows of a block: about equal blocks, whole strips.
    fn block_rows(&self) -> usize {
        let (m, strip) = (self.a.rows(), self.level.tile_rows());
        let most = (STRIPS / self.slice_steps().max(1)).max(strip);
        m.div_ceil(m.div_ceil(most)).next_multiple_of(strip)
    }
}

/// Some rows of the result by some panels.
struct Task<'a> {
    product: Product<'a>,
    rows: Range<usize>,
    panels: Range<usize>,
    steps: usize,
    strips: &'a mut [f32],
}

impl Kernel for Task<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let k = self.product.a.cols();
        let height = self.rows.len().div_ceil(self.rows.len().div_ceil(V::TILE_ROWS));
        // Without steps there is still one slice, whose sums are 0.
        for start in (0..k.max(1)).step_by(self.steps.max(1)) {
            let slice = start..(start + self.steps).min(k);
            self.pack_strips::<V>(slice.clone(), height);
            for panel in self.panels.clone() {
                self.panel::<V>(panel, slice.clone(), height);
            }
        }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn pack_strips<V: Vector>(&mut self, slice: Range<usize>, height: usize) {
        match self.product.a {
            Operand::Normal(a) => {
                let a = a.row_range(self.rows.start, self.rows.end).col_range(slice.start, slice.end);
                pack::transpose_strips::<V>(self.strips, a, height);
            }
            Operand::Transposed(a) => {
                pack::copy_strips(self.strips, a.row_range(slice.start, slice.end), self.rows.clone(), height);
            }
        }
    }

    /// All strips by one panel.
    #[inline(always)]
    fn panel<V: Vector>(&self, panel: usize, slice: Range<usize>, height: usize) {
        let (k, n, steps) = (self.product.a.cols(), self.product.n, slice.len());
        let (col, columns) = (panel * PANEL, PANEL.min(n - panel * PANEL));
        let b = &self.product.panels[(panel * k + slice.start) * PANEL..(panel * k + slice.end) * PANEL];
        let place = Slice { first: slice.start == 0, last: slice.end == k };
        let mut sums = Sums::new();
        for first in (0..self.rows.len()).step_by(height) {
            let rows = height.min(self.rows.len() - first);
            let strip = &self.strips[first * steps..(first + rows) * steps];
            let tile = Tile {
                a: strip.as_ptr(),
                rows: Rows::Adjacent { step: rows },
                height: rows,
                b: b.as_ptr(),
                columns,
                k: steps,
                sums: sums.0.as_mut_ptr().cast(),
            };
            // SAFETY: `strip` and `b` are slices of just the lengths that the tile reads; `sums` holds every tile.
            unsafe { V::multiply(tile) };
            for (r, sums) in sums.0.iter_mut().enumerate().take(rows) {
                // SAFETY: tasks are disjoint blocks of rows by panels.
                unsafe {
                    self.product.finish.slice::<V>(self.rows.start + first + r, col, &mut sums[..columns], place)
                };
            }
        }
    }
}
