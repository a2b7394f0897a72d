//! The two products of attention: queries with keys, and scores with values or gradients.

use std::ops::Range;

use crate::{
    MatRef, pack,
    simd::Vector,
    tile::{Later, MAX_ROWS, Multiply, Next, PANEL, Rows, Sums, Tile},
};

/// Height of the strips that `len` rows are cut into: about equal, at most a tile.
fn strip_height<V: Vector>(len: usize) -> usize {
    len.div_ceil(len.div_ceil(V::TILE_ROWS))
}

/// Rows of a matrix in strips, each `[k][its rows]`.
pub(super) struct Strips<'a> {
    values: &'a [f32],
    rows: usize,
    /// Rows of every strip but the last, which may have fewer.
    height: usize,
    /// The register tile of a format.
    multiply: Multiply,
}

impl<'a> Strips<'a> {
    /// Packs `from` `[rows, k]` into `storage` of as many values.
    #[inline(always)]
    pub(super) fn pack<V: Vector>(storage: &'a mut [f32], from: MatRef<'_>) -> Self {
        Self::pack_words::<V>(storage, from, V::multiply)
    }

    /// Packs `from` as [`Self::pack`] does; its values are words of another format, which `multiply` multiplies.
    #[inline(always)]
    pub(super) fn pack_words<V: Vector>(
        storage: &'a mut [f32],
        from: MatRef<'_>,
        multiply: Multiply,
    ) -> Self {
        let rows = from.rows();
        let height = strip_height::<V>(rows);
        pack::transpose_strips::<V>(storage, from, height);
        Self {
            values: storage,
            rows,
            height,
            multiply,
        }
    }

    /// Columns of the matrix.
    pub(super) fn k(&self) -> usize {
        self.values.len() / self.rows
    }

    /// `out[key][query] = row keys.start + key of the strips . column query of the panel`.
    ///
    /// The first and the last strip that hold some of `keys` may be read in part: their rows lie side by side.
    #[inline(always)]
    pub(super) fn multiply(
        &self,
        out: &mut [f32],
        keys: &Range<usize>,
        panel: &[f32],
        queries: usize,
    ) {
        let k = panel.len() / PANEL;
        assert_eq!(
            (out.len(), self.values.len(), panel.len()),
            (keys.len() * PANEL, self.rows * k, k * PANEL),
            "whole rows"
        );
        assert!(keys.end <= self.rows, "keys of the text");
        let first_strip = keys.start / self.height * self.height;
        for strip in (first_strip..keys.end).step_by(self.height) {
            let step = self.height.min(self.rows - strip);
            let first = keys.start.max(strip);
            let end = keys.end.min(strip + step);
            let tile = Tile {
                a: self.values[strip * k + first - strip..].as_ptr(),
                rows: Rows::Adjacent { step },
                height: end - first,
                b: panel.as_ptr(),
                columns: queries,
                k,
                start: std::ptr::null(),
                sums: out[(first - keys.start) * PANEL..].as_mut_ptr(),
                next: Next::none(panel.as_ptr()),
                later: Later::none(panel.as_ptr()),
            };
            // SAFETY: by the assertions, `step * k` values of the strip exist, of which the tile reads `end - first` at each of
            // `k` steps, the panel's `k` steps, and rows `first..end` of `out`. Who packed the strips has the instruction set.
            unsafe { (self.multiply)(tile) };
        }
    }
}

/// A product whose left operand is a block of transposed scores `[keys][PANEL]`, read as it lies or transposed.
pub(super) struct ScoreProduct<'a> {
    pub(super) scores: &'a [f32],
    /// Whether rows of the product are queries; else keys.
    pub(super) by_query: bool,
    /// Queries of the block.
    pub(super) queries: usize,
    /// Right operand, whose rows are keys if `by_query`, else queries.
    pub(super) panels: Panels<'a>,
}

/// Rows of a matrix in panels of [`PANEL`] columns, some of which are multiplied with.
pub(super) struct Panels<'a> {
    pub(super) values: &'a [f32],
    /// Rows of every panel.
    pub(super) rows: usize,
    /// First row to multiply with.
    pub(super) first: usize,
    /// Columns of all panels together.
    pub(super) width: usize,
}

impl ScoreProduct<'_> {
    /// How rows of the left operand lie, the distance from one to the next, and their length.
    #[inline(always)]
    fn left(&self, rows: &Range<usize>) -> (Rows, usize, usize) {
        let keys = self.scores.len() / PANEL;
        assert!(
            self.scores.len() == keys * PANEL && self.queries <= PANEL,
            "a block of scores"
        );
        let (all_rows, layout, stride, k) = match self.by_query {
            true => (self.queries, Rows::Adjacent { step: PANEL }, 1, keys),
            false => (keys, Rows::Panels, PANEL, self.queries),
        };
        assert!(rows.end <= all_rows, "rows of the product");
        (layout, stride, k)
    }

    /// Calls `row(i, first column, sums)` for each of some rows and each panel of the product.
    #[inline(always)]
    pub(super) fn run<V: Vector>(
        &self,
        rows: Range<usize>,
        row: impl FnMut(usize, usize, &mut [f32]),
    ) {
        self.run_words::<V>(V::multiply, rows, row);
    }

    /// Calls `row` as [`Self::run`] does; both operands are words of another format, which `multiply` multiplies.
    #[inline(always)]
    pub(super) fn run_words<V: Vector>(
        &self,
        multiply: Multiply,
        rows: Range<usize>,
        mut row: impl FnMut(usize, usize, &mut [f32]),
    ) {
        if rows.is_empty() {
            return;
        }
        let height = strip_height::<V>(rows.len());
        let (layout, stride, k) = self.left(&rows);
        assert!(height <= MAX_ROWS, "rows of a tile");
        let Panels {
            values,
            rows: panel_rows,
            first: entry,
            width,
        } = self.panels;
        let mut sums = Sums::new();
        for (i, panel) in values
            .chunks_exact(panel_rows * PANEL)
            .take(width.div_ceil(PANEL))
            .enumerate()
        {
            let panel = &panel[entry * PANEL..(entry + k) * PANEL];
            let columns = PANEL.min(width - i * PANEL);
            for first in rows.clone().step_by(height) {
                let height = height.min(rows.end - first);
                let tile = Tile {
                    a: self.scores[first * stride..].as_ptr(),
                    rows: layout,
                    height,
                    b: panel.as_ptr(),
                    columns,
                    k,
                    start: std::ptr::null(),
                    sums: sums.0.as_mut_ptr().cast(),
                    next: Next::none(panel.as_ptr()),
                    later: Later::none(panel.as_ptr()),
                };
                // SAFETY: rows `first..first + height` and all `k` steps lie in the block of scores, transposed or not;
                // `panel` has `k` steps; `sums` holds every tile. The caller has the instruction set.
                unsafe { multiply(tile) };
                for (r, sums) in sums.0.iter_mut().enumerate().take(height) {
                    row(first + r, i * PANEL, &mut sums[..columns]);
                }
            }
        }
    }
}
