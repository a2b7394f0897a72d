//! Operands laid out as the tile reads them.
//!
//! The right operand `b` `[k, n]` becomes panels of 32 columns, each `[k][32]`, the last filled up with zeros. The left one
//! becomes strips of up to 12 rows, each `[k][rows]`. Both are one move: a matrix is copied in narrow columns, or
//! transposed in narrow columns. The transposition goes through registers, 8 by 8: element by element it would cost a fifth
//! of a product of 2,000 rows.
//!
//! In a format of less than 32 bits values become words first ([`crate::words`]), and `k` counts words. A word travels in the place of an
//! `f32` and is moved, never calculated with. So does the integer that the sums of a column of bytes start at: the left operand's bytes
//! are too large by an offset, so these sums would be too large by the offset times the sum of the column.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    Level, MatRef, Operand,
    cpu::Kernel,
    precision::{Format, OFFSET},
    rotate,
    scale::Scale,
    scratch,
    simd::{Vector, portable::Portable},
    slices::Slices,
    tile::PANEL,
    words::{self, Side},
};

/// Number of `f32` and of scales that the panels of an operand of `n` columns take.
pub(crate) fn panels_len(n: usize, slices: Slices) -> (usize, usize) {
    let panels = n.div_ceil(PANEL);
    let extras = slices.format().extras() * slices.count();
    (panels * PANEL * slices.total(), panels * PANEL * extras)
}

/// A right operand, packed: `[panels][slices][words][32]`, and for integers `[panels][slices][32]` scales, each row of them followed by one of
/// starts in formats with an offset.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    words: &'a [f32],
    scales: &'a [f32],
    slices: Slices,
    columns: usize,
}

impl<'a> Panels<'a> {
    /// `storage` as [`pack`] filled it.
    pub(crate) fn new(storage: &'a [f32], columns: usize, slices: Slices) -> Self {
        let (words, scales) = panels_len(columns, slices);
        assert_eq!(storage.len(), words + scales, "a packed operand");
        let (words, scales) = storage.split_at(words);
        Self {
            words,
            scales,
            slices,
            columns,
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn slices(&self) -> Slices {
        self.slices
    }

    /// The words of a slice of a panel.
    #[inline(always)]
    pub(crate) fn words(&self, panel: usize, slice: usize) -> &'a [f32] {
        let start = (panel * self.slices.total() + self.slices.start(slice)) * PANEL;
        &self.words[start..start + self.slices.words(slice) * PANEL]
    }

    /// The scales of a slice of a panel, if there are any.
    #[inline(always)]
    pub(crate) fn scales(&self, panel: usize, slice: usize) -> Option<&'a [f32; PANEL]> {
        self.extra(panel, slice, 0)
    }

    /// The integers that the sums of a slice of a panel start at, if they start at any.
    #[inline(always)]
    pub(crate) fn starts(&self, panel: usize, slice: usize) -> Option<&'a [f32; PANEL]> {
        if self.slices.format().is_offset() {
            self.extra(panel, slice, 1)
        } else {
            None
        }
    }

    #[inline(always)]
    fn extra(&self, panel: usize, slice: usize, extra: usize) -> Option<&'a [f32; PANEL]> {
        let row = (panel * self.slices.count() + slice) * self.slices.format().extras() + extra;
        self.scales
            .get(row * PANEL..)
            .and_then(|scales| scales.first_chunk())
    }

    /// The values of column `column`, as they are multiplied.
    pub(crate) fn column(&self, column: usize) -> Vec<f32> {
        let (slices, format) = (self.slices, self.slices.format());
        let of_slice = |slice: usize| {
            let mut values: Vec<f32> = (0..slices.stored(slice))
                .map(|step| self.value(slice, step, column))
                .collect();
            if format.is_rotated() {
                // The matrix is its own inverse, but for the factor that the scale has.
                let rotated = values.clone();
                rotate::rotate::<Portable>(&mut values, &rotated);
            }
            values.truncate(slices.values(slice).len());
            values
        };
        (0..slices.count()).flat_map(of_slice).collect()
    }

    /// The value of step `within` of a slice of column `column`, as it is stored.
    fn value(&self, slice: usize, within: usize, column: usize) -> f32 {
        let (slices, format) = (self.slices, self.slices.format());
        let (panel, lane, per) = (column / PANEL, column % PANEL, format.values_per_word());
        let part = |part: usize| {
            let word =
                self.words(panel, slice)[(part * slices.part(slice) + within / per) * PANEL + lane];
            words::value(word.to_bits(), within % per, format)
        };
        // The right operand's parts are hi, mid, hi.
        let value = if format.parts() > 1 {
            part(0) + part(1)
        } else {
            part(0)
        };
        self.scales(panel, slice)
            .map_or(value, |scales| value * scales[lane])
    }
}

