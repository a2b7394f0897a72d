//! From token rows to embeddings: pooling and the modules behind it, with their backward.

use matryo_ops::{Activation, Epilogue, Mat, MatRef, Spans};

use super::{Encoder, arena::Buffer, backward::Backward, blueprint::Linear};
use crate::{Module, TokenBatch};

/// What the backward of one module needs.
pub(super) enum KeptModule {
    Dense { x: Mat, pre: Mat },
    Normalize { y: Mat, norms: Vec<f32> },
}

impl KeptModule {
    /// Bytes for `texts` texts whose embeddings come in `width` wide, and the width in which they leave.
    pub(super) fn bytes(module: &Module, width: usize, texts: usize) -> (usize, usize) {
        let (floats, out) = match module {
            Module::Dense(dense) => (dense.in_features + dense.out_features, dense.out_features),
            Module::Normalize => (width + 1, width),
        };
        (texts * floats * size_of::<f32>(), out)
    }
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

    /// `[n, modes * d]`, the modes side by side.
    fn pool(&self, hidden: &Buffer, batch: &TokenBatch) -> Mat {
        let spans = Spans {
            bounds: &batch.bounds,
        };
        let one = |mode| {
            let mut y = Mat::zeros(batch.texts(), hidden.cols());
            self.ops
                .pool(y.view_mut(), hidden.view(), spans, &batch.skip, mode);
            y
        };
        side_by_side(self.pooling.modes.iter().map(|&mode| one(mode)).collect())
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
        self.ops.linear(
            y.view_mut(),
            x.view(),
            self.store.weight(linear.weight),
            epilogue,
        );
        (y, KeptModule::Dense { x, pre })
    }

    fn normalize(&self, mut x: Mat) -> (Mat, KeptModule) {
        let mut norms = vec![0.0; x.rows()];
        self.ops.normalize(x.view_mut(), &mut norms);
        (x.clone(), KeptModule::Normalize { y: x, norms })
    }
}

impl Backward<'_> {
    /// Gradient of the pooled embeddings; those of the modules' parameters are added up.
    pub(super) fn modules(&mut self, kept: Vec<KeptModule>, mut d: Mat) -> Mat {
        let model = self.model;
        for ((module, linear), kept) in model
            .modules
            .iter()
            .zip(&model.blueprint.dense)
            .zip(kept)
            .rev()
        {
            match (kept, module, linear) {
                (KeptModule::Dense { x, pre }, Module::Dense(dense), Some(linear)) => {
                    if let Some(activation) = dense.activation {
                        model
                            .ops
                            .activation_bwd(d.view_mut(), pre.view(), activation);
                    }
                    let mut dx = Mat::zeros(x.rows(), x.cols());
                    self.linear(*linear, Some(dx.view_mut().into()), d.view(), x.view());
                    d = dx;
                }
                (KeptModule::Normalize { y, norms }, ..) => {
                    model.ops.normalize_bwd(d.view_mut(), y.view(), &norms)
                }
                _ => unreachable!("a dense layer keeps what a dense layer needs"),
            }
        }
        d
    }

    /// Gradient of the last hidden state.
    pub(super) fn pool(&self, d: MatRef<'_>, hidden: &Buffer) -> Buffer {
        let (model, batch, width) = (self.model, self.pass.batch, hidden.cols());
        let mut dx = model.arena.zeros(hidden.rows(), width);
        for (i, &mode) in model.pooling.modes.iter().enumerate() {
            let dy = columns(d, i * width, width);
            model.ops.pool_bwd(
                dx.view_mut(),
                dy.view(),
                hidden.view(),
                self.pass.spans(),
                &batch.skip,
                mode,
            );
        }
        dx
    }
}

/// Columns `start..start + width`.
fn columns(x: MatRef<'_>, start: usize, width: usize) -> Mat {
    let data = (0..x.rows())
        .flat_map(|row| x.row(row)[start..start + width].iter().copied())
        .collect();
    Mat::from_vec(x.rows(), width, data)
}

/// Matrices of as many rows, next to each other.
fn side_by_side(mut parts: Vec<Mat>) -> Mat {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let (rows, cols) = (parts[0].rows(), parts.iter().map(Mat::cols).sum());
    let data = (0..rows)
        .flat_map(|row| {
            parts
                .iter()
                .flat_map(move |part| part.row(row).iter().copied())
        })
        .collect();
    Mat::from_vec(rows, cols, data)
}
