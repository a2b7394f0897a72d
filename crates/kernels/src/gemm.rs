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

use std::ops::Range;

use crate::{
    Arithmetic, Epilogue, Level, LinearBackward, MatMut, MatRef, PackedWeight, cache,
    cpu::Kernel,
    epilogue::{Finish, Slice},
    left::{self, Left},
    pack::{self, Panels},
    scratch,
    simd::Vector,
    slices::Slices,
    team,
    tile::{Later, Multiply, PANEL, Rows, Sums, Tile},
};

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

/// Some rows of the result by some panels.
struct Task<'a> {
    product: Product<'a>,
    panels: Range<usize>,
    left: Left<'a>,
}

impl Kernel for Task<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (slices, rows) = (self.left.slices, self.left.rows.len());
        let height = rows.div_ceil(rows.div_ceil(V::TILE_ROWS));
        for slice in 0..slices.count() {
            self.left.pack::<V>(slice, height);
            if slices.format().is_tiled() {
                if slices.format().is_offset() {
                    self.tiles::<V, true>(slice);
                } else {
                    self.tiles::<V, false>(slice);
                }
            } else {
                self.strips::<V>(slice, height, self.product.level.multiply(slices.format()));
            }
        }
    }
}

impl Task<'_> {
    /// All panels by all strips.
    #[inline(always)]
    fn strips<V: Vector>(&self, slice: usize, height: usize, multiply: Multiply) {
        let (rows, words) = (self.left.rows.len(), self.left.slices.words(slice));
        let mut sums = Sums::new();
        for panel in self.panels.clone() {
            let b = self.product.panels.words(panel, slice);
            let (place, starts) = (
                self.place(panel, slice),
                self.product.panels.starts(panel, slice),
            );
            let next = self.next_panel(panel, slice);
            let tiles = rows.div_ceil(height);
            for (tile, first) in (0..rows).step_by(height).enumerate() {
                let rows = height.min(rows - first);
                let strip = &self.left.packed()[first * words..(first + rows) * words];
                let tile = Tile {
                    a: strip.as_ptr(),
                    rows: Rows::Adjacent { step: rows },
                    height: rows,
                    b: b.as_ptr(),
                    columns: self.columns(panel),
                    k: words,
                    start: starts.map_or(std::ptr::null(), |starts| starts.as_ptr()),
                    sums: sums.0.as_mut_ptr().cast(),
                    next: self
                        .product
                        .finish
                        .next(self.left.rows.start + first, panel * PANEL),
                    later: Later::part(next, tile, tiles),
                };
                // SAFETY: `strip` and `b` are slices of just the lengths that the tile reads; the format of `multiply` has starts
                // if it reads them; `sums` holds every tile; `Level::multiply` checked the instruction set.
                unsafe { multiply(tile) };
                for (r, sums) in sums.0.iter().enumerate().take(rows) {
                    self.finish::<V>(first + r, place, sums);
                }
            }
        }
    }

    /// All panels by all blocks of 32 rows. The rows of one are finished between the steps of the next.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn tiles<V: Vector, const BYTES: bool>(&self, slice: usize) {
        use crate::simd::amx::{BLOCK, STEP, Tiles};
        let (rows, stride, steps) = (
            self.left.rows.len(),
            self.left.stride(slice),
            self.left.slices.words(slice) / STEP,
        );
        let (mut sums, mut turn) = ([[[0.0; BLOCK]; BLOCK]; 2], 0);
        let mut open = Open {
            place: self.place(self.panels.start, slice),
            rows: 0..0,
        };
        // SAFETY: only a level with AMX has operands in tiles, and it was checked; no other tiles live on this thread, since
        // nothing below starts another product.
        let mut tiles = unsafe { Tiles::configure() };
        for panel in self.panels.clone() {
            let (place, b) = (
                self.place(panel, slice),
                self.product.panels.words(panel, slice),
            );
            for first in (0..rows).step_by(BLOCK) {
                let a = &self.left.packed()[first * stride..(first + BLOCK) * stride];
                match self.product.panels.starts(panel, slice) {
                    Some(starts) => tiles.start(starts),
                    None => tiles.zero(),
                }
                let (count, mut credit) = (open.rows.len(), 0);
                for step in 0..steps {
                    let (a, b) = (
                        a[step * STEP..].as_ptr(),
                        b[step * STEP * PANEL..(step + 1) * STEP * PANEL].as_ptr(),
                    );
                    // SAFETY: `a` holds 32 rows from there on, `b` the step's rows of words.
                    unsafe {
                        if first + STEP < rows {
                            tiles.step::<BYTES>(a, stride, b);
                        } else {
                            tiles.half_step::<BYTES>(a, stride, b);
                        }
                    }
                    credit += count;
                    while credit >= steps {
                        credit -= steps;
                        self.finish_next::<V>(&mut open, &sums[1 - turn]);
                    }
                }
                while !open.rows.is_empty() {
                    self.finish_next::<V>(&mut open, &sums[1 - turn]);
                }
                tiles.store(&mut sums[turn]);
                if BYTES {
                    to_floats(&mut sums[turn]);
                }
                turn = 1 - turn;
                open = Open {
                    place,
                    rows: first..rows.min(first + BLOCK),
                };
            }
        }
        drop(tiles);
        while !open.rows.is_empty() {
            self.finish_next::<V>(&mut open, &sums[1 - turn]);
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn tiles<V: Vector, const BYTES: bool>(&self, _: usize) {
        unreachable!("a level with AMX on another architecture");
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn finish_next<V: Vector>(&self, open: &mut Open<'_>, sums: &[[f32; PANEL]; PANEL]) {
        let row = open.rows.start;
        open.rows.start += 1;
        self.finish::<V>(row, open.place, &sums[row % PANEL]);
    }

    /// Sums of row `row` of the block.
    #[inline(always)]
    fn finish<V: Vector>(&self, row: usize, place: Place<'_>, sums: &[f32; PANEL]) {
        let scales = self.left.scale(row).zip(place.scales);
        let (slice, sums) = (
            Slice {
                first: place.first,
                last: place.last,
                scales,
            },
            &sums[..self.columns(place.panel)],
        );
        // SAFETY: tasks are disjoint blocks of rows by panels.
        unsafe {
            self.product.finish.slice::<V>(
                self.left.rows.start + row,
                place.panel * PANEL,
                sums,
                slice,
            )
        };
    }

    /// A panel and a slice. Once for all rows: it takes divisions.
    #[inline(always)]
    fn place(&self, panel: usize, slice: usize) -> Place<'_> {
        let scales = self.product.panels.scales(panel, slice);
        Place {
            panel,
            first: slice == 0,
            last: slice + 1 == self.left.slices.count(),
            scales,
        }
    }

    /// The words that are multiplied with after those of a panel; after the last one, its own.
    #[inline(always)]
    fn next_panel(&self, panel: usize, slice: usize) -> &[f32] {
        let (panels, words) = (&self.panels, |panel, slice| {
            self.product.panels.words(panel, slice)
        });
        match (panel + 1 < panels.end, slice + 1 < self.left.slices.count()) {
            (true, _) => words(panel + 1, slice),
            (false, true) => words(panels.start, slice + 1),
            (false, false) => words(panel, slice),
        }
    }

    /// Columns of a panel.
    #[inline(always)]
    fn columns(&self, panel: usize) -> usize {
        PANEL.min(self.product.panels.columns() - panel * PANEL)
    }
}

/// Where sums are from.
#[derive(Clone, Copy)]
struct Place<'a> {
    panel: usize,
    /// Of the slices.
    first: bool,
    last: bool,
    scales: Option<&'a [f32; PANEL]>,
}

/// Sums of bytes are integers.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn to_floats(sums: &mut [[f32; PANEL]; PANEL]) {
    for sum in sums.as_flattened_mut() {
        *sum = sum.to_bits().cast_signed() as f32;
    }
}

/// Rows whose sums are waiting to be finished.
#[cfg(target_arch = "x86_64")]
struct Open<'a> {
    place: Place<'a>,
    rows: Range<usize>,
}
