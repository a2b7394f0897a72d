//! One block of an encoder: two halves, attention and feed-forward network, each with its normalisation and residual.
//!
//! In the backward a post-norm half needs its input as well. That is the output of the half below, which is recomputed from what that half
//! keeps.

use super::{
    attention::{Attention, KeptAttention},
    convolution::{Convolution, KeptConvolution},
    feed_forward::{FeedForward, KeptFeedForward},
    half::{Half, KeptHalf, Normed},
    params::EncoderBuilder,
};
use crate::{
    BatchSize, BlockSpec, DropoutSpec, NnError, Placement,
    arena::{self, Buffer},
    families::{Axis, ParamId},
    pass::{Backward, Pass},
};

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

    /// Bytes that a forward and backward on this many threads use besides buffers.
    pub(crate) fn scratch_bytes(&self, size: BatchSize, threads: usize) -> usize {
        self.attention.half.scratch_bytes(size, threads)
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
