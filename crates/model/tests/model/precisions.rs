//! Embeddings and gradients in every precision against single precision; on the real all-MiniLM-L6-v2 as well where it is at hand.

use std::{path::Path, sync::Arc};

use matryo_model::{Grads, SentenceEncoder, TokenBatch};
use matryo_ops::{Mat, Precision, cpu_in};
use matryo_testkit::{pseudo_random, read_json, tiny_bert};

use crate::tiny;

/// Precision, least cosine of an embedding, least cosine of a gradient.
const BOUNDS: [(Precision, f64, f64); 4] = [
    (Precision::F32x3, 0.999_999_9, 0.999_999),
    (Precision::Bf16, 0.9999, 0.999),
    (Precision::Int16, 0.999_99, 0.999_9),
    (Precision::Int8, 0.9985, 0.998),
];

/// The softmax does not see it: its true gradient is 0, so what is found is rounding.
const KEY_BIAS: &str = "attention.self.key.bias";

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn embeddings(folder: &Path, precision: Precision, texts: &[String]) -> Mat {
    SentenceEncoder::open_in(folder, precision)
        .unwrap()
        .encode(texts)
        .unwrap()
}

fn check_embeddings(folder: &Path, texts: &[String]) {
    let expected = embeddings(folder, Precision::F32, texts);
    for (precision, least, _) in BOUNDS {
        let found = embeddings(folder, precision, texts);
        let smallest = (0..texts.len())
            .map(|i| cosine(found.row(i), expected.row(i)))
            .fold(1.0, f64::min);
        println!(
            "{}: smallest cosine of an embedding {smallest:.9}",
            precision.name()
        );
        assert!(smallest >= least, "{}: {smallest}", precision.name());
    }
}

/// Gradients of a random linear function of the embeddings.
fn gradients(folder: &Path, precision: Precision, texts: &[String]) -> Grads {
    let model = SentenceEncoder::open_for_training(folder, cpu_in(Some(precision)), &[]).unwrap();
    let mut batch = TokenBatch::new();
    for (i, text) in texts.iter().enumerate() {
        batch.push(
            &model
                .tokenizer()
                .encode(text, model.max_seq_length())
                .unwrap()
                .ids,
            i as u64,
            0,
        );
    }
    let encoder = model.network();
    let (embeddings, activations) = encoder.forward(Arc::new(batch), 0);
    let d = pseudo_random(embeddings.rows() * embeddings.cols(), 7);
    let mut grads = encoder.zero_grads();
    encoder.backward(
        activations,
        Mat::from_vec(embeddings.rows(), embeddings.cols(), d).view(),
        &mut grads,
    );
    grads
}

fn check_gradients(folder: &Path, texts: &[String]) {
    let mut expected = gradients(folder, Precision::F32, texts);
    for (precision, _, least) in BOUNDS {
        let mut found = gradients(folder, precision, texts);
        let layout = found.layout.clone();
        let mut worst = (1.0, String::new());
        for (i, entry) in layout
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| !entry.name.contains(KEY_BIAS))
        {
            let cosine = cosine(found.get_mut(i).unwrap(), expected.get_mut(i).unwrap());
            if cosine < worst.0 {
                worst = (cosine, entry.name.clone());
            }
        }
        println!(
            "{}: smallest cosine of a gradient {:.7}, {}",
            precision.name(),
            worst.0,
            worst.1
        );
        assert!(worst.0 >= least, "{}: {worst:?}", precision.name());
    }
}

#[test]
fn tiny_embeddings() {
    check_embeddings(&tiny_bert(), &tiny::texts());
}

#[test]
fn tiny_gradients() {
    check_gradients(&tiny_bert(), &tiny::texts());
}

fn variable(name: &str) -> std::path::PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} names a folder"))
        .into()
}

fn golden_texts() -> Vec<String> {
    serde_json::from_value(read_json(
        variable("MATRYO_GOLDEN").join("encode/sentences.json"),
    ))
    .unwrap()
}

#[test]
#[ignore = "needs MATRYO_MINILM and MATRYO_GOLDEN"]
fn minilm_embeddings() {
    check_embeddings(&variable("MATRYO_MINILM"), &golden_texts());
}

#[test]
#[ignore = "needs MATRYO_MINILM and MATRYO_GOLDEN"]
fn minilm_gradients() {
    // An empty text's embedding is that of two special tokens: its gradient is sound too.
    check_gradients(&variable("MATRYO_MINILM"), &golden_texts());
}
