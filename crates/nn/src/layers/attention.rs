//! Multi-head self-attention: a fused linear layer for queries, keys and values, the attention itself, an output layer.
//!
//! Its backward needs the fused output (after the rotation, if there is one), the log-sum-exp of each query and head, from
//! which the probabilities are recomputed, and the input of the output layer. A bias and vectors by distance are made anew.

use std::sync::Arc;

use matryo_ops::{
    Attention as AttentionArgs, AttentionBackward, AttentionMemory, AttentionShape, Dropout,
    Epilogue, InputGradient, Mat, RelativeBias,
};

use super::{
    block::BlockPlace,
    disentangled::Disentangled,
    half::Half,
    linear::Linear,
    params::{EncoderBuilder, LinearShape},
    relative::Relative,
    rotary::Rotary,
};
use crate::{
    AttentionSpec, BatchSize, DropoutSpec, NnError,
    arena::{self, Buffer},
    dropout::Site,
    families::{Axis, ParamId},
    pass::{Backward, Pass},
};

/// The attention of one block.
#[derive(Debug)]
pub(crate) struct Attention {
    block: usize,
    qkv: Linear,
    out: Linear,
    shape: AttentionShape,
    rotary: Option<Arc<Rotary>>,
    relative: Option<Relative>,
    disentangled: Option<Disentangled>,
    /// Rates on the probabilities and on the output.
    dropout: (f32, f32),
}

/// What the backward needs; `t` tokens, width `d` of all heads.
pub(crate) struct KeptAttention {
    /// `[t, 3 d]`.
    qkv: Buffer,
    /// `[t, heads]`.
    lse: Buffer,
    /// Input of the output layer, `[t, d]`.
    mixed: Buffer,
}

/// On the way from the input to the output layer.
pub(crate) struct Mixed {
    mixed: Buffer,
    /// Queries, keys, values and the log-sum-exp, if they are kept.
    kept: Option<(Buffer, Buffer)>,
}

impl Attention {
    /// Builds the attention of a block for hidden states of width `dim`.
    pub(crate) fn build(
        builder: &mut EncoderBuilder<'_, '_>,
        place: BlockPlace,
        spec: &AttentionSpec,
        dim: usize,
        dropout: &DropoutSpec,
    ) -> Result<Self, NnError> {
        let width = spec.shape.width();
        let qkv = LinearShape {
            out: (Axis::Attention, 3 * width),
            input: (Axis::Dim, dim),
            bias: spec.bias,
        };
        let out = LinearShape {
            out: (Axis::Dim, dim),
            input: (Axis::Attention, width),
            bias: spec.bias,
        };
        Ok(Self {
            block: place.index,
            qkv: builder.linear(ParamId::Qkv(place.weights), qkv)?,
            out: builder.linear(ParamId::AttentionOut(place.weights), out)?,
            shape: spec.shape,
            rotary: spec.rotary.map(|rotary| builder.rotary(rotary, spec.shape)),
            relative: spec
                .relative
                .map(|relative| builder.relative(relative, spec.shape))
                .transpose()?,
            disentangled: spec
                .disentangled
                .map(|spec| Disentangled::build(builder, place, spec, (width, dim), dropout))
                .transpose()?,
            dropout: (dropout.probabilities, dropout.attention_out),
        })
    }
}

impl Attention {
    fn bytes_of_distances(&self, tokens: usize, backward: bool) -> usize {
        let layer = self.disentangled.as_ref();
        layer.map_or(0, |layer| layer.bytes(tokens, &self.qkv, backward))
    }

    /// Bytes that a forward and backward on this many threads use besides buffers.
    pub(super) fn scratch_bytes(&self, size: BatchSize, threads: usize) -> usize {
        let layer = self.disentangled.as_ref();
        let memory = AttentionMemory {
            shape: self.shape,
            longest: size.longest,
            tokens: size.tokens,
            has_bias: self.relative.is_some(),
            distances: layer.map(|layer| layer.terms_and_rows(size.longest)),
        };
        // Tasks are heads of texts.
        let busy = threads.min(size.texts * self.shape.heads);
        busy * memory.per_thread() + memory.sums()
    }

    /// The mask of the attention probabilities.
    fn probabilities<'p>(&self, pass: &'p Pass<'_>) -> Option<Dropout<'p>> {
        pass.masks
            .at(self.dropout.0, self.block, Site::Probabilities)
    }
}

impl Half for Attention {
    type Mid = Mixed;
    type Kept = KeptAttention;

