//! The training passes: a forward that keeps activations, and the backward that consumes them.

use std::sync::Arc;

use matryo_ops::{Dropout, Mat, MatMut, MatRef};

use super::{
    Encoder, Pass,
    arena::Buffer,
    blueprint::Norm,
    forward::{KeptAttention, KeptBlock, KeptEmbeddings, KeptFfn},
    grads::accumulate,
    head::KeptModule,
    masks::{Masks, Site},
};
use crate::{Grads, TokenBatch};

/// Everything that one backward needs of its forward. Their memory goes back to the encoder when they are dropped.
#[must_use = "a forward whose activations are not used should be `Encoder::embed`"]
pub struct Activations {
    batch: Arc<TokenBatch>,
    seed: u64,
    /// `None` if the embeddings are frozen.
    embeddings: Option<KeptEmbeddings>,
    /// Input of the lowest layer that has something to train.
    input: Option<Buffer>,
    /// From that layer upwards.
    blocks: Vec<KeptBlock>,
    hidden: Buffer,
    modules: Vec<KeptModule>,
}

impl Activations {
    /// Number of texts.
    pub fn texts(&self) -> usize {
        self.batch.texts()
    }
}

impl Encoder {
    /// Embeddings `[texts, dim]` with dropout, and what [`Encoder::backward`] needs. The masks depend on `seed`, on each
    /// text's id and on the place in the model, so a second call gives the same bits.
    ///
    /// Panics if the encoder was opened for inference, and as [`Encoder::embed`].
    pub fn forward(&self, batch: Arc<TokenBatch>, seed: u64) -> (Mat, Activations) {
        assert!(self.params().is_some(), "an encoder opened for training");
        let pass = self.pass(&batch, Masks::new(&self.spec, &batch, seed));
        let (mut x, embeddings) = self.embeddings(&pass, self.trains_embeddings);
        for index in 0..self.lowest {
            x = self.block(index, x, &pass, false).0;
        }
        let trained = self.lowest..self.spec.layers;
        let input = (!trained.is_empty()).then(|| self.arena.copy(&x));
        let mut blocks = Vec::with_capacity(trained.len());
        for index in trained {
            let (y, kept) = self.block(index, x, &pass, true);
            blocks.extend(kept);
            x = y;
        }
        let (out, modules) = self.head(&x, &batch);
        (out, Activations { embeddings, input, blocks, hidden: x, modules, seed, batch })
    }

    /// Adds the gradients of all trainable parameters to `grads`, given that of the embeddings, `[texts, dim]`.
    pub fn backward(&self, activations: Activations, d_embeddings: MatRef<'_>, grads: &mut Grads) {
        let Activations { batch, seed, embeddings, input, mut blocks, hidden, modules } = activations;
        assert_eq!((d_embeddings.rows(), d_embeddings.cols()), (batch.texts(), self.dim), "gradient of the embeddings");
        let pass = self.pass(&batch, Masks::new(&self.spec, &batch, seed));
        let mut dy = self.head_bwd(modules, d_embeddings, &hidden, &batch, grads);
        drop(hidden);
        while let Some(kept) = blocks.pop() {
            let index = self.lowest + blocks.len();
            let again =
                blocks.last().map(|below| self.norm(self.blueprint.blocks[index - 1].ffn_norm, &below.ffn.sum, None));
            let Some(x) = again.as_ref().or(input.as_ref()) else { return };
            let wanted = index > self.lowest || self.trains_embeddings;
            match self.block_bwd(index, kept, x, dy, wanted, &pass, grads) {
                Some(dx) => dy = dx,
                None => return,
            }
        }
        if let Some(kept) = embeddings {
            self.embeddings_bwd(&kept, dy, &pass, grads);
        }
    }

    /// Backward of one layer with input `x`; the input's gradient if it is `wanted`.
    #[allow(clippy::too_many_arguments)]
    fn block_bwd(
        &self,
        index: usize,
        kept: KeptBlock,
        x: &Buffer,
        dy: Buffer,
        wanted: bool,
        pass: &Pass<'_>,
        grads: &mut Grads,
    ) -> Option<Buffer> {
        let h = self.norm(self.blueprint.blocks[index].attention_norm, &kept.attention.sum, None);
        let dh = self.feed_forward_bwd(index, kept.ffn, &h, dy, pass, grads);
        drop(h);
        self.attention_bwd(index, kept.attention, x, dh, wanted, pass, grads)
    }

    fn feed_forward_bwd(
        &self,
        index: usize,
        kept: KeptFfn,
        h: &Buffer,
        dy: Buffer,
        pass: &Pass<'_>,
        grads: &mut Grads,
    ) -> Buffer {
        let (t, block) = (pass.tokens(), &self.blueprint.blocks[index]);
        let d_sum = self.norm_bwd(block.ffn_norm, dy, &kept.sum, &kept.stats, grads);
        let branch = self.branch(&d_sum, pass.masks.at(index, Site::FfnOut));
        let d_out = branch.as_ref().unwrap_or(&d_sum);
        let mut d_active = self.arena.take(t, self.spec.ffn_dim);
        self.linear_bwd(&block.ffn_out, Some(d_active.view_mut()), d_out.view(), kept.active.view(), grads);
        self.ops.activation_bwd(d_active.view_mut(), kept.pre.view(), self.spec.activation);
        let mut dh = self.arena.take(t, self.spec.dim);
        self.linear_bwd(&block.ffn_in, Some(dh.view_mut()), d_active.view(), h.view(), grads);
        self.ops.add(dh.view_mut(), d_sum.view());
        dh
    }

