//! What a pass is predicted to take is what it takes.

use std::sync::Arc;

use matryo_nn::{BatchSize, Network, TokenBatch, Trainable};
use serde_json::json;

use crate::random::{self, Sizes};

const SIZES: Sizes = Sizes {
    dim: 32,
    heads: 4,
    inner: 64,
    blocks: 3,
    vocab: 50,
    positions: 128,
};

/// Dropout rates under the keys of every family.
fn rates(rate: f64) -> serde_json::Value {
    json!({
        "hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate,
        "attention_dropout": rate, "embedding_dropout": rate, "mlp_dropout": rate, "dropout": rate, "dropout_rate": rate,
    })
}

fn network(family: &str, rate: f64, frozen: &[&str]) -> Network<Trainable> {
    let dir = random::model_with(family, SIZES, rates(rate));
    let frozen: Vec<String> = frozen.iter().map(ToString::to_string).collect();
    let places = random::places(dir.path());
    Network::for_training(&places, matryo_ops::cpu(), &frozen).unwrap()
}

fn batch(texts: u64, length: u32) -> Arc<TokenBatch> {
    let mut batch = TokenBatch::new();
    let ids: Vec<u32> = (0..length).map(|i| 5 + i % 30).collect();
    (0..texts).for_each(|text| batch.push(&ids, text, 0));
    Arc::new(batch)
}

/// Bytes of all buffers after some steps, of 128 tokens each: a size that is not rounded up.
fn held(network: &Network<Trainable>, batch: &Arc<TokenBatch>) -> usize {
    let mut grads = network.zero_grads();
    for _ in 0..3 {
        let (embeddings, activations) = network.forward(batch.clone(), 0);
        network.backward(activations, embeddings.view(), &mut grads);
    }
    network.free_buffers().1
}

#[test]
fn buffers_grow_as_predicted() {
    for family in random::families() {
        for rate in [0.0, 0.1] {
            let network = network(&family, rate, &[]);
            let batch = batch(4, 32);
            let size = BatchSize::of(&batch);
            let predicted = network.kept_bytes(size) + network.working_bytes(size);
            let found = held(&network, &batch);
            let ratio = found as f64 / predicted as f64;
            println!("{family} {rate}: {found} of {predicted}");
            assert!(
                (ratio - 1.0).abs() < 0.05,
                "{family}, dropout {rate}: {found} bytes, {predicted} predicted"
            );
        }
    }
}

/// Terms of content and distance need a matrix of scores for each thread; texts that are as long as the batch more than short ones.
#[test]
fn scratch_memory_grows_with_the_longest_text() {
    let scratch = |family: &str, texts: u64, length: u32, threads: usize| {
        let size = BatchSize::of(&batch(texts, length));
        network(family, 0.0, &[]).scratch_bytes(size, threads)
    };
    let scores = 128 * 128 * size_of::<f32>();
    let more = scratch("deberta-v2", 1, 128, 1) - scratch("bert", 1, 128, 1);
    assert!(more > scores, "{more} bytes, {scores} of scores");
    assert!(scratch("deberta-v2", 1, 128, 2) > scratch("deberta-v2", 1, 128, 1) + scores);
    assert!(scratch("deberta-v2", 4, 32, 1) < scratch("deberta-v2", 1, 128, 1));
    // One text of four heads has no work for more threads.
    let [four, eight] = [4, 8].map(|threads| scratch("bert", 1, 32, threads));
    assert_eq!(four, eight);
}

#[test]
fn a_steady_batch_size_allocates_once() {
    for family in random::families() {
        let network = network(&family, 0.0, &[]);
        let batch = batch(4, 5);
        let mut grads = network.zero_grads();
        let mut step = || {
            let (embeddings, activations) = network.forward(batch.clone(), 0);
            network.backward(activations, embeddings.view(), &mut grads);
            network.embed(&batch);
            network.free_buffers().0
        };
        step();
        let steady = step();
        assert_eq!(step(), steady, "{family}");
    }
}

#[test]
fn what_lies_below_the_lowest_trained_block_keeps_nothing() {
    for (family, frozen) in [
        ("bert", &["embeddings.*", "encoder.layer.0.*"][..]),
        ("modernbert", &["embeddings.*", "layers.0.*"]),
        ("distilbert", &["embeddings.*", "transformer.layer.0.*"]),
        ("t5", &["shared.weight", "encoder.block.0.*"]),
        (
            "deberta-v2",
            &[
                "embeddings.*",
                "encoder.layer.0.*",
                "encoder.conv.*",
                "encoder.rel_embeddings.*",
            ],
        ),
    ] {
        let size = BatchSize {
            tokens: 128,
            texts: 4,
            longest: 32,
            route: 0,
        };
        let [all, some] = [&[][..], frozen].map(|f| network(family, 0.0, f).kept_bytes(size));
        let block = all / (SIZES.blocks + 1);
        assert!(some < all - block, "{family}: {some} of {all}");
    }
}
