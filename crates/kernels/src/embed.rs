//! Embedding tables: the sum of one row of each per token, and its backward.

use crate::{
    MatMut, MatRef,
    parallel::{self, ROWS},
};

/// One row of a table for each token.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// The table; `[rows, d]`.
    pub table: MatRef<'a>,
    /// Row of the table for each token; `[t]`.
    pub rows: &'a [u32],
}

/// Where the gradient of a [`Lookup`] goes.
#[derive(Debug)]
pub struct LookupGradient<'a> {
    /// Accumulates; `[rows, d]`.
    pub d_table: MatMut<'a>,
    /// As in the forward.
    pub rows: &'a [u32],
    /// Row that receives no gradient: the `padding_idx` of `torch.nn.Embedding`.
    pub frozen_row: Option<u32>,
}

/// `y[r]` = sum over the lookups, in their order, of `table[rows[r]]`; `y` is assigned.
pub fn embed(mut y: MatMut<'_>, lookups: &[Lookup<'_>]) {
    let (tokens, cols) = (y.rows(), y.cols());
    let (first, others) = lookups.split_first().expect("embed: at least one table");
    for lookup in lookups {
        assert_eq!(
            (lookup.rows.len(), lookup.table.cols()),
            (tokens, cols),
            "embed: one row for each token, as wide as y"
        );
    }
    parallel::for_parts(y.data(), ROWS * cols, |i, y| {
        for (r, y) in y.chunks_exact_mut(cols).enumerate() {
            let r = i * ROWS + r;
            y.copy_from_slice(first.table.row(first.rows[r] as usize));
            for lookup in others {
                let row = lookup.table.row(lookup.rows[r] as usize);
                y.iter_mut().zip(row).for_each(|(y, x)| *y += x);
            }
        }
    });
}

/// Backward of [`embed`]: `d_table[rows[r]] += dy[r]` for each of the tables, in the order of the rows.
///
/// On one thread: two tokens may share a row of a table, and the work is a few additions per token.
pub fn embed_bwd(dy: MatRef<'_>, gradients: &mut [LookupGradient<'_>]) {
    for gradient in gradients.iter() {
        assert_eq!(
            (gradient.rows.len(), gradient.d_table.cols()),
            (dy.rows(), dy.cols()),
            "embed_bwd: one row for each token, as wide as dy"
        );
    }
    for r in 0..dy.rows() {
        for gradient in gradients.iter_mut() {
            let row = gradient.rows[r];
            if gradient.frozen_row != Some(row) {
                let d = gradient.d_table.row(row as usize);
                d.iter_mut().zip(dy.row(r)).for_each(|(d, x)| *d += x);
            }
        }
    }
}