    #[allow(clippy::too_many_arguments)]
    fn attention_bwd(
        &self,
        index: usize,
        kept: KeptAttention,
        x: &Buffer,
        dh: Buffer,
        wanted: bool,
        pass: &Pass<'_>,
        grads: &mut Grads,
    ) -> Option<Buffer> {
        let (t, d, block) = (pass.tokens(), self.spec.dim, &self.blueprint.blocks[index]);
        let d_sum = self.norm_bwd(block.attention_norm, dh, &kept.sum, &kept.stats, grads);
        let branch = self.branch(&d_sum, pass.masks.at(index, Site::AttentionOut));
        let d_out = branch.as_ref().unwrap_or(&d_sum);
        let mut d_mixed = self.arena.take(t, d);
        self.linear_bwd(&block.attention_out, Some(d_mixed.view_mut()), d_out.view(), kept.mixed.view(), grads);
        let mut d_qkv = self.arena.take(t, 3 * d);
        self.attention_core_bwd(&mut d_qkv, &d_mixed, &kept, pass, index);
        let mut dx = wanted.then(|| self.arena.take(t, d));
        self.linear_bwd(&block.qkv, dx.as_mut().map(Buffer::view_mut), d_qkv.view(), x.view(), grads);
        if let Some(dx) = &mut dx {
            self.ops.add(dx.view_mut(), d_sum.view());
        }
        dx
    }

    fn attention_core_bwd(
        &self,
        d_qkv: &mut Buffer,
        d_mixed: &Buffer,
        kept: &KeptAttention,
        pass: &Pass<'_>,
        index: usize,
    ) {
        let dropout = pass.masks.at(index, Site::Probabilities);
        self.ops.attention_bwd(
            d_qkv.view_mut(),
            d_mixed.view(),
            kept.mixed.view(),
            kept.lse.view(),
            kept.qkv.view(),
            pass.spans(),
            self.spec.attention(),
            dropout,
        );
    }

    fn embeddings_bwd(&self, kept: &KeptEmbeddings, mut dy: Buffer, pass: &Pass<'_>, grads: &mut Grads) {
        self.drop(&mut dy, pass.masks.at(0, Site::Embeddings));
        let plan = &self.blueprint;
        let d_sum = self.norm_bwd(plan.embed_norm, dy, &kept.sum, &kept.stats, grads);
        let tables = [plan.words, plan.positions, plan.kinds];
        accumulate(grads, tables.map(Some), |parts| {
            let [word, position, kind] = parts;
            let padding = word.as_deref().and_then(|word| self.padding_row(word, &pass.batch.ids));
            let [mut word, position, kind] = [(word, tables[0]), (position, tables[1]), (kind, tables[2])]
                .map(|(part, t)| part.map(|part| MatMut::new(t.rows, t.cols, part)));
            let (ids, positions) = (&pass.batch.ids, &pass.positions);
            let d_word = word.as_mut().map(MatMut::reborrow);
            self.ops.embed_bwd(d_sum.view(), ids, positions, d_word, position, kind);
            if let (Some(word), Some((row, before))) = (&mut word, padding) {
                word.row(row).copy_from_slice(&before);
            }
        });
    }

    /// The padding token's gradient so far, if the batch has that token (a text may spell it out): it must not change.
    fn padding_row(&self, d_words: &[f32], ids: &[u32]) -> Option<(usize, Vec<f32>)> {
        let padding = self.spec.padding.filter(|id| ids.contains(id))?;
        let (row, width) = (padding as usize, self.spec.dim);
        Some((row, d_words[row * width..(row + 1) * width].to_vec()))
    }

    /// Gradient of the sum that a normalisation was given.
    fn norm_bwd(&self, norm: Norm, dy: Buffer, sum: &Buffer, stats: &Buffer, grads: &mut Grads) -> Buffer {
        let mut d_sum = self.arena.take(sum.rows(), sum.cols());
        let gamma = self.store.values(norm.gamma);
        accumulate(grads, [Some(norm.gamma), Some(norm.beta)], |[d_gamma, d_beta]| {
            let d = d_sum.view_mut();
            self.ops.layer_norm_bwd(d, d_gamma, d_beta, dy.view(), sum.view(), stats.view(), gamma);
        });
        d_sum
    }

    /// The gradient on the side of the residual that dropout was on; `None` if nothing was dropped and it is `d_sum` itself.
    fn branch(&self, d_sum: &Buffer, dropout: Option<Dropout<'_>>) -> Option<Buffer> {
        dropout.map(|dropout| {
            let mut d = self.arena.copy(d_sum);
            self.ops.dropout(d.view_mut(), dropout);
            d
        })
    }
}
