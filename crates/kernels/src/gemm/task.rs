//! One task of a product: some rows of the result by some panels.

use std::ops::Range;

use super::Product;
use crate::{
    cpu::Kernel,
    epilogue::Slice,
    left::Left,
    simd::Vector,
    tile::{Later, Multiply, PANEL, Rows, Sums, Tile},
};

/// Some rows of the result by some panels.
pub(super) struct Task<'a> {
    pub(super) product: Product<'a>,
    pub(super) panels: Range<usize>,
    pub(super) left: Left<'a>,
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

    #[cfg(not(target_arch = "x86_64"))]
    fn tiles<V: Vector, const BYTES: bool>(&self, _: usize) {
        unreachable!("a level with AMX on another architecture");
    }

    /// Sums of row `row` of the block.
    #[inline(always)]
    pub(super) fn finish<V: Vector>(&self, row: usize, place: Place<'_>, sums: &[f32; PANEL]) {
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
    pub(super) fn place(&self, panel: usize, slice: usize) -> Place<'_> {
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

/// The panel and slice that sums belong to.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    panel: usize,
    /// Whether the slice is the first of the product.
    first: bool,
    /// Whether it is the last one, after which sums are finished.
    last: bool,
    /// Scale of each column in the slice, in formats of integers.
    scales: Option<&'a [f32; PANEL]>,
}
