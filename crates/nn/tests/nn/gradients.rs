//! Gradients of whole encoders with dropout against finite differences: masks depend on the seed alone. And what is frozen changes no
//! bit of the other gradients.

use std::sync::Arc;

use matryo_nn::{Network, TokenBatch, Trainable};
use matryo_ops::{Cpu, Level, Mat};
use matryo_testkit::{Tolerance, assert_value, directional_derivative, pseudo_random};
use serde_json::json;

use crate::random::{self, Sizes};

const SIZES: Sizes = Sizes {
    dim: 24,
    heads: 3,
    inner: 40,
    blocks: 2,
    vocab: 60,
    positions: 128,
};

fn network(family: &str, frozen: &[&str]) -> Network<Trainable> {
    let rates = json!({
        "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.15,
        "attention_dropout": 0.15, "embedding_dropout": 0.2, "mlp_dropout": 0.1,
        // A norm of the vectors of distances, and no values in the middle of a kink.
        "norm_rel_ebd": "layer_norm", "hidden_activation": "silu", "hidden_act": "silu",
    });
    let dir = random::model_with(family, SIZES, rates);
    let frozen: Vec<String> = frozen.iter().map(ToString::to_string).collect();
    let places = random::places(dir.path());
    Network::for_training(&places, Arc::new(Cpu::at(Level::best())), &frozen).unwrap()
}

fn batch() -> Arc<TokenBatch> {
    let mut batch = TokenBatch::new();
    for (text, length) in [1, 7, 40].into_iter().enumerate() {
        let ids: Vec<u32> = (0..length)
            .map(|i| 3 + (i * 7 + text as u32) % 50)
            .collect();
        batch.push(&ids, text as u64, 0);
    }
    Arc::new(batch)
}

fn weights() -> Mat {
    Mat::from_vec(3, SIZES.dim, pseudo_random(3 * SIZES.dim, 5))
}

const SEED: u64 = 17;

#[test]
fn finite_differences_with_dropout() {
    for family in ["bert", "deberta-v2", "modernbert"] {
        let mut network = network(family, &[]);
        let mut grads = network.zero_grads();
        let (_, activations) = network.forward(batch(), SEED);
        network.backward(activations, weights().view(), &mut grads);
        let start = network.params().flat.to_vec();
        let cell = std::cell::RefCell::new(&mut network);
        for seed in [6, 7, 8] {
            let direction = pseudo_random(start.len(), seed);
            let value = |params: &[f32]| {
                let mut network = cell.borrow_mut();
                network.params_mut().flat.copy_from_slice(params);
                let found = network.embed_in_training(&batch(), SEED);
                let products = found.data().iter().zip(weights().into_vec());
                products.map(|(x, w)| f64::from(*x) * f64::from(w)).sum()
            };
            let expected = directional_derivative(value, &start, &direction, 1e-3);
            let pairs = grads.values().iter().zip(&direction);
            let found: f64 = pairs.map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
            let norm = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let size = norm(grads.values()) * norm(&direction);
            println!("{family}: {found} {expected} of {size}");
            assert_value(found, expected, Tolerance::Absolute(2e-6 * size), family);
        }
    }
}

/// Also where one of the tensors that a layer stacks is frozen, and the table that all blocks share.
#[test]
fn frozen_parameters_change_no_other_gradient() {
    let gradients = |frozen: &[&str]| {
        let network = network("deberta-v2", frozen);
        let mut grads = network.zero_grads();
        let (_, activations) = network.forward(batch(), SEED);
        network.backward(activations, weights().view(), &mut grads);
        let layout = grads.layout.clone();
        let entries = layout.entries.iter().enumerate();
        let found =
            entries.filter_map(|(i, entry)| Some((entry.name.clone(), grads.get_mut(i)?.to_vec())));
        found.collect::<Vec<_>>()
    };
    let all = gradients(&[]);
    assert!(
        all.iter()
            .all(|(_, values)| values.iter().any(|x| *x != 0.0))
    );
    for frozen in [
        "encoder.rel_embeddings.weight",
        "encoder.LayerNorm.*",
        "encoder.layer.0.attention.self.pos_key_proj.*",
        "encoder.layer.1.attention.self.query_proj.*",
        "encoder.conv.*",
        "embeddings.*",
    ] {
        let found = gradients(&[frozen]);
        let start = frozen.trim_end_matches('*');
        let left = |(name, _): &&(String, Vec<f32>)| !name.starts_with(start);
        let expected: Vec<_> = all.iter().filter(left).cloned().collect();
        assert!(found.len() < all.len() && found == expected, "{frozen}");
    }
}
