//! Layer normalisation of each row (Ba et al. 2016), with or without a shift, or RMSNorm (Zhang & Sennrich 2019).
//!
//! Its backward needs the input, which the layer around it keeps, and mean and deviation of each row, `[t, 2]`.

use matryo_ops::{LayerNorm, LayerNormBackward, MatRef};

use crate::{
    arena::Buffer,
    pass::{Backward, Pass},
    weights::{VectorParam, accumulate},
};

/// Values per row that the backward needs besides the input.
pub(crate) const STATS: usize = 2;

/// Scale and shift.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    pub(crate) gamma: VectorParam,
    pub(crate) beta: Option<VectorParam>,
    pub(crate) eps: f32,
    pub(crate) centred: bool,
}

impl Norm {
    /// Rows of `x`, normalised.
    pub(crate) fn forward(&self, pass: &Pass<'_>, x: &Buffer) -> Buffer {
        self.normalize(pass, x, None)
    }

    /// Rows of `x`, normalised, and with `keep` the statistics that the backward needs.
    pub(crate) fn forward_kept(
        &self,
        pass: &Pass<'_>,
        x: &Buffer,
        keep: bool,
    ) -> (Buffer, Option<Buffer>) {
        let mut stats = keep.then(|| pass.arena.take(x.rows(), STATS));
        let y = self.normalize(pass, x, stats.as_mut());
        (y, stats)
    }

    fn normalize(&self, pass: &Pass<'_>, x: &Buffer, stats: Option<&mut Buffer>) -> Buffer {
        let mut y = pass.arena.take(x.rows(), x.cols());
        pass.ops.layer_norm(LayerNorm {
            y: y.view_mut(),
            stats: stats.map(Buffer::view_mut),
            x: x.view(),
            gamma: pass.weights.vector(self.gamma),
            beta: self.beta.map(|beta| pass.weights.vector(beta)),
            eps: self.eps,
            centred: self.centred,
        });
        y
    }

    /// Gradient of `x`, to which `residual` is added.
    pub(crate) fn backward(
        &self,
        cx: &mut Backward<'_>,
        dy: &Buffer,
        x: &Buffer,
        stats: &Buffer,
        residual: Option<MatRef<'_>>,
    ) -> Buffer {
        let mut dx = cx.pass.arena.take(x.rows(), x.cols());
        let tensors = [Some(self.gamma.tensor), self.beta.map(|beta| beta.tensor)];
        let (ops, gamma) = (cx.pass.ops, cx.pass.weights.vector(self.gamma));
        accumulate(cx.grads, tensors, |[dgamma, dbeta]| {
            ops.layer_norm_bwd(LayerNormBackward {
                dx: dx.view_mut(),
                dgamma,
                dbeta,
                dy: dy.view(),
                x: x.view(),
                stats: stats.view(),
                gamma,
                centred: self.centred,
                residual,
            });
        });
        dx
    }
}
