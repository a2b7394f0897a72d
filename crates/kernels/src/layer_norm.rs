//! Layer normalisation of rows (Ba, Kiros & Hinton 2016) and its backward; not centred, it is RMSNorm (Zhang & Sennrich 2019), in which the
//! mean is taken for 0 throughout.
//!
//! ```text
//! y = (x - mean) * rstd * gamma + beta,   rstd = 1 / sqrt(var + eps), var biased
//! h = dy * gamma,  n = (x - mean) * rstd
//! dx = rstd * (h - mean(h) - n * mean(h * n)) + residual,   dgamma += sum of dy * n,   dbeta += sum of dy
//! ```
//!
//! The variance is taken from the differences to the mean, in a second pass over a row that is in the first-level cache by then.

use rayon::prelude::*;

use crate::{
    Level, MatMut, MatRef,
    cpu::Kernel,
    parallel::{self, ROWS, SharedMut},
    rows,
    simd::{self, Vector},
};

/// Arguments of [`layer_norm`].
#[derive(Debug)]
pub struct LayerNorm<'a> {
    /// Assigned; `[t, d]`.
    pub y: MatMut<'a>,
    /// Receives mean and `rstd` of each row, for the backward; `[t, 2]`.
    pub stats: Option<MatMut<'a>>,
    /// Rows to normalise; `[t, d]`.
    pub x: MatRef<'a>,
    /// Factor of each column; `[d]`.
    pub gamma: &'a [f32],
    /// Added to each column; `[d]`.
    pub beta: Option<&'a [f32]>,
    /// Added to the variance.
    pub eps: f32,
    /// Whether the mean is subtracted first.
    pub centred: bool,
}

/// Arguments of [`layer_norm_bwd`].
#[derive(Debug)]
pub struct LayerNormBackward<'a> {
    /// Assigned; `[t, d]`.
    pub dx: MatMut<'a>,
    /// Accumulates; `[d]`.
    pub dgamma: Option<&'a mut [f32]>,
    /// Accumulates; `[d]`.
    pub dbeta: Option<&'a mut [f32]>,
    /// Gradient of the output; `[t, d]`.
    pub dy: MatRef<'a>,
    /// Input of the forward; `[t, d]`.
    pub x: MatRef<'a>,
    /// Mean and `rstd` that the forward wrote; `[t, 2]`.
    pub stats: MatRef<'a>,
    /// As in the forward.
    pub gamma: &'a [f32],
    /// As in the forward.
    pub centred: bool,
    /// Added to `dx` last: the gradient that reaches `x` by another way, as in a pre-norm block; `[t, d]`.
    pub residual: Option<MatRef<'a>>,
}

/// Normalises each row of `x` (biased variance).
pub fn layer_norm(level: Level, args: LayerNorm<'_>) {
    let LayerNorm {
        mut y,
        stats,
        x,
        gamma,
        beta,
        eps,
        centred,
    } = args;
    let (rows, cols) = (x.rows(), x.cols());
    assert_eq!(
        (y.rows(), y.cols(), gamma.len()),
        (rows, cols, cols),
        "layer_norm"
    );
    assert!(
        beta.is_none_or(|beta| beta.len() == cols),
        "layer_norm: beta"
    );
    let mut unused = Vec::new();
    let stats = match stats {
        Some(stats) => {
            assert_eq!((stats.rows(), stats.cols()), (rows, 2), "layer_norm: stats");
            stats.into_data()
        }
        None => {
            unused.resize(2 * rows, 0.0);
            &mut unused
        }
    };
    let stats = SharedMut::new(stats);
    parallel::for_parts(y.data(), ROWS * cols, |i, y| {
        let x = x.row_range(i * ROWS, (i * ROWS + ROWS).min(rows));
        // SAFETY: a part's rows are its own.
        let stats = unsafe { stats.piece(2 * i * ROWS, 2 * x.rows()) };
        level.run(Forward {
            y,
            stats,
            x,
            gamma,
            beta,
            eps,
            centred,
        });
    });
}

struct Forward<'a> {
    y: &'a mut [f32],
    stats: &'a mut [f32],
    x: MatRef<'a>,
    gamma: &'a [f32],
    beta: Option<&'a [f32]>,
    eps: f32,
    centred: bool,
}

/// Sum of a row.
#[inline(always)]
pub(crate) fn sum<V: Vector>(x: &[f32]) -> f32 {
    let mut sums = V::splat(0.0);
    for i in 0..simd::count::<V>(x.len()) {
        sums = sums.add(V::load_at(x, i, 0.0));
    }
    sums.sum()
}

