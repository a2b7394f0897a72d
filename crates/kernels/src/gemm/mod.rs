//! Matrix products on packed operands.
//!
//! ```text
//! out[i][j] = finish(sum over l of a[i][l] * b[l][j])
//!
//! for each block of rows x group of panels        a task, on any thread
//!     for each slice of l                         at most 1,024 steps, added up in their order
//!         pack the block's slice of a into strips
//!         for each panel, for each strip          one register tile
//!             out (+)= tile; after the last slice: finish
//! ```
//!
//! 1. The strips of a block and slice take at most [`cache::strip_words`], so they stay in the second-level cache while all panels of
//!    the group pass. A panel's slice passes once for all strips of the block.
//! 2. Slices bound both, whatever `k` is. Cutting `k` costs one more load and store of `out` a slice: 1 in 1,000.
//! 3. The right operand is packed once for all tasks; a weight that stays the same can be packed ahead ([`PackedWeight`]).
//! 4. Threads get blocks of rows; with few rows they get groups of panels, down to single ones, each of which packs the block again. The
//!    number of tasks follows the number of threads; no element's sum does.
//! 5. In a format of 16 or 8 bits ([`crate::Precision`]) a step is a word of two or four values. Scales of integers belong to a slice, so they multiply its sums
//!    before these join those of other slices.
//! 6. With AMX the tile is 32 by 32, and the finishing of one tile is spread over the steps of the next: the two use different units,
//!    and one after the other they took a third to a half longer in a prototype. Not timed here.

mod task;
#[cfg(target_arch = "x86_64")]
mod tiles;

use crate::{
    Arithmetic, Epilogue, Level, LinearBackward, MatMut, MatRef, PackedWeight, cache,
    epilogue::Finish,
    left::{self, Left},
    pack::{self, Panels},
    scratch,
    slices::Slices,
    team,
    tile::PANEL,
};
use task::Task;

/// Strips below which a block is not cut for the sake of more tasks: a panel read for fewer rows costs more than a second packing.
const FEW_STRIPS: usize = 8;

/// Tokens of one chunk of the weight gradient: bounds what is packed at a time.
pub const TOKENS_PACKED: usize = 1024;

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
///
/// Panics if a packed weight was packed in another format.
pub fn linear(
    arithmetic: impl Into<Arithmetic>,
    mut y: MatMut<'_>,
    x: MatRef<'_>,
    w: Weight<'_>,
    mut epilogue: Epilogue<'_>,
) {
    let arithmetic = arithmetic.into();
    let (n, k) = match w {
        Weight::Plain(w) => (w.rows(), w.cols()),
        Weight::Packed(w) => (w.rows(), w.cols()),
    };
    assert_eq!(
        (y.rows(), y.cols(), x.cols()),
        (x.rows(), n, k),
        "linear: y, x and w"
    );
    let finish = Finish::with(&mut y, &mut epilogue);
    let a = Operand::Normal(x);
    match w {
        Weight::Packed(w) => {
            let panels = w.panels();
            assert_eq!(
                panels.slices().format(),
                arithmetic.format(),
                "linear: format of the packed weight"
            );
            Product {
                level: arithmetic.level,
                a,
                panels,
                finish,
            }
            .run();
        }
        Weight::Plain(w) => multiply(arithmetic, finish, a, Operand::Transposed(w)),
    }
}

/// Backward of `y = x wᵀ + b`.
pub fn linear_bwd(arithmetic: impl Into<Arithmetic>, args: LinearBackward<'_>) {
    let LinearBackward {
        dx,
        dw,
        db,
        dy,
        x,
        w,
    } = args;
    let arithmetic = arithmetic.into().backward();
    assert_eq!(
        (dy.cols(), x.cols(), x.rows()),
        (w.rows(), w.cols(), dy.rows()),
        "linear_bwd: dy, x and w"
    );
    if let Some(mut dx) = dx {
        check(&dx.dx, Operand::Normal(dy), Operand::Normal(w));
        multiply(
            arithmetic,
            Finish::gradient(&mut dx),
            Operand::Normal(dy),
            Operand::Normal(w),
        );
    }
    if let Some(mut dw) = dw {
        for start in (0..dy.rows()).step_by(TOKENS_PACKED) {
            let end = (start + TOKENS_PACKED).min(dy.rows());
            let (dy, x) = (dy.row_range(start, end), x.row_range(start, end));
            check(&dw, Operand::Transposed(dy), Operand::Normal(x));
            multiply(
                arithmetic,
                Finish::accumulated(&mut dw),
                Operand::Transposed(dy),
                Operand::Normal(x),
            );
        }
    }
    if let Some(db) = db {
        crate::reduce::add_column_sums(arithmetic.level, db, dy);
    }
}

/// `out = alpha * a b`, in `f32`; `out` is `[m, n]`.
pub fn matmul(level: Level, mut out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
    check(&out, a, b);
    multiply(level.into(), Finish::scaled(&mut out, alpha), a, b);
}

fn check(out: &MatMut<'_>, a: Operand<'_>, b: Operand<'_>) {
    assert_eq!(
        (out.rows(), out.cols(), a.cols()),
        (a.rows(), b.cols(), b.rows()),
        "product: out, a and b"
    );
}

/// Packs `b` and multiplies.
fn multiply(arithmetic: Arithmetic, finish: Finish<'_>, a: Operand<'_>, b: Operand<'_>) {
    let (n, slices) = (b.cols(), Slices::new(b.rows(), arithmetic.format()));
    let level = arithmetic.level;
    let (words, scales) = pack::panels_len(n, slices);
    scratch::shared(words + scales, |storage| {
        pack::pack(level, storage, b, slices);
        Product {
            level,
            a,
            panels: Panels::new(storage, n, slices),
            finish,
        }
        .run();
    });
}

/// One product with its right operand packed.
#[derive(Clone, Copy)]
struct Product<'a> {
    level: Level,
    a: Operand<'a>,
    panels: Panels<'a>,
    finish: Finish<'a>,
}

impl Product<'_> {
    /// Cuts the result into tasks and runs them.
    fn run(self) {
        let (m, panels, slices) = (
            self.a.rows(),
            self.panels.columns().div_ceil(PANEL),
            self.panels.slices(),
        );
        assert_eq!(self.a.cols(), slices.k(), "packed operand");
        if m == 0 || panels == 0 {
            return;
        }
        let rows = self.block_rows();
        let blocks = m.div_ceil(rows);
        let groups = team::tasks().div_ceil(blocks).min(panels);
        team::for_each(blocks * groups, &|task| {
            let (block, part) = (task / groups, task % groups);
            let rows = block * rows..((block + 1) * rows).min(m);
            let panels = part * panels / groups..(part + 1) * panels / groups;
            scratch::local(Left::buffer_len(rows.len(), slices), |buffer| {
                let left = Left::new(self.a, rows, slices, buffer);
                self.level.run(Task {
                    product: self,
                    panels,
                    left,
                });
            });
        });
    }

    /// Rows of a block: about equal blocks, whole strips.
    fn block_rows(&self) -> usize {
        let (m, slices) = (self.a.rows(), self.panels.slices());
        let strip = if slices.format().is_tiled() {
            left::BLOCK
        } else {
            self.level.tile_rows()
        };
        let fit = (cache::strip_words() / slices.words(0).max(1)).max(strip);
        let most = fit.min(m.div_ceil(team::tasks()).max(FEW_STRIPS * strip));
        m.div_ceil(m.div_ceil(most)).next_multiple_of(strip)
    }
}
