//! How much memory passes take, known before they are made.

use super::{
    Encoder, arena,
    blueprint::Tensor,
    forward::{KeptBlock, KeptEmbeddings},
    head::KeptModule,
};

/// Tokens of which a weight's gradient packs the layer's input at a time, as the kernels do.
const TOKENS_PACKED: usize = 1024;

impl Encoder {
    /// Bytes of the [`crate::Activations`] of a batch of `tokens` tokens in `texts` texts.
    pub fn kept_bytes(&self, tokens: usize, texts: usize) -> usize {
        let spec = &self.spec;
        let embeddings = if self.trains_embeddings {
            KeptEmbeddings::bytes(spec, tokens)
        } else {
            0
        };
        let trained = spec.layers - self.lowest;
        let input = if trained > 0 {
            arena::bytes(tokens, &[spec.dim])
        } else {
            0
        };
        let hidden = arena::bytes(tokens, &[spec.dim]);
        embeddings
            + input
            + trained * KeptBlock::bytes(spec, tokens)
            + hidden
            + self.kept_module_bytes(texts)
    }

    fn kept_module_bytes(&self, texts: usize) -> usize {
        let (mut sum, mut width) = (0, self.pooling.modes.len() * self.spec.dim);
        for module in &self.modules {
            let (bytes, out) = KeptModule::bytes(module, width, texts);
            sum += bytes;
            width = out;
        }
        sum
    }

    /// Bytes that a forward and backward of `tokens` tokens uses beside what is kept.
    ///
    /// The most is used in the backward of a layer. Matrices of the model's width: its input and that of its second half, both
    /// computed again, the gradient of its output, that of the sum before the normalisation, with dropout that of the
    /// branch. Besides, the gradient of the activation, and that of the fused attention.
    pub fn working_bytes(&self, tokens: usize) -> usize {
        let (d, dropped) = (self.spec.dim, self.spec.hidden_dropout > 0.0);
        let of_width = if dropped { 5 } else { 4 };
        arena::bytes(tokens, &[of_width * d, 3 * d, self.spec.ffn_dim])
    }

    /// Bytes of [`Encoder::embed`] for `tokens` tokens: of the model's width the input, the output of the attention, the sum
    /// and its normalisation; the fused attention; the activation.
    pub fn embed_bytes(&self, tokens: usize) -> usize {
        arena::bytes(
            tokens,
            &[4 * self.spec.dim, 3 * self.spec.dim, self.spec.ffn_dim],
        )
    }

    /// Bytes of the largest operand that is packed for a product, in training on batches of `tokens` tokens.
    pub fn packed_bytes(&self, tokens: usize) -> usize {
        let of_linear = |weight: Tensor| {
            let (rows, input) = (weight.rows.max(tokens.min(TOKENS_PACKED)), weight.cols);
            arena::bytes(rows, &[input])
        };
        self.blueprint
            .linears()
            .map(|linear| of_linear(linear.weight))
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Activations, Grads, ModelFolder, TokenBatch,
        encoder::{
            arena::Buffer,
            forward::{KeptAttention, KeptFfn},
        },
    };

    fn opened(frozen: &[&str]) -> Encoder {
        let folder = ModelFolder::open(&matryo_testkit::tiny_bert()).unwrap();
        let frozen: Vec<String> = frozen.iter().map(ToString::to_string).collect();
        Encoder::for_training(&folder, matryo_ops::cpu(), &frozen).unwrap()
    }

    fn batch(texts: u64, length: u32) -> Arc<TokenBatch> {
        let mut batch = TokenBatch::new();
        let ids: Vec<u32> = (0..length).map(|i| 5 + i % 30).collect();
        (0..texts).for_each(|text| batch.push(&ids, text, 0));
        Arc::new(batch)
    }

    /// What really lies in the activations. A field that is added there does not compile here.
    fn held(activations: &Activations) -> usize {
        let size = |buffer: &Buffer| size_of_val(buffer.data());
        let Activations {
            batch: _,
            seed: _,
            embeddings,
            input,
            blocks,
            hidden,
            modules,
        } = activations;
        let embeddings = embeddings
            .as_ref()
            .map_or(0, |KeptEmbeddings { sum, stats }| size(sum) + size(stats));
        let block = |KeptBlock { attention, ffn }: &KeptBlock| {
            let KeptAttention {
                qkv,
                lse,
                mixed,
                sum,
                stats,
            } = attention;
            let KeptFfn {
                pre,
                active,
                sum: ffn_sum,
                stats: ffn_stats,
            } = ffn;
            [qkv, lse, mixed, sum, stats, pre, active, ffn_sum, ffn_stats]
                .map(size)
                .iter()
                .sum::<usize>()
        };
        let module = |module: &KeptModule| match module {
            KeptModule::Dense { x, pre } => size_of_val(x.data()) + size_of_val(pre.data()),
            KeptModule::Normalize { y, norms } => size_of_val(y.data()) + size_of_val(&**norms),
        };
        let input = input.as_ref().map_or(0, size);
        let (blocks, modules) = (
            blocks.iter().map(block).sum::<usize>(),
            modules.iter().map(module).sum::<usize>(),
        );
        embeddings + input + blocks + size(hidden) + modules
    }

    #[test]
    fn kept_bytes_are_those_that_are_held() {
        for frozen in [
            &[][..],
            &["embeddings.*"],
            &["embeddings.*", "encoder.layer.0.*"],
        ] {
            let encoder = opened(frozen);
            for (texts, length) in [(1, 1), (4, 7), (3, 100)] {
                let batch = batch(texts, length);
                let (_, activations) = encoder.forward(batch.clone(), 0);
                assert_eq!(
                    encoder.kept_bytes(batch.tokens(), batch.texts()),
                    held(&activations),
                    "{frozen:?}"
                );
            }
        }
    }

    /// 128 tokens, a size that is not rounded up.
    #[test]
    fn working_bytes_are_what_the_arena_grows_by() {
        [0.0, 0.1].into_iter().for_each(arena_grows_as_predicted);
    }

    fn arena_grows_as_predicted(dropout: f32) {
        let mut encoder = opened(&[]);
        encoder.spec.hidden_dropout = dropout;
        let batch = batch(4, 32);
        let mut grads = Grads::zeros(encoder.params().unwrap().layout.clone());
        let step = |encoder: &Encoder, grads: &mut Grads| {
            let (embeddings, activations) = encoder.forward(batch.clone(), 0);
            encoder.backward(activations, embeddings.view(), grads);
        };
        (0..3).for_each(|_| step(&encoder, &mut grads));
        let kept = encoder.kept_bytes(batch.tokens(), 0) - encoder.kept_module_bytes(0);
        let predicted = (kept + encoder.working_bytes(batch.tokens())) as f64;
        let found = encoder.arena.free_bytes() as f64;
        assert!(
            (found / predicted - 1.0).abs() < 0.05,
            "{found} bytes in the arena, {predicted} predicted, dropout {dropout}"
        );
    }
}