/// Packs `b` into `storage`.
pub(crate) fn pack(level: Level, storage: &mut [f32], b: Operand<'_>, slices: Slices) {
    let columns = b.cols();
    let (words, scales) = panels_len(columns, slices);
    assert_eq!(
        (storage.len(), b.rows()),
        (words + scales, slices.k()),
        "pack: storage and steps"
    );
    let (words, scales) = storage.split_at_mut(words);
    if words.is_empty() {
        return scales.fill(0.0);
    }
    let words = words.par_chunks_mut(PANEL * slices.total());
    let pack = |panel: usize, words: &mut [f32], scales: &mut [f32]| {
        let columns = panel * PANEL..((panel + 1) * PANEL).min(columns);
        let most = PANEL * (slices.words(0) + 1) + slices.rotated();
        scratch::local(most, |scratch| {
            level.run(Pack {
                words,
                scales,
                b,
                columns,
                slices,
                scratch,
            })
        });
    };
    match slices.format() {
        format if format.is_scaled() => words
            .zip(scales.par_chunks_mut(PANEL * slices.count() * format.extras()))
            .enumerate()
            .for_each(|(panel, (words, scales))| pack(panel, words, scales)),
        _ => words
            .enumerate()
            .for_each(|(panel, words)| pack(panel, words, &mut [])),
    }
}

/// One panel.
struct Pack<'a> {
    words: &'a mut [f32],
    scales: &'a mut [f32],
    b: Operand<'a>,
    columns: Range<usize>,
    slices: Slices,
    scratch: &'a mut [f32],
}

impl Kernel for Pack<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        match (self.b, self.slices.format()) {
            (Operand::Normal(b), Format::F32) => copy_panel(self.words, b, self.columns.start),
            (Operand::Transposed(b), Format::F32) => {
                transpose_panel::<V>(
                    self.words,
                    b.row_range(self.columns.start, self.columns.end),
                );
            }
            // Loops, no `for_each`: its closure would be compiled without the instruction set.
            (Operand::Normal(b), _) => {
                for slice in 0..self.slices.count() {
                    self.across::<V>(b, slice);
                }
            }
            (Operand::Transposed(b), _) => {
                for slice in 0..self.slices.count() {
                    self.along::<V>(b, slice);
                }
            }
        }
    }
}

impl Pack<'_> {
    /// The place of a slice.
    #[inline(always)]
    fn place(&self, slice: usize) -> Range<usize> {
        let start = self.slices.start(slice) * PANEL;
        start..start + self.slices.words(slice) * PANEL
    }

    /// A slice of columns that lie as rows `[columns, k]`.
    #[inline(always)]
    fn along<V: Vector>(&mut self, b: MatRef<'_>, slice: usize) {
        let (values, width, format) = (
            self.slices.values(slice),
            self.slices.words(slice),
            self.slices.format(),
        );
        let place = self.place(slice);
        let (rows, rotated) = self.scratch.split_at_mut(self.columns.len() * width);
        let extra = slice * PANEL * format.extras();
        for (i, row) in self.columns.clone().enumerate() {
            let words = &mut rows[i * width..][..width];
            let down = words::row::<V>(
                words,
                &b.row(row)[values.clone()],
                rotated,
                format,
                Side::Right,
            );
            if format.is_scaled() {
                self.scales[extra + i] = down;
            }
            if format.is_offset() {
                let start = -OFFSET * words::sum_of_bytes(words);
                self.scales[extra + PANEL + i] = f32::from_bits(start.cast_unsigned());
            }
        }
        transpose_panel::<V>(
            &mut self.words[place],
            MatRef::new(self.columns.len(), width, rows),
        );
    }

    /// A slice of columns that lie as such `[k, columns]`.
    #[inline(always)]
    fn across<V: Vector>(&mut self, b: MatRef<'_>, slice: usize) {
        let (values, place, format) = (
            self.slices.values(slice),
            self.place(slice),
            self.slices.format(),
        );
        assert!(!format.is_rotated(), "only forward products rotate");
        let x = b
            .row_range(values.start, values.end)
            .col_range(self.columns.start, self.columns.end);
        let (ups, squares) = self.scratch.split_at_mut(PANEL);
        if let Some(downs) = self.scales.get_mut(slice * PANEL..(slice + 1) * PANEL) {
            Scale::of_columns::<V>(x, ups, downs, squares);
        }
        for (step, row) in self.words[place].chunks_exact_mut(PANEL).enumerate() {
            let (row, beyond) = row.split_at_mut(x.cols());
            words::across::<V>(row, x, step, ups, format, Side::Right);
            beyond.fill(0.0);
        }
    }
}

