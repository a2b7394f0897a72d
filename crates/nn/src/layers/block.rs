//! One block of an encoder: two halves, attention and feed-forward network, each with its normalisation and residual.
//!
//! ```text
//! post-norm   s = x + drop(f(x))          y = norm(s)      keeps s, the normalisation's input
//! pre-norm    y = x + drop(f(norm(x)))                     keeps x, the normalisation's input
//! ```
//! In the backward a post-norm half needs its input `x` as well. That is the output of the half below, which is recomputed
//! from what that half keeps.

use matryo_ops::InputGradient;

use super::{
    attention::{Attention, KeptAttention},
    convolution::{Convolution, KeptConvolution},
    feed_forward::{FeedForward, KeptFeedForward},
    norm::{Norm, STATS},
    params::EncoderBuilder,
};
use crate::{
    BlockSpec, DropoutSpec, NnError, Placement,
    arena::{self, Buffer},
    families::{Axis, ParamId},
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
struct Normed<H> {
    half: H,
    norm: Option<Norm>,
    placement: Placement,
}

/// What the backward of half a block needs.
pub(crate) struct KeptHalf<K> {
    /// Input of the normalisation, `[t, d]`.
    base: Buffer,
    /// `[t, 2]`; `None` without a normalisation.
    stats: Option<Buffer>,
    half: K,
}

/// Which block it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockPlace {
    /// Its number, by which its dropout masks are named.
    pub(crate) index: usize,
    /// The number of its parameters.
    pub(crate) weights: usize,
}

/// One block.
#[derive(Debug)]
pub(crate) struct Block {
    attention: Normed<Attention>,
    feed_forward: Normed<FeedForward>,
    convolution: Option<Convolution>,
}

/// What the backward of a block needs.
pub(crate) struct KeptBlock {
    attention: KeptHalf<KeptAttention>,
    feed_forward: KeptHalf<KeptFeedForward>,
    convolution: Option<KeptConvolution>,
}

