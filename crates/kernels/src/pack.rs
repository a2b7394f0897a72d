//! Operands laid out as the tile reads them.
//!
//! The right operand `b` `[k, n]` becomes panels of 32 columns, each `[k][32]`, the last filled up with zeros. The left one
//! becomes strips of up to 12 rows, each `[k][rows]`. Both are one move: a matrix is copied in narrow columns, or
//! transposed in narrow columns. The transposition goes through registers, 8 by 8: element by element it would cost a fifth
//! of a product of 2,000 rows.

use rayon::prelude::*;

use crate::{Level, MatRef, aligned::Aligned, cpu::Kernel, simd::Vector, tile::PANEL};

/// A weight `[out, in]` packed for the forward product.
pub struct PackedWeight {
    rows: usize,
    cols: usize,
    panels: Aligned,
}

impl PackedWeight {
    /// Packs `w` `[out, in]`.
    pub fn new(level: Level, w: MatRef<'_>) -> Self {
        let (rows, cols) = (w.rows(), w.cols());
        let mut panels = Aligned::default();
        pack_transposed(level, panels.first_mut(panels_len(rows, cols)), w);
        Self { rows, cols, panels }
    }

    /// Rows of the weight: the width of the product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the weight: the width of the input.
    pub fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn panels(&self) -> &[f32] {
        &self.panels.values()[..panels_len(self.rows, self.cols)]
    }

    /// The weight as it was.
    pub fn unpack(&self) -> crate::Mat {
        let at = |row: usize, col: usize| self.panels()[(row / PANEL * self.cols + col) * PANEL + row % PANEL];
        let values = (0..self.rows).flat_map(|row| (0..self.cols).map(move |col| at(row, col)));
        crate::Mat::from_vec(self.rows, self.cols, values.collect())
    }
}

/// Floats that `n` columns of `k` steps take.
pub(crate) fn panels_len(n: usize, k: usize) -> usize {
    n.next_multiple_of(PANEL) * k
}

/// Packs `bᵀ` for `b` `[n, k]`.
pub(crate) fn pack_transposed(level: Level, panels: &mut [f32], b: MatRef<'_>) {
    panels.par_chunks_mut((PANEL * b.cols()).max(1)).enumerate().for_each(|(i, panel)| {
        let rows = b.row_range(i * PANEL, (i * PANEL + PANEL).min(b.rows()));
        level.run(Transpose { to: panel, from: rows });
    });
}

/// Packs `b` `[k, n]`.
pub(crate) fn pack_rows(panels: &mut [f32], b: MatRef<'_>) {
    panels.par_chunks_mut((PANEL * b.rows()).max(1)).enumerate().for_each(|(i, panel)| {
        copy_panel(panel, b, i * PANEL);
    });
}

/// Packs `b` `[k, n]` on this thread.
#[inline(always)]
pub(crate) fn copy_panels(panels: &mut [f32], b: MatRef<'_>) {
    for (i, panel) in panels.chunks_exact_mut(PANEL * b.rows()).take(b.cols().div_ceil(PANEL)).enumerate() {
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

struct Transpose<'a> {
    to: &'a mut [f32],
    from: MatRef<'a>,
}

impl Kernel for Transpose<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        transpose_panel::<V>(self.to, self.from);
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
        transpose::<V>(&mut to[first * from.cols()..], end - first, from.row_range(first, end));
    }
}

/// `to[l * step + r] = from[r][l]`.
#[inline(always)]
fn transpose<V: Vector>(to: &mut [f32], step: usize, from: MatRef<'_>) {
    let (rows, k) = (from.rows(), from.cols());
    if rows < 8 {
        return transpose_scalar(to, step, from, 0);
    }
    let whole = k / 8 * 8;
    assert!(step >= rows && to.len() >= k * step && from.data().len() >= (rows - 1) * from.stride() + k);
    for first in (0..rows).step_by(8) {
        // The last block overlaps the one before it instead of being short.
        let r = first.min(rows - 8);
        for l in (0..whole).step_by(8) {
            // SAFETY: rows r..r + 8 and columns l..l + 8 of `from` exist, and so do the places of `to`: the assertion.
            unsafe {
                let source = from.data().as_ptr().add(r * from.stride() + l);
                V::transpose8(source, from.stride(), to.as_mut_ptr().add(l * step + r), step);
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
pub(crate) fn copy_strips(to: &mut [f32], from: MatRef<'_>, columns: std::ops::Range<usize>, height: usize) {
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
