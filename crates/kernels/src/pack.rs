//! The right-hand side of a matrix product in panels: `[columns / PANEL][k][PANEL]`, the last panel filled up with zeros.

use rayon::prelude::*;

use crate::{MatRef, tile::PANEL};

/// Steps of `k` packed together: a block of a panel then stays in the first-level cache while columns are written into it.
const STEPS: usize = 16;

/// A weight `[out, in]` packed for the forward product.
pub struct PackedWeight {
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) panels: Vec<f32>,
}

/// Floats that `n` columns of `k` steps take.
pub(crate) fn packed_len(n: usize, k: usize) -> usize {
    n.div_ceil(PANEL) * PANEL * k
}

impl PackedWeight {
    /// Packs `w` `[out, in]`.
    pub fn new(w: MatRef<'_>) -> Self {
        let (n, k) = (w.rows(), w.cols());
        let mut panels = vec![0.0; packed_len(n, k)];
        pack_transposed(&mut panels, w);
        Self { k, n, panels }
    }

    /// Rows of the weight: the width of the product.
    pub fn out_features(&self) -> usize {
        self.n
    }

    /// Columns of the weight: the width of the input.
    pub fn in_features(&self) -> usize {
        self.k
    }
}

/// Packs `bᵀ` for `b` `[n, k]`.
pub(crate) fn pack_transposed(panels: &mut [f32], b: MatRef<'_>) {
    let k = b.cols();
    if k == 0 {
        return;
    }
    panels.par_chunks_mut(PANEL * k).enumerate().for_each(|(i, panel)| {
        let first = i * PANEL;
        let columns = PANEL.min(b.rows() - first);
        for (start, block) in panel.chunks_mut(STEPS * PANEL).enumerate() {
            block.fill(0.0);
            let (from, steps) = (start * STEPS, block.len() / PANEL);
            for c in 0..columns {
                for (l, &x) in b.row(first + c)[from..from + steps].iter().enumerate() {
                    block[l * PANEL + c] = x;
                }
            }
        }
    });
}

/// Packs `b` `[k, n]`.
pub(crate) fn pack_rows(panels: &mut [f32], b: MatRef<'_>) {
    let k = b.rows();
    if k == 0 {
        return;
    }
    panels.par_chunks_mut(PANEL * k).enumerate().for_each(|(i, panel)| {
        let first = i * PANEL;
        let columns = PANEL.min(b.cols() - first);
        for (l, step) in panel.chunks_mut(PANEL).enumerate() {
            step[..columns].copy_from_slice(&b.row(l)[first..first + columns]);
            step[columns..].fill(0.0);
        }
    });
}
