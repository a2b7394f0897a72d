//! What makes a row near: its dot product with the query, as it is or of unit vectors.

use matryo_kernels::{Mat, MatMut, MatRef, normalize};
use rayon::prelude::*;

/// Rows that a task copies: enough to be worth one.
const ROWS: usize = 1024;

/// Score of a row; more is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// Dot product of both scaled to length 1. A vector of zeros scores 0.
    #[default]
    Cosine,
    /// Dot product.
    Dot,
}

impl Metric {
    /// A contiguous copy of `rows`, scaled to what dot products give the score of.
    pub(crate) fn prepare(self, rows: MatRef<'_>) -> Mat {
        let mut copy = Mat::zeros(rows.rows(), rows.cols());
        let cols = rows.cols().max(1);
        copy.data_mut()
            .par_chunks_mut(ROWS * cols)
            .enumerate()
            .for_each(|(block, copy)| {
                for (i, copy) in copy.chunks_mut(cols).enumerate() {
                    self.prepare_row(copy, rows.row(block * ROWS + i));
                }
            });
        copy
    }

    /// The same for one row.
    pub(crate) fn prepare_row(self, copy: &mut [f32], row: &[f32]) {
        copy.copy_from_slice(row);
        if self == Self::Cosine {
            normalize(MatMut::new(1, row.len(), copy), &mut [0.0]);
        }
    }
}
