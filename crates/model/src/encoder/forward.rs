//! The forward pass. One code for inference and training: with `keep`, what the backward needs is kept.

use matryo_ops::{Dropout, Epilogue};

use super::{
    Encoder, Pass,
    arena::{self, Buffer},
    blueprint::{Linear, Norm},
    masks::Site,
};
use crate::Spec;

/// What the backward of the embeddings needs: the sum before the normalisation, its mean and deviation.
pub(super) struct KeptEmbeddings {
    pub(super) sum: Buffer,
    pub(super) stats: Buffer,
}

/// What the backward of one layer needs. Outputs of normalisations are computed again from `sum`.
pub(super) struct KeptBlock {
    pub(super) attention: KeptAttention,
    pub(super) ffn: KeptFfn,
}

/// Of the attention half; `t` tokens, width `d`.
pub(super) struct KeptAttention {
    /// `[t, 3 d]`.
    pub(super) qkv: Buffer,
    /// `[t, heads]`.
    pub(super) lse: Buffer,
    /// Output of the attention itself, `[t, d]`.
    pub(super) mixed: Buffer,
    /// Before the normalisation, `[t, d]`.
    pub(super) sum: Buffer,
    /// `[t, 2]`.
    pub(super) stats: Buffer,
}

/// Of the feed-forward half.
pub(super) struct KeptFfn {
    /// Before the activation, `[t, ffn_dim]`.
    pub(super) pre: Buffer,
    /// After it.
    pub(super) active: Buffer,
    /// Before the normalisation, `[t, d]`.
    pub(super) sum: Buffer,
    /// `[t, 2]`.
    pub(super) stats: Buffer,
}

impl KeptEmbeddings {
    /// Bytes for `tokens` tokens, field by field.
    pub(super) fn bytes(spec: &Spec, tokens: usize) -> usize {
        arena::bytes(tokens, &[spec.dim, 2])
    }
}

impl KeptBlock {
    /// Bytes for `tokens` tokens.
    pub(super) fn bytes(spec: &Spec, tokens: usize) -> usize {
        KeptAttention::bytes(spec, tokens) + KeptFfn::bytes(spec, tokens)
    }
}

impl KeptAttention {
    /// Bytes for `tokens` tokens, field by field.
    fn bytes(spec: &Spec, tokens: usize) -> usize {
        arena::bytes(tokens, &[3 * spec.dim, spec.heads, spec.dim, spec.dim, 2])
    }
}

impl KeptFfn {
    /// Bytes for `tokens` tokens, field by field.
    fn bytes(spec: &Spec, tokens: usize) -> usize {
        arena::bytes(tokens, &[spec.ffn_dim, spec.ffn_dim, spec.dim, 2])
    }
}

impl Encoder {
    /// Output of the last layer, `[t, d]`.
    pub(super) fn last_hidden_state(&self, pass: &Pass<'_>) -> Buffer {
        let (x, _) = self.embeddings(pass, false);
        (0..self.spec.layers).fold(x, |x, index| self.block(index, x, pass, false).0)
    }

    /// Input of the first layer.
    pub(super) fn embeddings(
        &self,
        pass: &Pass<'_>,
        keep: bool,
    ) -> (Buffer, Option<KeptEmbeddings>) {
        let sum = self.store.embed(
            &*self.ops,
            &self.arena,
            &self.blueprint,
            &pass.batch.ids,
            &pass.positions,
        );
        let mut stats = keep.then(|| self.arena.take(pass.tokens(), 2));
        let mut x = self.norm(self.blueprint.embed_norm, &sum, stats.as_mut());
        self.drop(&mut x, pass.masks.at(0, Site::Embeddings));
        (x, stats.map(|stats| KeptEmbeddings { sum, stats }))
    }

    /// One layer.
    pub(super) fn block(
        &self,
        index: usize,
        x: Buffer,
        pass: &Pass<'_>,
        keep: bool,
    ) -> (Buffer, Option<KeptBlock>) {
        let (h, attention) = self.attention(index, x, pass, keep);
        let (y, ffn) = self.feed_forward(index, h, pass, keep);
        (
            y,
            attention
                .zip(ffn)
                .map(|(attention, ffn)| KeptBlock { attention, ffn }),
        )
    }