    fn forward(&self, pass: &Pass<'_>, x: &Buffer, keep: bool) -> Mixed {
        let tokens = x.rows();
        let mut qkv = self.qkv.forward(pass, x, Epilogue::default());
        if let Some(rotary) = &self.rotary {
            rotary.forward(pass, &mut qkv);
        }
        let bias = self.relative.map(|relative| relative.expand(pass));
        let distances = self
            .disentangled
            .as_ref()
            .map(|layer| (layer, layer.forward(pass, &self.qkv)));
        let mut lse = keep.then(|| pass.arena.take(tokens, self.shape.heads));
        let mut mixed = pass.arena.take(tokens, self.shape.width());
        pass.ops.attention(AttentionArgs {
            y: mixed.view_mut(),
            lse: lse.as_mut().map(Buffer::view_mut),
            qkv: qkv.view(),
            spans: pass.spans(),
            shape: self.shape,
            bias: bias.as_ref().map(relative_bias),
            distances: distances
                .as_ref()
                .map(|(layer, distances)| layer.args(distances)),
            dropout: self.probabilities(pass),
        });
        Mixed {
            mixed,
            kept: lse.map(|lse| (qkv, lse)),
        }
    }

    fn finish(
        &self,
        pass: &Pass<'_>,
        mid: Mixed,
        residual: &Buffer,
    ) -> (Buffer, Option<KeptAttention>) {
        let Mixed { mixed, kept } = mid;
        let dropout = pass
            .masks
            .at(self.dropout.1, self.block, Site::AttentionOut);
        let y = self.out.forward_onto(pass, &mixed, residual, dropout);
        let kept = kept.map(|(qkv, lse)| KeptAttention { qkv, lse, mixed });
        (y, kept)
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptAttention,
        x: &Buffer,
        dy: &Buffer,
        dx: Option<InputGradient<'_>>,
    ) {
        let KeptAttention { qkv, lse, mixed } = kept;
        let site = Site::AttentionOut;
        let dropped = dropped(
            &cx.pass,
            dy,
            cx.pass.masks.at(self.dropout.1, self.block, site),
        );
        let d_out = dropped.as_ref().unwrap_or(dy);
        let mut d_mixed = cx.pass.arena.take(mixed.rows(), mixed.cols());
        let wanted = Some(d_mixed.view_mut().into());
        self.out.backward(cx, wanted, d_out.view(), mixed.view());
        let mut d_qkv = cx.pass.arena.take(qkv.rows(), qkv.cols());
        let bias = self.relative.map(|relative| relative.expand(&cx.pass));
        let mut d_bias = bias
            .as_ref()
            .map(|bias| Mat::zeros(bias.rows(), bias.cols()));
        let distances = self.disentangled.as_ref().map(|layer| {
            let (distances, inputs) = layer.forward_kept(&cx.pass, &self.qkv, true);
            (layer, distances, inputs)
        });
        let mut d_vectors = distances
            .as_ref()
            .map(|(layer, distances, _)| layer.zero_gradient(&cx.pass, distances));
        cx.pass.ops.attention_bwd(AttentionBackward {
            dqkv: d_qkv.view_mut(),
            dy: d_mixed.view(),
            y: mixed.view(),
            lse: lse.view(),
            qkv: qkv.view(),
            spans: cx.pass.spans(),
            shape: self.shape,
            bias: bias.as_ref().map(relative_bias),
            d_bias: d_bias.as_mut().map(Mat::view_mut),
            distances: distances
                .as_ref()
                .map(|(layer, distances, _)| layer.args(distances)),
            d_vectors: d_vectors.as_mut().map(Buffer::view_mut),
            dropout: self.probabilities(&cx.pass),
        });
        if let (Some(relative), Some(d_bias)) = (self.relative, &d_bias) {
            relative.backward(cx, d_bias);
        }
        if let (Some((layer, _, inputs)), Some(d_vectors)) = (distances, &d_vectors) {
            layer.backward(cx, &self.qkv, inputs, d_vectors);
        }
        if let Some(rotary) = &self.rotary {
            rotary.backward(&cx.pass, &mut d_qkv);
        }
        self.qkv.backward(cx, dx, d_qkv.view(), x.view());
    }

    fn kept_bytes(&self, tokens: usize) -> usize {
        let width = self.shape.width();
        arena::bytes(tokens, &[3 * width, self.shape.heads, width])
    }

    fn working_bytes(&self, tokens: usize) -> usize {
        arena::bytes(tokens, &[3 * self.shape.width()]) + self.bytes_of_distances(tokens, true)
    }

    fn forward_bytes(&self, tokens: usize) -> usize {
        arena::bytes(tokens, &[3 * self.shape.width()]) + self.bytes_of_distances(tokens, false)
    }
}

fn relative_bias(values: &Mat) -> RelativeBias<'_> {
    RelativeBias {
        values: values.view(),
    }
}

/// The gradient before a dropout; `None` if nothing is dropped there and it is `dy` itself.
pub(super) fn dropped(
    pass: &Pass<'_>,
    dy: &Buffer,
    dropout: Option<Dropout<'_>>,
) -> Option<Buffer> {
    let dropout = dropout?;
    let mut d = pass.arena.copy(dy);
    pass.ops.dropout(d.view_mut(), dropout);
    Some(d)
}
