//! The left operand of a product, packed: some of its rows and one slice of their steps at a time.

use std::ops::Range;

use crate::{
    MatRef, Operand, pack,
    precision::Format,
    scale::Scale,
    simd::Vector,
    slices::Slices,
    words::{self, Side},
};

/// Rows of the operand, with room for one slice of them.
pub(crate) struct Left<'a> {
    pub(crate) operand: Operand<'a>,
    pub(crate) rows: Range<usize>,
    pub(crate) slices: Slices,
    /// Strips of `[words][rows]`; or, for tiles, rows of words [`Left::stride`] apart.
    storage: &'a mut [f32],
    /// Words before they are moved, scales of columns, or a row while it is rotated.
    scratch: &'a mut [f32],
    /// What a row's sums are to be multiplied by; integers only.
    downs: &'a mut [f32],
}

/// Words between rows for tiles beyond those of a slice: rows a multiple of 4 KiB apart would share the places of a cache set.
const GAP: usize = 16;

/// Rows of tiles.
pub(crate) const BLOCK: usize = 32;

impl<'a> Left<'a> {
    /// Floats of buffer that `rows` rows need.
    pub(crate) fn buffer_len(rows: usize, slices: Slices) -> usize {
        let [storage, scratch, downs] = Self::lens(rows, slices);
        storage + scratch + downs
    }

    fn lens(rows: usize, slices: Slices) -> [usize; 3] {
        let (width, format) = (slices.words(0), slices.format());
        match format {
            Format::F32 => [rows * width, 0, 0],
            Format::Tiles | Format::Tiles3 => [
                rows.next_multiple_of(BLOCK) * (width + GAP),
                rows * width,
                0,
            ],
            Format::Rounded | Format::Bf16 => [rows * width, rows * width, 0],
            Format::Int16 => [rows * width, rows * (width + 2), rows],
            Format::Bytes | Format::WideBytes => {
                [rows * width, rows * width + slices.rotated(), rows]
            }
            Format::ByteTiles => [
                rows.next_multiple_of(BLOCK) * (width + GAP),
                slices.rotated(),
                rows,
            ],
        }
    }

    pub(crate) fn new(
        operand: Operand<'a>,
        rows: Range<usize>,
        slices: Slices,
        buffer: &'a mut [f32],
    ) -> Self {
        let [storage, scratch, _] = Self::lens(rows.len(), slices);
        let (storage, rest) = buffer.split_at_mut(storage);
        let (scratch, downs) = rest.split_at_mut(scratch);
        Self {
            operand,
            rows,
            slices,
            storage,
            scratch,
            downs,
        }
    }

    /// Words between the starts of rows, for tiles.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn stride(&self, slice: usize) -> usize {
        self.slices.words(slice) + GAP
    }

    /// What was packed last.
    #[inline(always)]
    pub(crate) fn packed(&self) -> &[f32] {
        self.storage
    }

    /// The factor of a row's sums, if there is one.
    #[inline(always)]
    pub(crate) fn scale(&self, row: usize) -> Option<f32> {
        self.downs.get(row).copied()
    }

    /// Packs a slice, in strips of `height` rows.
    #[inline(always)]
    pub(crate) fn pack<V: Vector>(&mut self, slice: usize, height: usize) {
        let values = self.slices.values(slice);
        match self.operand {
            Operand::Normal(a) => {
                let a = a
                    .row_range(self.rows.start, self.rows.end)
                    .col_range(values.start, values.end);
                self.pack_rows::<V>(a, self.slices.words(slice), height);
            }
            Operand::Transposed(a) => {
                let a = a
                    .row_range(values.start, values.end)
                    .col_range(self.rows.start, self.rows.end);
                self.pack_columns::<V>(a, self.slices.words(slice), height);
            }
        }
    }

    /// `a` `[rows, values]`.
    #[inline(always)]
    fn pack_rows<V: Vector>(&mut self, a: MatRef<'_>, width: usize, height: usize) {
        let format = self.slices.format();
        match format {
            Format::F32 => pack::transpose_strips::<V>(self.storage, a, height),
            _ if format.is_tiled() => {
                for (row, words) in self
                    .storage
                    .chunks_exact_mut(width + GAP)
                    .take(a.rows())
                    .enumerate()
                {
                    let down = words::row::<V>(
                        &mut words[..width],
                        a.row(row),
                        self.scratch,
                        format,
                        Side::Left,
                    );
                    set(self.downs, row, down);
                }
            }
            _ => {
                let (words, rotated) = self.scratch.split_at_mut(a.rows() * width);
                for row in 0..a.rows() {
                    let words = &mut words[row * width..(row + 1) * width];
                    set(
                        self.downs,
                        row,
                        words::row::<V>(words, a.row(row), rotated, format, Side::Left),
                    );
                }
                pack::transpose_strips::<V>(
                    self.storage,
                    MatRef::new(a.rows(), width, words),
                    height,
                );
            }
        }
    }

    /// `a` `[values, rows]`.
    #[inline(always)]
    fn pack_columns<V: Vector>(&mut self, a: MatRef<'_>, width: usize, height: usize) {
        let (rows, format) = (a.cols(), self.slices.format());
        assert!(!format.is_rotated(), "only forward products rotate");
        if format == Format::F32 {
            return pack::copy_strips(self.storage, a, 0..rows, height);
        }
        let (words, scales) = self.scratch.split_at_mut(rows * width);
        let (ups, squares) = scales.split_at_mut(scales.len() / 2);
        if format == Format::Int16 {
            Scale::of_columns::<V>(a, ups, self.downs, squares);
        }
        for (step, words) in words.chunks_exact_mut(rows).enumerate() {
            words::across::<V>(words, a, step, ups, format, Side::Left);
        }
        let words = MatRef::new(width, rows, words);
        if format.is_tiled() {
            pack::transpose::<V>(self.storage, width + GAP, words);
        } else {
            pack::copy_strips(self.storage, words, 0..rows, height);
        }
    }
}

/// Keeps the factor of a row, in a format that has factors.
#[inline(always)]
fn set(downs: &mut [f32], row: usize, down: f32) {
    if let Some(kept) = downs.get_mut(row) {
        *kept = down;
    }
}
