//! Sums of rows of embedding tables, and the scatter that is their backward.

use crate::{Lookup, LookupGradient, MatMut, MatRef};

/// `y[r]` = sum over the lookups of `table[rows[r]]`.
pub fn embed(mut y: MatMut<'_>, lookups: &[Lookup<'_>]) {
    for row in 0..y.rows() {
        for (col, y) in y.row(row).iter_mut().enumerate() {
            let value = |lookup: &Lookup<'_>| lookup.table.row(lookup.rows[row] as usize)[col];
            *y = lookups
                .iter()
                .map(|lookup| f64::from(value(lookup)))
                .sum::<f64>() as f32;
        }
    }
}

/// `d_table[i] += sum of dy[r] over the tokens r with rows[r] = i`, but for the frozen row.
pub fn embed_bwd(dy: MatRef<'_>, gradients: &mut [LookupGradient<'_>]) {
    for gradient in gradients {
        for i in 0..gradient.d_table.rows() {
            if gradient.frozen_row == Some(i as u32) {
                continue;
            }
            let tokens = || (0..dy.rows()).filter(|&r| gradient.rows[r] as usize == i);
            for col in 0..dy.cols() {
                let sum: f64 = tokens().map(|r| f64::from(dy.row(r)[col])).sum();
                let d = &mut gradient.d_table.row(i)[col];
                *d = (f64::from(*d) + sum) as f32;
            }
        }
    }
}
