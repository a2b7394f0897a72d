//! Matrix products as three loops.

use super::{activate, activation_bwd};
use crate::{Epilogue, InputGradient, LinearBackward, MatMut, MatRef, Operand, Weight};

/// `y = epilogue(x wᵀ)`.
pub fn linear(mut y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, mut epilogue: Epilogue<'_>) {
    let unpacked;
    let w = match w {
        Weight::Plain(w) => w,
        Weight::Packed(packed) => {
            unpacked = packed.unpack();
            unpacked.view()
        }
    };
    for row in 0..x.rows() {
        for col in 0..w.rows() {
            let sum = dot(x.row(row), w.row(col)) as f32;
            y.row(row)[col] = finish(&mut epilogue, row, col, sum);
        }
    }
}

fn finish(epilogue: &mut Epilogue<'_>, row: usize, col: usize, sum: f32) -> f32 {
    let pre = sum + epilogue.bias.map_or(0.0, |bias| bias[col]);
    if let Some(kept) = &mut epilogue.pre_activation {
        kept.row(row)[col] = pre;
    }
    let active = epilogue.activation.map_or(pre, |f| activate(f, pre));
    active
        + epilogue
            .residual
            .map_or(0.0, |residual| residual.row(row)[col])
}

/// `dx = dy w` and what follows it, `dw += dyᵀ x`, `db += column sums of dy`.
pub fn linear_bwd(args: LinearBackward<'_>) {
    let LinearBackward {
        dx,
        dw,
        db,
        dy,
        x,
        w,
    } = args;
    if let Some(InputGradient {
        mut dx,
        activation,
        residual,
    }) = dx
    {
        each(
            dx.reborrow(),
            Operand::Normal(dy),
            Operand::Normal(w),
            |_, sum| sum as f32,
        );
        if let Some((activation, pre)) = activation {
            activation_bwd(dx.reborrow(), pre, activation);
        }
        if let Some(residual) = residual {
            for row in 0..residual.rows() {
                dx.row(row)
                    .iter_mut()
                    .zip(residual.row(row))
                    .for_each(|(dx, residual)| *dx += residual);
            }
        }
    }
    if let Some(dw) = dw {
        each(
            dw,
            Operand::Transposed(dy),
            Operand::Normal(x),
            |old, sum| old + sum as f32,
        );
    }
    if let Some(db) = db {
        for (col, db) in db.iter_mut().enumerate() {
            *db += (0..dy.rows())
                .map(|row| f64::from(dy.row(row)[col]))
                .sum::<f64>() as f32;
        }
    }
}

/// `out = alpha * a b`.
pub fn matmul(out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
    each(out, a, b, |_, sum| (f64::from(alpha) * sum) as f32);
}

/// Replaces every value of `out` by `f(value, row of a * column of b)`.
fn each(mut out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, f: impl Fn(f32, f64) -> f32) {
    for row in 0..out.rows() {
        for col in 0..out.cols() {
            let sum = (0..a.cols())
                .map(|k| f64::from(at(a, row, k)) * f64::from(at(b, k, col)))
                .sum();
            let value = &mut out.row(row)[col];
            *value = f(*value, sum);
        }
    }
}

fn at(operand: Operand<'_>, row: usize, col: usize) -> f32 {
    match operand {
        Operand::Normal(a) => a.row(row)[col],
        Operand::Transposed(a) => a.row(col)[row],
    }
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}