/// Sum of squared differences to `mean`.
#[inline(always)]
fn squared_differences<V: Vector>(x: &[f32], mean: f32) -> f32 {
    let (center, mut sums) = (V::splat(mean), V::splat(0.0));
    for i in 0..simd::count::<V>(x.len()) {
        let d = V::load_at(x, i, mean).sub(center);
        sums = d.fma(d, sums);
    }
    sums.sum()
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let cols = self.x.cols();
        for r in 0..self.x.rows() {
            let x = self.x.row(r);
            let mean = match self.centred {
                true => sum::<V>(x) / cols as f32,
                false => 0.0,
            };
            let rstd = 1.0 / (squared_differences::<V>(x, mean) / cols as f32 + self.eps).sqrt();
            self.stats[2 * r] = mean;
            self.stats[2 * r + 1] = rstd;
            let y = &mut self.y[r * cols..(r + 1) * cols];
            let (mean, rstd) = (V::splat(mean), V::splat(rstd));
            match self.beta {
                Some(beta) => {
                    for i in 0..simd::count::<V>(cols) {
                        let n = V::load_at(x, i, 0.0).sub(mean).mul(rstd);
                        n.fma(V::load_at(self.gamma, i, 0.0), V::load_at(beta, i, 0.0))
                            .store_at(y, i);
                    }
                }
                None => {
                    for i in 0..simd::count::<V>(cols) {
                        let n = V::load_at(x, i, 0.0).sub(mean).mul(rstd);
                        n.mul(V::load_at(self.gamma, i, 0.0)).store_at(y, i);
                    }
                }
            }
        }
    }
}

/// Backward of [`layer_norm`] from its input and its `stats`.
pub fn layer_norm_bwd(level: Level, args: LayerNormBackward<'_>) {
    let LayerNormBackward {
        mut dx,
        dgamma,
        dbeta,
        dy,
        x,
        stats,
        gamma,
        centred,
        residual,
    } = args;
    let (rows, cols) = (x.rows(), x.cols());
    assert_eq!(
        (dx.rows(), dx.cols(), dy.rows(), dy.cols()),
        (rows, cols, rows, cols),
        "layer_norm_bwd: dx, dy, x"
    );
    assert_eq!(
        (stats.rows(), stats.cols(), gamma.len()),
        (rows, 2, cols),
        "layer_norm_bwd: stats, gamma"
    );
    assert!(
        residual.is_none_or(|m| (m.rows(), m.cols()) == (rows, cols)),
        "layer_norm_bwd: residual"
    );
    let mut partial = vec![0.0; rows.div_ceil(ROWS) * 2 * cols];
    let blocks = dx
        .data()
        .par_chunks_mut(ROWS * cols.max(1))
        .zip(partial.par_chunks_mut(2 * cols.max(1)))
        .enumerate();
    blocks.for_each(|(i, (dx, partial))| {
        let (start, end) = (i * ROWS, (i * ROWS + ROWS).min(rows));
        let (dgamma, dbeta) = partial.split_at_mut(cols);
        let (dy, x, stats) = (
            dy.row_range(start, end),
            x.row_range(start, end),
            stats.row_range(start, end),
        );
        level.run(Backward {
            dx,
            dgamma,
            dbeta,
            dy,
            x,
            stats,
            gamma,
            centred,
            residual: residual.map(|m| m.row_range(start, end)),
        });
    });
    add_blocks(dgamma, &partial, cols, 0);
    add_blocks(dbeta, &partial, cols, cols);
}

/// Adds the blocks' partial sums, which start at `offset` of every `2 * cols`, in the order of the blocks.
fn add_blocks(target: Option<&mut [f32]>, partial: &[f32], cols: usize, offset: usize) {
    let Some(target) = target else { return };
    for block in partial.chunks(2 * cols.max(1)) {
        target
            .iter_mut()
            .zip(&block[offset..offset + cols])
            .for_each(|(t, v)| *t += v);
    }
}

struct Backward<'a> {
    dx: &'a mut [f32],
    dgamma: &'a mut [f32],
    dbeta: &'a mut [f32],
    dy: MatRef<'a>,
    x: MatRef<'a>,
    stats: MatRef<'a>,
    gamma: &'a [f32],
    centred: bool,
    residual: Option<MatRef<'a>>,
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let cols = self.x.cols();
        let vectors = simd::count::<V>(cols);
        for r in 0..self.x.rows() {
            let (x, dy) = (self.x.row(r), self.dy.row(r));
            let (mean, rstd) = (
                V::splat(self.stats.row(r)[0]),
                V::splat(self.stats.row(r)[1]),
            );
            let (mut sum_h, mut sum_hn) = (V::splat(0.0), V::splat(0.0));
            for i in 0..vectors {
                let n = V::load_at(x, i, 0.0).sub(mean).mul(rstd);
                let g = V::load_at(dy, i, 0.0);
                let h = g.mul(V::load_at(self.gamma, i, 0.0));
                sum_h = sum_h.add(h);
                sum_hn = h.fma(n, sum_hn);
                g.fma(n, V::load_at(self.dgamma, i, 0.0))
                    .store_at(self.dgamma, i);
                g.add(V::load_at(self.dbeta, i, 0.0))
                    .store_at(self.dbeta, i);
            }
            let mean_h = match self.centred {
                true => sum_h.sum() / cols as f32,
                false => 0.0,
            };
            let (a, b) = (V::splat(mean_h), V::splat(sum_hn.sum() / cols as f32));
            let dx = &mut self.dx[r * cols..(r + 1) * cols];
            for i in 0..vectors {
                let n = V::load_at(x, i, 0.0).sub(mean).mul(rstd);
                let h = V::load_at(dy, i, 0.0).mul(V::load_at(self.gamma, i, 0.0));
                h.sub(a).sub(n.mul(b)).mul(rstd).store_at(dx, i);
            }
            // A pass of its own over a row in the first-level cache: a test inside the loop above cost 14 % without a residual.
            if let Some(residual) = self.residual {
                rows::add::<V>(dx, residual.row(r));
            }
        }
    }
}
