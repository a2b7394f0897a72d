//! The feed-forward network of a block: `out(f(in(x)))`, or gated `out(f(a) * b)` with `[a, b] = in(x)` (Shazeer 2020).
//!
//! Its backward needs the first layer's output and the input of the second.

use matryo_ops::{Activation, Dropout, Epilogue, InputGradient};

use super::{
    attention::dropped,
    block::BlockPlace,
    half::Half,
    linear::Linear,
    params::{EncoderBuilder, LinearShape},
};
use crate::{
    DropoutSpec, FeedForwardSpec, NnError,
    arena::{self, Buffer},
    dropout::Site,
    families::{Axis, ParamId},
    pass::{Backward, Pass},
};

/// The feed-forward network of one block.
#[derive(Debug)]
pub(crate) struct FeedForward {
    block: usize,
    input: Linear,
    output: Linear,
    activation: Activation,
    gated: bool,
    dim: usize,
    /// Rates between the layers and on the output.
    dropout: (f32, f32),
}

/// What the backward needs.
pub(crate) struct KeptFeedForward {
    /// Output of the first layer, `[t, dim]` or, gated, `[t, 2 dim]`.
    pre: Buffer,
    /// Input of the second layer, `[t, dim]`.
    active: Buffer,
}

/// On the way from the first layer to the second.
pub(crate) struct Active {
    active: Buffer,
    pre: Option<Buffer>,
}

impl FeedForward {
    /// Builds the network of a block for hidden states of width `dim`.
    pub(crate) fn build(
        builder: &mut EncoderBuilder<'_, '_>,
        place: BlockPlace,
        spec: &FeedForwardSpec,
        dim: usize,
        dropout: &DropoutSpec,
    ) -> Result<Self, NnError> {
        let input = LinearShape {
            out: (Axis::FeedForward, spec.inner()),
            input: (Axis::Dim, dim),
            bias: spec.bias,
        };
        let output = LinearShape {
            out: (Axis::Dim, dim),
            input: (Axis::FeedForward, spec.dim),
            bias: spec.bias,
        };
        let first = match spec.gated {
            true => ParamId::GatedIn,
            false => ParamId::FeedForwardIn,
        };
        Ok(Self {
            block: place.index,
            input: builder.linear(first(place.weights), input)?,
            output: builder.linear(ParamId::FeedForwardOut(place.weights), output)?,
            activation: spec.activation,
            gated: spec.gated,
            dim: spec.dim,
            dropout: (dropout.feed_forward_inner, dropout.feed_forward_out),
        })
    }

    fn inner_mask<'p>(&self, pass: &'p Pass<'_>) -> Option<Dropout<'p>> {
        pass.masks
            .at(self.dropout.0, self.block, Site::FeedForwardInner)
    }

    fn outer_mask<'p>(&self, pass: &'p Pass<'_>) -> Option<Dropout<'p>> {
        pass.masks
            .at(self.dropout.1, self.block, Site::FeedForwardOut)
    }

    /// The activation is applied while the sums of the product are in registers.
    fn plain(&self, pass: &Pass<'_>, x: &Buffer, keep: bool) -> Active {
        let mut pre = keep.then(|| pass.arena.take(x.rows(), self.dim));
        let epilogue = Epilogue {
            activation: Some(self.activation),
            pre_activation: pre.as_mut().map(Buffer::view_mut),
            ..Epilogue::default()
        };
        let active = self.input.forward(pass, x, epilogue);
        Active { active, pre }
    }

    /// Both halves have to be there before they can be multiplied.
    fn gated(&self, pass: &Pass<'_>, x: &Buffer, keep: bool) -> Active {
        let pre = self.input.forward(pass, x, Epilogue::default());
        let mut active = pass.arena.take(x.rows(), self.dim);
        let activation = self.activation;
        pass.ops.gate(active.view_mut(), pre.view(), activation);
        Active {
            active,
            pre: keep.then_some(pre),
        }
    }
}

impl Half for FeedForward {
    type Mid = Active;
    type Kept = KeptFeedForward;

    fn forward(&self, pass: &Pass<'_>, x: &Buffer, keep: bool) -> Active {
        let mut mid = if self.gated {
            self.gated(pass, x, keep)
        } else {
            self.plain(pass, x, keep)
        };
        pass.drop(&mut mid.active, self.inner_mask(pass));
        mid
    }

    fn finish(
        &self,
        pass: &Pass<'_>,
        mid: Active,
        residual: &Buffer,
    ) -> (Buffer, Option<KeptFeedForward>) {
        let Active { active, pre } = mid;
        let dropout = self.outer_mask(pass);
        let y = self.output.forward_onto(pass, &active, residual, dropout);
        (y, pre.map(|pre| KeptFeedForward { pre, active }))
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptFeedForward,
        x: &Buffer,
        dy: &Buffer,
        dx: Option<InputGradient<'_>>,
    ) {
        let KeptFeedForward { pre, active } = kept;
        let dropped = dropped(&cx.pass, dy, self.outer_mask(&cx.pass));
        let d_out = dropped.as_ref().unwrap_or(dy);
        let mut d_active = cx.pass.arena.take(active.rows(), self.dim);
        // Without anything in between, the activation's derivative follows the product while its sums are in registers.
        let fused = !self.gated && self.inner_mask(&cx.pass).is_none();
        let through = InputGradient {
            activation: fused.then(|| (self.activation, pre.view())),
            ..d_active.view_mut().into()
        };
        self.output
            .backward(cx, Some(through), d_out.view(), active.view());
        drop(active);
        if fused {
            return self.input.backward(cx, dx, d_active.view(), x.view());
        }
        cx.pass.drop(&mut d_active, self.inner_mask(&cx.pass));
        let d_pre = self.through_activation(&cx.pass, d_active, &pre);
        self.input.backward(cx, dx, d_pre.view(), x.view());
    }

    fn kept_bytes(&self, tokens: usize) -> usize {
        arena::bytes(tokens, &[self.input.out(), self.dim])
    }

    fn working_bytes(&self, tokens: usize) -> usize {
        let d_pre = if self.gated { self.input.out() } else { 0 };
        arena::bytes(tokens, &[self.dim, d_pre])
    }

    fn forward_bytes(&self, tokens: usize) -> usize {
        let pre = if self.gated { self.input.out() } else { 0 };
        arena::bytes(tokens, &[self.dim, pre])
    }
}

impl FeedForward {
    /// Gradient of the first layer's output.
    fn through_activation(&self, pass: &Pass<'_>, mut d_active: Buffer, pre: &Buffer) -> Buffer {
        let activation = self.activation;
        if !self.gated {
            let d = d_active.view_mut();
            pass.ops.activation_bwd(d, pre.view(), activation);
            return d_active;
        }
        let mut d_pre = pass.arena.take(pre.rows(), pre.cols());
        let dy = d_active.view();
        pass.ops
            .gate_bwd(d_pre.view_mut(), dy, pre.view(), activation);
        d_pre
    }
}
