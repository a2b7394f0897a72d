//! The backward pass: activations in, gradients of the trainable parameters added up.
//!
//! Outputs of normalisations are computed again from their inputs rather than kept: they cost a pass over memory each
//! and would be a seventh of what a layer keeps.

use matryo_ops::{Dropout, InputGradient, MatMut, MatRef};

use super::{
    Encoder, Pass,
    arena::Buffer,
    blueprint::{Linear, Norm},
    forward::{KeptAttention, KeptBlock, KeptEmbeddings, KeptFfn},
    grads::accumulate,
    masks::Site,
    training::Activations,
};
use crate::Grads;

/// One backward under way.
pub(super) struct Backward<'a> {
    pub(super) model: &'a Encoder,
    pub(super) pass: Pass<'a>,
    pub(super) grads: &'a mut Grads,
}

impl Backward<'_> {
    /// From the embeddings down to the lowest parameter that is trained.
    pub(super) fn run(mut self, activations: Activations, d_embeddings: MatRef<'_>) {
        let Activations {
            embeddings,
            input,
            mut blocks,
            hidden,
            modules,
            ..
        } = activations;
        let d_pooled = self.modules(modules, d_embeddings.to_mat());
        // Without an input no layer has anything to train.
        let Some(input) = input else { return };
        let mut dy = self.pool(d_pooled.view(), &hidden);
        drop(hidden);
        while let Some(kept) = blocks.pop() {
            let index = self.model.lowest + blocks.len();
            let again = blocks
                .last()
                .map(|below| self.output(index - 1, &below.ffn));
            match self.block(index, kept, again.as_ref().unwrap_or(&input), dy) {
                Some(dx) => dy = dx,
                None => return,
            }
        }
        if let Some(kept) = embeddings {
            self.embeddings(&kept, dy);
        }
    }

    /// One layer with input `x`; the input's gradient if anything below is trained.
    fn block(&mut self, index: usize, kept: KeptBlock, x: &Buffer, dy: Buffer) -> Option<Buffer> {
        let norm = self.model.blueprint.blocks[index].attention_norm;
        let h = self.model.norm(norm, &kept.attention.sum, None);
        let dh = self.feed_forward(index, kept.ffn, &h, dy);
        drop(h);
        self.attention(index, kept.attention, x, dh)
    }

    fn feed_forward(&mut self, index: usize, kept: KeptFfn, h: &Buffer, dy: Buffer) -> Buffer {
        let (model, block) = (self.model, self.model.blueprint.blocks[index]);
        let d_sum = self.norm(block.ffn_norm, dy, &kept.sum, &kept.stats);
        let branch = self.branch(&d_sum, self.pass.masks.at(index, Site::FfnOut));
        let d_out = branch.as_ref().unwrap_or(&d_sum);
        let mut d_pre = model.arena.take(h.rows(), model.spec.ffn_dim);
        let activation = Some((model.spec.activation, kept.pre.view()));
        let through = InputGradient {
            activation,
            ..d_pre.view_mut().into()
        };
        self.linear(
            block.ffn_out,
            Some(through),
            d_out.view(),
            kept.active.view(),
        );
        let mut dh = model.arena.take(h.rows(), model.spec.dim);
        self.linear(
            block.ffn_in,
            Some(beside(&d_sum, &mut dh)),
            d_pre.view(),
            h.view(),
        );
        dh
    }

    fn attention(
        &mut self,
        index: usize,
        kept: KeptAttention,
        x: &Buffer,
        dh: Buffer,
    ) -> Option<Buffer> {
        let (model, block) = (self.model, self.model.blueprint.blocks[index]);
        let d_sum = self.norm(block.attention_norm, dh, &kept.sum, &kept.stats);
        let branch = self.branch(&d_sum, self.pass.masks.at(index, Site::AttentionOut));
        let d_out = branch.as_ref().unwrap_or(&d_sum);
        let mut d_mixed = model.arena.take(x.rows(), model.spec.dim);
        self.linear(
            block.attention_out,
            Some(d_mixed.view_mut().into()),
            d_out.view(),
            kept.mixed.view(),
        );
        let d_qkv = self.attention_itself(index, &kept, d_mixed);
        let wanted = index > model.lowest || model.trains_embeddings;
        let mut dx = wanted.then(|| model.arena.take(x.rows(), model.spec.dim));
        self.linear(
            block.qkv,
            dx.as_mut().map(|dx| beside(&d_sum, dx)),
            d_qkv.view(),
            x.view(),
        );
        dx
    }

    /// From the output of the attention operation to its fused input.
    fn attention_itself(&self, index: usize, kept: &KeptAttention, d_mixed: Buffer) -> Buffer {
        let mut d_qkv = self.model.arena.take(kept.qkv.rows(), kept.qkv.cols());
        self.model.ops.attention_bwd(
            d_qkv.view_mut(),
            d_mixed.view(),
            kept.mixed.view(),
            kept.lse.view(),
            kept.qkv.view(),
            self.pass.spans(),
            self.model.spec.attention(),
            self.pass.masks.at(index, Site::Probabilities),
        );
        d_qkv
    }

    fn embeddings(&mut self, kept: &KeptEmbeddings, mut dy: Buffer) {
        let (model, plan) = (self.model, &self.model.blueprint);
        model.drop(&mut dy, self.pass.masks.at(0, Site::Embeddings));
        let d_sum = self.norm(plan.embed_norm, dy, &kept.sum, &kept.stats);
        let (ids, positions) = (&self.pass.batch.ids, &self.pass.positions);
        let tables = [plan.words, plan.positions, plan.kinds];
        accumulate(
            self.grads,
            tables.map(Some),
            |[mut word, position, kind]| {
                let padding = word
                    .as_deref()
                    .and_then(|word| padding_row(model, word, ids));
                let table = |i: usize, values| MatMut::new(tables[i].rows, tables[i].cols, values);
                let d_word = word.as_deref_mut().map(|values| table(0, values));
                let (d_position, d_kind) = (
                    position.map(|values| table(1, values)),
                    kind.map(|values| table(2, values)),
                );
                model
                    .ops
                    .embed_bwd(d_sum.view(), ids, positions, d_word, d_position, d_kind);
                if let (Some(word), Some((start, before))) = (word, padding) {
                    word[start..start + before.len()].copy_from_slice(&before);
                }
            },
        );
    }

    /// Output of layer `index`, computed again.
    fn output(&self, index: usize, kept: &KeptFfn) -> Buffer {
        self.model
            .norm(self.model.blueprint.blocks[index].ffn_norm, &kept.sum, None)
    }

    /// Gradient of the sum that a normalisation was given.
    fn norm(&mut self, norm: Norm, dy: Buffer, sum: &Buffer, stats: &Buffer) -> Buffer {
        let model = self.model;
        let mut d_sum = model.arena.take(sum.rows(), sum.cols());
        let gamma = model.store.values(norm.gamma);
        accumulate(
            self.grads,
            [Some(norm.gamma), Some(norm.beta)],
            |[d_gamma, d_beta]| {
                let d = d_sum.view_mut();
                model.ops.layer_norm_bwd(
                    d,
                    d_gamma,
                    d_beta,
                    dy.view(),
                    sum.view(),
                    stats.view(),
                    gamma,
                );
            },
        );
        d_sum
    }

    /// Backward of a linear layer; does nothing if nothing is wanted.
    pub(super) fn linear(
        &mut self,
        linear: Linear,
        dx: Option<InputGradient<'_>>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
    ) {
        let (model, weight) = (self.model, linear.weight);
        accumulate(self.grads, [Some(weight), linear.bias], |[dw, db]| {
            if dx.is_some() || dw.is_some() || db.is_some() {
                let dw = dw.map(|dw| MatMut::new(weight.rows, weight.cols, dw));
                model
                    .ops
                    .linear_bwd(dx, dw, db, dy, x, model.store.matrix(weight));
            }
        });
    }

    /// The gradient on the side of the residual that dropout was on; `None` if nothing was dropped and it is `d_sum` itself.
    fn branch(&self, d_sum: &Buffer, dropout: Option<Dropout<'_>>) -> Option<Buffer> {
        dropout.map(|dropout| {
            let mut d = self.model.arena.copy(d_sum);
            self.model.ops.dropout(d.view_mut(), dropout);
            d
        })
    }
}

/// The gradient of a residual joins that of the branch beside it.
fn beside<'a>(residual: &'a Buffer, dx: &'a mut Buffer) -> InputGradient<'a> {
    InputGradient {
        residual: Some(residual.view()),
        ..dx.view_mut().into()
    }
}

/// Place and values of the padding token's gradient so far, if the batch has that token (a text may spell it out).
/// They must not change: `padding_idx` of `torch.nn.Embedding`.
fn padding_row(model: &Encoder, d_words: &[f32], ids: &[u32]) -> Option<(usize, Vec<f32>)> {
    let padding = model.spec.padding.filter(|id| ids.contains(id))?;
    let (start, width) = (padding as usize * model.spec.dim, model.spec.dim);
    Some((start, d_words[start..start + width].to_vec()))
}
