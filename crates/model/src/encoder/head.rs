//! From token rows to embeddings: pooling and the modules behind it, with their backward.

use matryo_ops::{Activation, Epilogue, Mat, MatMut, MatRef, PoolMode};

use super::{Encoder, arena::Buffer, blueprint::Linear, grads::accumulate};
use crate::{Grads, Module, TokenBatch};

/// What the backward of one module needs.
pub(super) enum KeptModule {
    Dense { x: Mat, pre: Mat },
    Normalize { y: Mat, norms: Vec<f32> },
}

impl Encoder {
    /// Embeddings `[n, dim]` of the last hidden state `[t, d]`. All of this is small: `n` rows, not `t`.
    pub(super) fn head(&self, hidden: &Buffer, batch: &TokenBatch) -> (Mat, Vec<KeptModule>) {
        let mut x = self.pool(hidden, batch);
        let mut kept = Vec::with_capacity(self.modules.len());
        for (module, linear) in self.modules.iter().zip(&self.blueprint.dense) {
            let (y, k) = match (module, linear) {
                (Module::Dense(dense), Some(linear)) => self.dense(linear, dense.activation, x),
                _ => self.normalize(x),
            };
            kept.push(k);
            x = y;
        }
        (x, kept)
    }

    /// Gradient of the last hidden state; gradients of the modules' parameters are added to `grads`.
    pub(super) fn head_bwd(
        &self,
        kept: Vec<KeptModule>,
        d_embeddings: MatRef<'_>,
        hidden: &Buffer,
        batch: &TokenBatch,
        grads: &mut Grads,
    ) -> Buffer {
        let mut d = d_embeddings.to_mat();
        for ((module, linear), kept) in self.modules.iter().zip(&self.blueprint.dense).zip(kept).rev() {
            match (kept, module, linear) {
                (KeptModule::Dense { x, pre }, Module::Dense(dense), Some(linear)) => {
                    d = self.dense_bwd(linear, dense.activation, d, &x, &pre, grads);
                }
                (KeptModule::Normalize { y, norms }, ..) => self.ops.normalize_bwd(d.view_mut(), y.view(), &norms),
                _ => unreachable!("a dense layer keeps what a dense layer needs"),
            }
        }
        self.pool_bwd(d.view(), hidden, batch)
    }

    /// `[n, modes * d]`, the modes side by side.
    fn pool(&self, hidden: &Buffer, batch: &TokenBatch) -> Mat {
        let one = |mode| {
            let mut y = Mat::zeros(batch.texts(), hidden.cols());
            self.ops.pool(y.view_mut(), hidden.view(), spans(batch), &batch.skip, mode);
            y
        };
        side_by_side(self.pooling.modes.iter().map(|&mode| one(mode)).collect())
    }

    fn pool_bwd(&self, d: MatRef<'_>, hidden: &Buffer, batch: &TokenBatch) -> Buffer {
        let width = hidden.cols();
        let mut dx = self.arena.zeros(hidden.rows(), width);
        let mut one = |dy: MatRef<'_>, mode: PoolMode| {
            self.ops.pool_bwd(dx.view_mut(), dy, hidden.view(), spans(batch), &batch.skip, mode);
        };
        for (i, &mode) in self.pooling.modes.iter().enumerate() {
            one(columns(d, i * width, width).view(), mode);
        }
        dx
    }

    fn dense(&self, linear: &Linear, activation: Option<Activation>, x: Mat) -> (Mat, KeptModule) {
        let (n, out) = (x.rows(), linear.weight.rows);
        let (mut y, mut pre) = (Mat::zeros(n, out), Mat::zeros(n, out));
        let epilogue = Epilogue {
            bias: linear.bias.map(|bias| self.store.values(bias)),
            activation,
            pre_activation: activation.map(|_| pre.view_mut()),
            residual: None,
        };
        self.ops.linear(y.view_mut(), x.view(), self.store.weight(linear.weight), epilogue);
        (y, KeptModule::Dense { x, pre })
    }

    fn dense_bwd(
        &self,
        linear: &Linear,
        activation: Option<Activation>,
        mut dy: Mat,
        x: &Mat,
        pre: &Mat,
        grads: &mut Grads,
    ) -> Mat {
        if let Some(activation) = activation {
            self.ops.activation_bwd(dy.view_mut(), pre.view(), activation);
        }
        let mut dx = Mat::zeros(x.rows(), x.cols());
        self.linear_bwd(linear, Some(dx.view_mut()), dy.view(), x.view(), grads);
        dx
    }

    /// Backward of a linear layer; does nothing if nothing is wanted.
    pub(super) fn linear_bwd(
        &self,
        linear: &Linear,
        dx: Option<MatMut<'_>>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        grads: &mut Grads,
    ) {
        let weight = linear.weight;
        accumulate(grads, [Some(weight), linear.bias], |[dw, db]| {
            if dx.is_some() || dw.is_some() || db.is_some() {
                let dw = dw.map(|dw| MatMut::new(weight.rows, weight.cols, dw));
                self.ops.linear_bwd(dx, dw, db, dy, x, self.store.matrix(weight));
            }
        });
    }

    fn normalize(&self, mut x: Mat) -> (Mat, KeptModule) {
        let mut norms = vec![0.0; x.rows()];
        self.ops.normalize(x.view_mut(), &mut norms);
        (x.clone(), KeptModule::Normalize { y: x, norms })
    }
}

fn spans(batch: &TokenBatch) -> matryo_ops::Spans<'_> {
    matryo_ops::Spans { bounds: &batch.bounds }
}

/// Columns `start..start + width`.
fn columns(x: MatRef<'_>, start: usize, width: usize) -> Mat {
    let data = (0..x.rows()).flat_map(|row| x.row(row)[start..start + width].iter().copied()).collect();
    Mat::from_vec(x.rows(), width, data)
}

/// Matrices of as many rows, next to each other.
fn side_by_side(mut parts: Vec<Mat>) -> Mat {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let (rows, cols) = (parts[0].rows(), parts.iter().map(Mat::cols).sum());
    let data = (0..rows).flat_map(|row| parts.iter().flat_map(move |part| part.row(row).iter().copied())).collect();
    Mat::from_vec(rows, cols, data)
}