impl<H: Half> Normed<H> {
    fn forward(
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
    fn output(&self, pass: &Pass<'_>, kept: &KeptHalf<H::Kept>) -> Buffer {
        match self.norm {
            Some(norm) => norm.forward(pass, &kept.base),
            None => pass.arena.copy(&kept.base),
        }
    }

    /// Gradient of the input, if it is wanted. `x` is the input of a post-norm half; a pre-norm half has kept it.
    fn backward(
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

    fn kept_bytes(&self, tokens: usize, dim: usize) -> usize {
        let stats = if self.norm.is_some() { STATS } else { 0 };
        arena::bytes(tokens, &[dim, stats]) + self.half.kept_bytes(tokens)
    }
}

impl Block {
    /// Builds block `index` for hidden states of width `dim`.
    pub(crate) fn build(
        builder: &mut EncoderBuilder<'_, '_>,
        index: usize,
        spec: &BlockSpec,
        dim: usize,
        dropout: &DropoutSpec,
    ) -> Result<Self, NnError> {
        let (placement, width) = (spec.placement, (Axis::Dim, dim));
        let place = BlockPlace {
            index,
            weights: spec.weights,
        };
        let attention = Normed {
            half: Attention::build(builder, place, &spec.attention, dim, dropout)?,
            norm: builder.norm(
                ParamId::AttentionNorm(place.weights),
                spec.attention_norm,
                width,
            )?,
            placement,
        };
        let feed_forward = Normed {
            half: FeedForward::build(builder, place, &spec.feed_forward, dim, dropout)?,
            norm: builder.norm(
                ParamId::FeedForwardNorm(place.weights),
                spec.feed_forward_norm,
                width,
            )?,
            placement,
        };
        assert!(
            spec.convolution.is_none() || placement == Placement::Post,
            "a convolution beside a post-normalised block"
        );
        let convolution = spec
            .convolution
            .map(|spec| Convolution::build(builder, place, spec, dim, dropout))
            .transpose()?;
        Ok(Self {
            attention,
            feed_forward,
            convolution,
        })
    }

    /// Output of the block for the input `x`, and with `keep` what the backward needs.
    pub(crate) fn forward(
        &self,
        pass: &Pass<'_>,
        x: Buffer,
        keep: bool,
    ) -> (Buffer, Option<KeptBlock>) {
        let beside = self
            .convolution
            .as_ref()
            .map(|conv| (conv, conv.forward(pass, &x)));
        let (h, attention) = self.attention.forward(pass, x, keep);
        let (y, feed_forward) = self.feed_forward.forward(pass, h, keep);
        let (y, convolution) = match beside {
            Some((conv, beside)) => conv.finish(pass, beside, &y, keep),
            None => (y, None),
        };
        let kept = attention.zip(feed_forward);
        let kept = kept.map(|(attention, feed_forward)| KeptBlock {
            attention,
            feed_forward,
            convolution,
        });
        (y, kept)
    }

    /// Whether the backward has to be given the block's input.
    pub(crate) fn needs_input(&self) -> bool {
        self.attention.placement == Placement::Post
    }

    /// Output of the block, recomputed from what it keeps. Only for blocks that [`Block::needs_input`].
    pub(crate) fn output(&self, pass: &Pass<'_>, kept: &KeptBlock) -> Buffer {
        match (&self.convolution, &kept.convolution) {
            (Some(conv), Some(kept)) => conv.output(pass, kept),
            _ => self.feed_forward.output(pass, &kept.feed_forward),
        }
    }

    /// Gradient of the input, if it is wanted; `input` computes the input of a block that needs it.
    pub(crate) fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptBlock,
        input: impl FnOnce(&Pass<'_>) -> Option<Buffer>,
        dy: Buffer,
        wanted: bool,
    ) -> Option<Buffer> {
        let KeptBlock {
            attention,
            feed_forward,
            convolution,
        } = kept;
        let beside = self.convolution.as_ref().zip(convolution);
        let (dy, beside) = match beside {
            Some((conv, kept)) => {
                let (d_block, d_conv) = conv.backward(cx, kept, &dy);
                (d_block, Some((conv, d_conv)))
            }
            None => (dy, None),
        };
        let h = (self.feed_forward.placement == Placement::Post)
            .then(|| self.attention.output(&cx.pass, &attention));
        let dh = self
            .feed_forward
            .backward(cx, feed_forward, h.as_ref(), dy, true)?;
        drop(h);
        let x = input(&cx.pass);
        let mut dx = self
            .attention
            .backward(cx, attention, x.as_ref(), dh, wanted);
        if let (Some((conv, d_conv)), Some(x)) = (beside, &x) {
            conv.input_backward(cx, &d_conv, x, dx.as_mut());
        }
        dx
    }

    /// Bytes of [`KeptBlock`] for so many tokens.
    pub(crate) fn kept_bytes(&self, tokens: usize, dim: usize) -> usize {
        self.attention.kept_bytes(tokens, dim)
            + self.feed_forward.kept_bytes(tokens, dim)
            + self.bytes_beside(|conv| conv.kept_bytes(tokens))
    }

    /// Bytes that the backward uses besides what is kept. Matrices of the model's width are the gradient of a half's output,
    /// its recomputed input, and that input's gradient; with dropout also the gradient before it.
    pub(crate) fn working_bytes(&self, tokens: usize, dim: usize, drops: bool) -> usize {
        let of_width = if drops { 4 } else { 3 };
        arena::bytes(tokens, &[of_width * dim])
            + self.attention.half.working_bytes(tokens)
            + self.feed_forward.half.working_bytes(tokens)
            + self.bytes_beside(|conv| conv.working_bytes(tokens))
    }

    /// Bytes that the backward uses besides [`Self::working_bytes`], of a width that nothing else has.
    pub(crate) fn unshared_bytes(&self, tokens: usize) -> usize {
        self.bytes_beside(|conv| conv.unshared_bytes(tokens))
    }

    /// Bytes of a forward that keeps nothing. Matrices of the model's width are a half's input, its normalised input or the
    /// attention's output, and the sum.
    pub(crate) fn forward_bytes(&self, tokens: usize, dim: usize) -> usize {
        arena::bytes(tokens, &[3 * dim])
            + self.attention.half.forward_bytes(tokens)
            + self.feed_forward.half.forward_bytes(tokens)
            + self.bytes_beside(|conv| conv.forward_bytes(tokens))
    }

    fn bytes_beside(&self, bytes: impl FnOnce(&Convolution) -> usize) -> usize {
        self.convolution.as_ref().map_or(0, bytes)
    }
}

/// Where the gradient of an input goes, joined by that of the residual.
fn onto<'a>(dx: &'a mut Buffer, residual: &'a Buffer) -> InputGradient<'a> {
    InputGradient {
        residual: Some(residual.view()),
        ..dx.view_mut().into()
    }
}