    /// `LN(x + drop(out(attention(qkv(x)))))`.
    fn attention(
        &self,
        index: usize,
        x: Buffer,
        pass: &Pass<'_>,
        keep: bool,
    ) -> (Buffer, Option<KeptAttention>) {
        let (t, block, shape) = (
            pass.tokens(),
            &self.blueprint.blocks[index],
            self.spec.attention(),
        );
        let qkv = self.linear(block.qkv, &x, Epilogue::default());
        let mut lse = keep.then(|| self.arena.take(t, shape.heads));
        let mut mixed = self.arena.take(t, self.spec.dim);
        let lse_view = lse.as_mut().map(Buffer::view_mut);
        let dropout = pass.masks.at(index, Site::Probabilities);
        self.ops.attention(
            mixed.view_mut(),
            lse_view,
            qkv.view(),
            pass.spans(),
            shape,
            dropout,
        );
        let (sum, mixed) = self.residual(
            block.attention_out,
            mixed,
            x,
            pass.masks.at(index, Site::AttentionOut),
        );
        let mut stats = keep.then(|| self.arena.take(t, 2));
        let h = self.norm(block.attention_norm, &sum, stats.as_mut());
        (
            h,
            lse.zip(stats).map(|(lse, stats)| KeptAttention {
                qkv,
                lse,
                mixed,
                sum,
                stats,
            }),
        )
    }

    /// `LN(h + drop(out(f(in(h)))))`.
    fn feed_forward(
        &self,
        index: usize,
        h: Buffer,
        pass: &Pass<'_>,
        keep: bool,
    ) -> (Buffer, Option<KeptFfn>) {
        let (t, block) = (pass.tokens(), &self.blueprint.blocks[index]);
        let mut pre = keep.then(|| self.arena.take(t, self.spec.ffn_dim));
        let epilogue = Epilogue {
            activation: Some(self.spec.activation),
            pre_activation: pre.as_mut().map(Buffer::view_mut),
            ..Epilogue::default()
        };
        let active = self.linear(block.ffn_in, &h, epilogue);
        let (sum, active) =
            self.residual(block.ffn_out, active, h, pass.masks.at(index, Site::FfnOut));
        let mut stats = keep.then(|| self.arena.take(t, 2));
        let y = self.norm(block.ffn_norm, &sum, stats.as_mut());
        (
            y,
            pre.zip(stats).map(|(pre, stats)| KeptFfn {
                pre,
                active,
                sum,
                stats,
            }),
        )
    }

    /// `residual + drop(linear(x))`, and `x` handed back. The residual's buffer is free afterwards.
    fn residual(
        &self,
        linear: Linear,
        x: Buffer,
        residual: Buffer,
        dropout: Option<Dropout<'_>>,
    ) -> (Buffer, Buffer) {
        if dropout.is_none() {
            let epilogue = Epilogue {
                residual: Some(residual.view()),
                ..Epilogue::default()
            };
            return (self.linear(linear, &x, epilogue), x);
        }
        let mut y = self.linear(linear, &x, Epilogue::default());
        self.drop(&mut y, dropout);
        self.ops.add(y.view_mut(), residual.view());
        (y, x)
    }

    /// `epilogue(x wᵀ + b)`.
    fn linear(&self, linear: Linear, x: &Buffer, epilogue: Epilogue<'_>) -> Buffer {
        let mut y = self.arena.take(x.rows(), linear.weight.rows);
        let bias = linear.bias.map(|bias| self.store.values(bias));
        self.ops.linear(
            y.view_mut(),
            x.view(),
            self.store.weight(linear.weight),
            Epilogue { bias, ..epilogue },
        );
        y
    }

    /// Layer normalisation of each row.
    pub(super) fn norm(&self, norm: Norm, sum: &Buffer, stats: Option<&mut Buffer>) -> Buffer {
        let mut y = self.arena.take(sum.rows(), sum.cols());
        let (gamma, beta) = (self.store.values(norm.gamma), self.store.values(norm.beta));
        let stats = stats.map(Buffer::view_mut);
        self.ops.layer_norm(
            y.view_mut(),
            stats,
            sum.view(),
            gamma,
            beta,
            self.spec.norm_eps,
        );
        y
    }

    /// Dropout in place, forward and backward.
    pub(super) fn drop(&self, x: &mut Buffer, dropout: Option<Dropout<'_>>) {
        if let Some(dropout) = dropout {
            self.ops.dropout(x.view_mut(), dropout);
        }
    }
}
