//! Gated linear units (Shazeer 2020): one half of a projection, through an activation, multiplies the other half.
//!
//! ```text
//! y[t][c] = act(pre[t][c]) * pre[t][f + c]                                          c in 0..f
//! d_pre[t][c] = dy[t][c] * pre[t][f + c] * act'(pre[t][c])     d_pre[t][f + c] = dy[t][c] * act(pre[t][c])
//! ```

use crate::{
    Activation, Level, MatMut, MatRef, activation,
    cpu::Kernel,
    parallel,
    simd::{self, Vector},
};

/// `y = act(first half of pre) * second half of pre`, row by row: `y` `[t, f]`, `pre` `[t, 2 f]`.
pub fn gate(level: Level, mut y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
    let (rows, cols) = (y.rows(), y.cols());
    assert_eq!(
        (pre.rows(), pre.cols()),
        (rows, 2 * cols),
        "gate: y and pre"
    );
    let block = parallel::rows_of_block(cols);
    parallel::for_parts(y.data(), block * cols, |i, y| {
        let pre = pre.row_range(i * block, (i * block + block).min(rows));
        level.run(Forward { y, pre, activation });
    });
}

struct Forward<'a> {
    y: &'a mut [f32],
    pre: MatRef<'a>,
    activation: Activation,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let cols = self.pre.cols() / 2;
        for r in 0..self.pre.rows() {
            let y = &mut self.y[r * cols..(r + 1) * cols];
            let (gated, linear) = self.pre.row(r).split_at(cols);
            for i in 0..simd::count::<V>(cols) {
                activation::apply(V::load_at(gated, i, 0.0), self.activation)
                    .mul(V::load_at(linear, i, 0.0))
                    .store_at(y, i);
            }
        }
    }
}

/// Backward of [`gate`]: `d_pre` `[t, 2 f]` is assigned, both halves, from `dy` `[t, f]` and the forward's input.
pub fn gate_bwd(
    level: Level,
    mut d_pre: MatMut<'_>,
    dy: MatRef<'_>,
    pre: MatRef<'_>,
    activation: Activation,
) {
    let (rows, cols) = (dy.rows(), 2 * dy.cols());
    assert_eq!(
        (d_pre.rows(), d_pre.cols(), pre.rows(), pre.cols()),
        (rows, cols, rows, cols),
        "gate_bwd: d_pre, dy and pre"
    );
    let block = parallel::rows_of_block(cols);
    parallel::for_parts(d_pre.data(), block * cols, |i, d_pre| {
        let (start, end) = (i * block, (i * block + block).min(rows));
        level.run(Backward {
            d_pre,
            dy: dy.row_range(start, end),
            pre: pre.row_range(start, end),
            activation,
        });
    });
}

struct Backward<'a> {
    d_pre: &'a mut [f32],
    dy: MatRef<'a>,
    pre: MatRef<'a>,
    activation: Activation,
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let cols = self.dy.cols();
        for r in 0..self.dy.rows() {
            let dy = self.dy.row(r);
            let (gated, linear) = self.pre.row(r).split_at(cols);
            let d_pre = &mut self.d_pre[2 * r * cols..2 * (r + 1) * cols];
            let (d_gated, d_linear) = d_pre.split_at_mut(cols);
            for i in 0..simd::count::<V>(cols) {
                let g = V::load_at(dy, i, 0.0);
                let x = V::load_at(gated, i, 0.0);
                g.mul(V::load_at(linear, i, 0.0))
                    .mul(activation::derivative(x, self.activation))
                    .store_at(d_gated, i);
                g.mul(activation::apply(x, self.activation))
                    .store_at(d_linear, i);
            }
        }
    }
}