/// Packs `b` `[k, n]` on this thread.
#[inline(always)]
pub(crate) fn copy_panels(panels: &mut [f32], b: MatRef<'_>) {
    for (i, panel) in panels
        .chunks_exact_mut(PANEL * b.rows())
        .take(b.cols().div_ceil(PANEL))
        .enumerate()
    {
        copy_panel(panel, b, i * PANEL);
    }
}

/// Columns `first..first + PANEL` of `b`, as far as there are.
#[inline(always)]
fn copy_panel(panel: &mut [f32], b: MatRef<'_>, first: usize) {
    let columns = PANEL.min(b.cols() - first);
    for (l, step) in panel.chunks_exact_mut(PANEL).take(b.rows()).enumerate() {
        let row = &b.row(l)[first..first + columns];
        match row.first_chunk::<PANEL>() {
            Some(whole) => step.copy_from_slice(whole),
            None => {
                step[..columns].copy_from_slice(row);
                step[columns..].fill(0.0);
            }
        }
    }
}

/// `from` `[up to PANEL, k]` to a panel, missing columns zero.
#[inline(always)]
pub(crate) fn transpose_panel<V: Vector>(to: &mut [f32], from: MatRef<'_>) {
    if from.rows() < PANEL {
        to[..from.cols() * PANEL].fill(0.0);
    }
    transpose::<V>(to, PANEL, from);
}

/// `from` `[rows, k]` to strips of at most `height` rows, each `[k][its rows]`.
#[inline(always)]
pub(crate) fn transpose_strips<V: Vector>(to: &mut [f32], from: MatRef<'_>, height: usize) {
    for first in (0..from.rows()).step_by(height) {
        let end = (first + height).min(from.rows());
        transpose::<V>(
            &mut to[first * from.cols()..],
            end - first,
            from.row_range(first, end),
        );
    }
}

/// `to[l * step + r] = from[r][l]`.
#[inline(always)]
pub(crate) fn transpose<V: Vector>(to: &mut [f32], step: usize, from: MatRef<'_>) {
    let (rows, k) = (from.rows(), from.cols());
    if rows < 8 {
        return transpose_scalar(to, step, from, 0);
    }
    let whole = k / 8 * 8;
    assert!(
        step >= rows && to.len() >= k * step && from.data().len() >= (rows - 1) * from.stride() + k
    );
    for first in (0..rows).step_by(8) {
        // The last block overlaps the one before it instead of being short.
        let r = first.min(rows - 8);
        for l in (0..whole).step_by(8) {
            // SAFETY: rows r..r + 8 and columns l..l + 8 of `from` exist, and so do the places of `to`: the assertion.
            unsafe {
                let source = from.data().as_ptr().add(r * from.stride() + l);
                V::transpose8(
                    source,
                    from.stride(),
                    to.as_mut_ptr().add(l * step + r),
                    step,
                );
            }
        }
    }
    transpose_scalar(to, step, from, whole);
}

/// The same from column `first` on, element by element.
#[inline(always)]
fn transpose_scalar(to: &mut [f32], step: usize, from: MatRef<'_>, first: usize) {
    for r in 0..from.rows() {
        for (l, &x) in from.row(r).iter().enumerate().skip(first) {
            to[l * step + r] = x;
        }
    }
}

/// Columns `first..first + rows` of `from` `[k, _]` to strips of at most `height` of them, each `[k][its rows]`.
#[inline(always)]
pub(crate) fn copy_strips(
    to: &mut [f32],
    from: MatRef<'_>,
    columns: std::ops::Range<usize>,
    height: usize,
) {
    let k = from.rows();
    for l in 0..k {
        let row = &from.row(l)[columns.clone()];
        for (i, piece) in row.chunks(height).enumerate() {
            let start = i * height * k + l * piece.len();
            match piece.first_chunk::<12>() {
                Some(whole) if height == 12 => to[start..start + 12].copy_from_slice(whole),
                _ => to[start..start + piece.len()].copy_from_slice(piece),
            }
        }
    }
}
