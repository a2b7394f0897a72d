//! The tiny model in the variants that tests need, and its golden values (`python/goldens_model.py`).

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use matryo_model::{Grads, SentenceEncoder, TokenBatch, Trainable, Weights};
use matryo_ops::{Mat, Precision};
use matryo_testkit::{Tensor, read_json, read_safetensors};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use matryo_testkit::{copy_of_tiny, edit, put};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// The six modes in upstream's order, old key and new name.
pub const MODES: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

pub fn golden() -> BTreeMap<String, Tensor> {
    read_safetensors(format!("{GOLDEN}/encoder.safetensors"))
}

pub fn texts() -> Vec<String> {
    serde_json::from_value(read_json(format!("{GOLDEN}/encoder.json"))["texts"].clone()).unwrap()
}

pub fn prompt() -> String {
    read_json(format!("{GOLDEN}/encoder.json"))["prompt"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The tiny model with these pooling modes and no Normalize.
pub fn pooled(modes: &[&str], include_prompt: bool) -> TempDir {
    let dir = copy_of_tiny();
    edit(dir.path(), "modules.json", |modules| {
        modules.as_array_mut().unwrap().truncate(2)
    });
    set_pooling(dir.path(), modes, include_prompt);
    dir
}

/// The tiny model with all pooling modes, a Dense with tanh, and Normalize.
pub fn with_dense() -> TempDir {
    let dir = copy_of_tiny();
    set_pooling(dir.path(), &MODES.map(|(_, mode)| mode), true);
    let module = |i: usize, class: &str| {
        let kind = format!("sentence_transformers.models.{class}");
        let path = if i == 0 {
            String::new()
        } else {
            format!("{i}_{class}")
        };
        json!({"idx": i, "name": i.to_string(), "path": path, "type": kind})
    };
    let names = ["Transformer", "Pooling", "Dense", "Normalize"];
    let modules = names
        .iter()
        .enumerate()
        .map(|(i, name)| module(i, name))
        .collect();
    put(dir.path(), "modules.json", &Value::Array(modules));
    let dense = json!({"in_features": 192, "out_features": 24, "bias": true,
        "activation_function": "torch.nn.modules.activation.Tanh"});
    put(dir.path(), "2_Dense/config.json", &dense);
    fs::copy(
        format!("{GOLDEN}/encoder_dense.safetensors"),
        dir.path().join("2_Dense/model.safetensors"),
    )
    .unwrap();
    dir
}

/// The tiny model with dropout.
pub fn with_dropout(hidden: f64, attention: f64) -> TempDir {
    let dir = copy_of_tiny();
    edit(dir.path(), "config.json", |config| {
        config["hidden_dropout_prob"] = json!(hidden);
        config["attention_probs_dropout_prob"] = json!(attention);
    });
    dir
}

fn set_pooling(dir: &Path, modes: &[&str], include_prompt: bool) {
    let mut config = json!({"word_embedding_dimension": 32, "include_prompt": include_prompt});
    for (key, mode) in MODES {
        config[key] = json!(modes.contains(&mode));
    }
    put(dir, "1_Pooling/config.json", &config);
}

/// In single precision, as golden values are, whatever the default of this processor is.
pub fn for_training(dir: &Path) -> SentenceEncoder<Trainable> {
    let ops = matryo_ops::cpu_in(Some(Precision::F32));
    SentenceEncoder::open_for_training(dir, ops, &[]).unwrap()
}

/// As [`for_training`].
pub fn for_inference(dir: &Path) -> SentenceEncoder {
    SentenceEncoder::open_in(dir, Precision::F32).unwrap()
}

/// The golden texts at `places` as one batch, each with its place as its id.
pub fn batch<W: Weights>(model: &SentenceEncoder<W>, places: &[usize]) -> Arc<TokenBatch> {
    let (texts, mut batch) = (texts(), TokenBatch::new());
    for &place in places {
        let ids = model
            .tokenizer()
            .encode(&texts[place], model.max_seq_length())
            .unwrap()
            .ids;
        batch.push(&ids, place as u64, 0);
    }
    Arc::new(batch)
}

/// All golden texts as one batch.
pub fn whole_batch<W: Weights>(model: &SentenceEncoder<W>) -> Arc<TokenBatch> {
    batch(model, &(0..texts().len()).collect::<Vec<_>>())
}

/// Gradient of `sum(embeddings * weights)` over micro-batches of these places.
pub fn gradient(
    model: &SentenceEncoder<Trainable>,
    cuts: &[&[usize]],
    weights: &Mat,
    seed: u64,
) -> Grads {
    let network = model.network();
    let mut grads = network.zero_grads();
    for places in cuts {
        let (_, activations) = network.forward(batch(model, places), seed);
        let rows = places
            .iter()
            .flat_map(|&place| weights.row(place).to_vec())
            .collect();
        let d = Mat::from_vec(places.len(), weights.cols(), rows);
        network.backward(activations, d.view(), &mut grads);
    }
    grads
}

/// A golden tensor of two axes.
pub fn matrix(tensor: &Tensor) -> Mat {
    let (rows, cols) = tensor.rows_cols();
    Mat::from_vec(rows, cols, tensor.data.clone())
}
