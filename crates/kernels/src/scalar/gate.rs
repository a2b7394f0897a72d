//! Gated linear units, by the formulas of [`crate::gate`].

use super::activation::{activate_f64, derivative_f64};
use crate::{Activation, MatMut, MatRef};

/// `y = act(first half of pre) * second half of pre`, row by row.
pub fn gate(mut y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
    let cols = y.cols();
    for row in 0..pre.rows() {
        let (gated, linear) = pre.row(row).split_at(cols);
        for (col, y) in y.row(row).iter_mut().enumerate() {
            *y = (activate_f64(activation, gated[col]) * f64::from(linear[col])) as f32;
        }
    }
}

/// Both halves of `d_pre`.
pub fn gate_bwd(mut d_pre: MatMut<'_>, dy: MatRef<'_>, pre: MatRef<'_>, activation: Activation) {
    let cols = dy.cols();
    for row in 0..dy.rows() {
        let (gated, linear) = pre.row(row).split_at(cols);
        let (d_gated, d_linear) = d_pre.row(row).split_at_mut(cols);
        for col in 0..cols {
            let g = f64::from(dy.row(row)[col]);
            let slope = derivative_f64(activation, gated[col]);
            d_gated[col] = (g * f64::from(linear[col]) * slope) as f32;
            d_linear[col] = (g * activate_f64(activation, gated[col])) as f32;
        }
    }
}
