//! Half a block, attention or feed-forward network, with its normalisation and residual.
//!
//! ```text
//! post-norm   s = x + drop(f(x))          y = norm(s)      keeps s, the normalisation's input
//! pre-norm    y = x + drop(f(norm(x)))                     keeps x, the normalisation's input
//! ```
//! In the backward a post-norm half needs its input `x` as well.

use matryo_ops::InputGradient;

use super::norm::{Norm, STATS};
use crate::{
    Placement,
    arena::{self, Buffer},
    pass::{Backward, Pass},
};

/// What stands between the input of half a block and its residual.
pub(crate) trait Half {
    /// Between [`Half::forward`] and [`Half::finish`].
    type Mid;
    /// What the backward needs.
    type Kept;

    /// Everything up to the last linear layer; with `keep`, what the backward needs is kept.
    fn forward(&self, pass: &Pass<'_>, x: &Buffer, keep: bool) -> Self::Mid;

    /// The last linear layer, dropout and the residual.
    fn finish(
        &self,
        pass: &Pass<'_>,
        mid: Self::Mid,
        residual: &Buffer,
    ) -> (Buffer, Option<Self::Kept>);

    /// Adds the gradients of the parameters, given that of the sum, `dy`; writes that of `x` where it is wanted.
    fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: Self::Kept,
        x: &Buffer,
        dy: &Buffer,
        dx: Option<InputGradient<'_>>,
    );

    /// Bytes of [`Half::Kept`] for so many tokens.
    fn kept_bytes(&self, tokens: usize) -> usize;

    /// Bytes that the backward uses besides matrices of the model's width.
    fn working_bytes(&self, tokens: usize) -> usize;

    /// Bytes that the forward uses besides matrices of the model's width.
    fn forward_bytes(&self, tokens: usize) -> usize;
}

/// Half a block with its normalisation.
#[derive(Debug)]
pub(super) struct Normed<H> {
    pub(super) half: H,
    pub(super) norm: Option<Norm>,
    pub(super) placement: Placement,
}

/// What the backward of half a block needs.
pub(crate) struct KeptHalf<K> {
    /// Input of the normalisation, `[t, d]`.
    base: Buffer,
    /// `[t, 2]`; `None` without a normalisation.
    stats: Option<Buffer>,
    half: K,
}

impl<H: Half> Normed<H> {
    pub(super) fn forward(
        &self,
        pass: &Pass<'_>,
        x: Buffer,
        keep: bool,
    ) -> (Buffer, Option<KeptHalf<H::Kept>>) {
        match self.placement {
            Placement::Post => self.forward_post(pass, x, keep),
            Placement::Pre => self.forward_pre(pass, x, keep),
        }
    }

    fn forward_post(
        &self,
        pass: &Pass<'_>,
        x: Buffer,
        keep: bool,
    ) -> (Buffer, Option<KeptHalf<H::Kept>>) {
        let mid = self.half.forward(pass, &x, keep);
        let (sum, half) = self.half.finish(pass, mid, &x);
        // Its buffer serves the output.
        drop(x);
        let (y, stats) = match self.norm {
            Some(norm) => norm.forward_kept(pass, &sum, keep),
            None => (pass.arena.copy(&sum), None),
        };
        let kept = half.map(|half| KeptHalf {
            base: sum,
            stats,
            half,
        });
        (y, kept)
    }

    fn forward_pre(
        &self,
        pass: &Pass<'_>,
        x: Buffer,
        keep: bool,
    ) -> (Buffer, Option<KeptHalf<H::Kept>>) {
        let (mid, stats) = match self.norm {
            Some(norm) => {
                let (normed, stats) = norm.forward_kept(pass, &x, keep);
                (self.half.forward(pass, &normed, keep), stats)
            }
            None => (self.half.forward(pass, &x, keep), None),
        };
        let (y, half) = self.half.finish(pass, mid, &x);
        let kept = half.map(|half| KeptHalf {
            base: x,
            stats,
            half,
        });
        (y, kept)
    }

    /// Output of a post-norm half, recomputed.
    pub(super) fn output(&self, pass: &Pass<'_>, kept: &KeptHalf<H::Kept>) -> Buffer {
        match self.norm {
            Some(norm) => norm.forward(pass, &kept.base),
            None => pass.arena.copy(&kept.base),
        }
    }

    /// Gradient of the input, if it is wanted. `x` is the input of a post-norm half; a pre-norm half has kept it.
    pub(super) fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptHalf<H::Kept>,
        x: Option<&Buffer>,
        dy: Buffer,
        wanted: bool,
    ) -> Option<Buffer> {
        match self.placement {
            Placement::Post => {
                let x = x.expect("a post-norm half is given its input");
                self.backward_post(cx, kept, x, dy, wanted)
            }
            Placement::Pre => self.backward_pre(cx, kept, dy, wanted),
        }
    }

    fn backward_post(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptHalf<H::Kept>,
        x: &Buffer,
        dy: Buffer,
        wanted: bool,
    ) -> Option<Buffer> {
        let KeptHalf { base, stats, half } = kept;
        let d_sum = match (self.norm, &stats) {
            (Some(norm), Some(stats)) => norm.backward(cx, &dy, &base, stats, None),
            _ => cx.pass.arena.copy(&dy),
        };
        drop((dy, base, stats));
        let mut dx = wanted.then(|| cx.pass.arena.take(x.rows(), x.cols()));
        let gradient = dx.as_mut().map(|dx| onto(dx, &d_sum));
        self.half.backward(cx, half, x, &d_sum, gradient);
        dx
    }

    fn backward_pre(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptHalf<H::Kept>,
        dy: Buffer,
        wanted: bool,
    ) -> Option<Buffer> {
        let KeptHalf { base, stats, half } = kept;
        let (Some(norm), Some(stats)) = (self.norm, stats) else {
            let mut dx = wanted.then(|| cx.pass.arena.take(base.rows(), base.cols()));
            let gradient = dx.as_mut().map(|dx| onto(dx, &dy));
            self.half.backward(cx, half, &base, &dy, gradient);
            return dx;
        };
        let normed = norm.forward(&cx.pass, &base);
        let mut d_normed = cx.pass.arena.take(base.rows(), base.cols());
        let gradient = Some(d_normed.view_mut().into());
        self.half.backward(cx, half, &normed, &dy, gradient);
        drop(normed);
        let dx = norm.backward(cx, &d_normed, &base, &stats, Some(dy.view()));
        wanted.then_some(dx)
    }

    pub(super) fn kept_bytes(&self, tokens: usize, dim: usize) -> usize {
        let stats = if self.norm.is_some() { STATS } else { 0 };
        arena::bytes(tokens, &[dim, stats]) + self.half.kept_bytes(tokens)
    }
}

/// Where the gradient of an input goes, joined by that of the residual.
fn onto<'a>(dx: &'a mut Buffer, residual: &'a Buffer) -> InputGradient<'a> {
    InputGradient {
        residual: Some(residual.view()),
        ..dx.view_mut().into()
    }
}
