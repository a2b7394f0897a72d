//! The training pass: a forward that keeps activations, and what it keeps.

use std::sync::Arc;

use matryo_ops::{Mat, MatRef};

use super::{
    Encoder,
    arena::Buffer,
    backward::Backward,
    forward::{KeptBlock, KeptEmbeddings},
    head::KeptModule,
    masks::Masks,
};
use crate::{Grads, TokenBatch};

/// Everything that one backward needs of its forward. Their memory goes back to the encoder when they are dropped.
#[must_use = "a forward whose activations are not used should be `Encoder::embed`"]
pub struct Activations {
    pub(super) batch: Arc<TokenBatch>,
    pub(super) seed: u64,
    /// `None` if the embeddings are frozen.
    pub(super) embeddings: Option<KeptEmbeddings>,
    /// Input of the lowest layer that has something to train; `None` if no layer has.
    pub(super) input: Option<Buffer>,
    /// From that layer upwards.
    pub(super) blocks: Vec<KeptBlock>,
    /// Output of the last layer.
    pub(super) hidden: Buffer,
    pub(super) modules: Vec<KeptModule>,
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
        (
            out,
            Activations {
                embeddings,
                input,
                blocks,
                hidden: x,
                modules,
                seed,
                batch,
            },
        )
    }

    /// The embeddings of [`Encoder::forward`], bit for bit, keeping nothing for a backward.
    ///
    /// Panics as [`Encoder::embed`].
    pub fn embed_in_training(&self, batch: &TokenBatch, seed: u64) -> Mat {
        self.head(
            &self.last_hidden_state(&self.pass(batch, Masks::new(&self.spec, batch, seed))),
            batch,
        )
        .0
    }

    /// Adds the gradients of all trainable parameters to `grads`, given that of the embeddings, `[texts, dim]`.
    pub fn backward(&self, activations: Activations, d_embeddings: MatRef<'_>, grads: &mut Grads) {
        let batch = activations.batch.clone();
        assert_eq!(
            (d_embeddings.rows(), d_embeddings.cols()),
            (batch.texts(), self.dim),
            "gradient of the embeddings"
        );
        let pass = self.pass(&batch, Masks::new(&self.spec, &batch, activations.seed));
        Backward {
            model: self,
            pass,
            grads,
        }
        .run(activations, d_embeddings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelFolder;

    #[test]
    fn a_steady_batch_size_allocates_once() {
        let folder = ModelFolder::open(&matryo_testkit::tiny_bert()).unwrap();
        let encoder = Encoder::for_training(&folder, matryo_ops::cpu(), &[]).unwrap();
        let mut grads = Grads::zeros(encoder.params().unwrap().layout.clone());
        let mut batch = TokenBatch::new();
        (0..4).for_each(|text| batch.push(&[2, 17, 39, 40, 3], text, 0));
        let batch = Arc::new(batch);
        let mut step = || {
            let (embeddings, activations) = encoder.forward(batch.clone(), 0);
            encoder.backward(activations, embeddings.view(), &mut grads);
            encoder.embed(&batch);
            encoder.arena.allocated()
        };
        step();
        let steady = step();
        assert_eq!(step(), steady);
    }

    #[test]
    fn layers_below_the_lowest_trained_keep_nothing() {
        let folder = ModelFolder::open(&matryo_testkit::tiny_bert()).unwrap();
        let frozen = ["embeddings.*".to_owned(), "encoder.layer.0.*".to_owned()];
        let encoder = Encoder::for_training(&folder, matryo_ops::cpu(), &frozen).unwrap();
        let mut batch = TokenBatch::new();
        batch.push(&[2, 17, 3], 0, 0);
        let (_, activations) = encoder.forward(Arc::new(batch), 0);
        assert_eq!(activations.blocks.len(), 1);
        assert!(activations.embeddings.is_none());
    }
}
