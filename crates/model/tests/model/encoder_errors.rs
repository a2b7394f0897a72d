//! Configurations and weights that are not what the encoder computes are refused when the model is opened.

use std::{collections::BTreeMap, fs, path::Path};

use matryo_model::{ModelError, SentenceEncoder};
use matryo_testkit::{Tolerance, assert_close, read_safetensors};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use crate::tiny::*;

fn open(dir: &Path) -> ModelError {
    SentenceEncoder::open(dir).err().expect("an error")
}

fn with_config(key: &str, value: Value) -> ModelError {
    let dir = copy_of_tiny();
    edit(dir.path(), "config.json", |config| config[key] = value);
    open(dir.path())
}

/// Rewrites the weights under other names.
fn rename(dir: &Path, name: impl Fn(&str) -> String) {
    let path = dir.join("model.safetensors");
    let tensors = read_safetensors(&path);
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let data: BTreeMap<String, (Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(n, t)| (name(n), (t.shape.clone(), bytes(&t.data))))
        .collect();
    let views = data
        .iter()
        .map(|(n, (shape, data))| (n, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn an_unknown_model_type_lists_the_supported() {
    let error = with_config("model_type", json!("modernbert"));
    assert!(
        error
            .to_string()
            .starts_with("`model_type` is \"modernbert\", which is not supported\n  in ")
    );
    assert_eq!(error.hint().unwrap(), "supported is bert");
}

#[test]
fn variants_of_bert_are_refused() {
    for (key, value) in [
        ("position_embedding_type", json!("relative_key")),
        ("is_decoder", json!(true)),
        ("add_cross_attention", json!(true)),
        ("hidden_act", json!("mish")),
        ("quantization_config", json!({"bits": 4})),
        ("auto_map", json!({"AutoModel": "code.Model"})),
        ("num_attention_heads", json!(5)),
        ("layer_norm_eps", json!(0)),
        ("hidden_dropout_prob", json!(1.0)),
        ("intermediate_size", json!("large")),
    ] {
        let message = with_config(key, value.clone()).to_string();
        let named = if key == "num_attention_heads" {
            "hidden_size"
        } else {
            key
        };
        assert!(
            message.starts_with(&format!("`{named}` is ")),
            "{key}: {message}"
        );
        assert!(message.contains("config.json"), "{key}: {message}");
    }
}

#[test]
fn a_wrong_shape_names_the_key() {
    let error = with_config("intermediate_size", json!(65));
    let message = error.to_string();
    let expected = "tensor `encoder.layer.0.intermediate.dense.weight` has shape [64, 32], expected [65, 32]\n  in ";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.ends_with("model.safetensors"), "{message}");
    let hint = error.hint().unwrap();
    assert_eq!(
        hint,
        "`intermediate_size` in config.json is 65; are the two files from the same model?"
    );
}

#[test]
fn a_missing_layer_is_named() {
    let error = with_config("num_hidden_layers", json!(3));
    assert!(
        error
            .to_string()
            .starts_with("tensor `encoder.layer.2.attention.self.query.weight` is missing"),
        "{error}"
    );
}

#[test]
fn a_tokenizer_beyond_the_table_is_refused() {
    let dir = copy_of_tiny();
    edit(dir.path(), "tokenizer.json", |json| {
        let token = json!({"id": 3000, "content": "[EXTRA]", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true});
        json["added_tokens"].as_array_mut().unwrap().push(token);
    });
    let error = open(dir.path());
    assert!(
        matches!(
            error,
            ModelError::VocabularySize {
                found: 3001,
                rows: 3000,
                ..
            }
        ),
        "{error}"
    );
}

/// The model gives the same under other names, freezes by the usual ones, and would be saved with the names of its source.
fn check_names(what: &str, name: impl Fn(&str) -> String) {
    let dir = copy_of_tiny();
    rename(dir.path(), &name);
    let model = for_training(dir.path());
    let found = model.encode(&texts()).unwrap();
    assert_close(
        found.data(),
        &golden()["default"].data,
        Tolerance::Absolute(1e-5),
        what,
    );
    let entries = &model.encoder().params().unwrap().layout.entries;
    assert!(
        entries
            .iter()
            .any(|e| e.name == name("embeddings.LayerNorm.bias")),
        "{what}"
    );
    SentenceEncoder::open_for_training(
        dir.path(),
        matryo_ops::cpu(),
        &["encoder.layer.0.*".to_owned()],
    )
    .unwrap();
}

#[test]
fn names_of_task_models_and_of_tensorflow() {
    let old = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta")
    };
    check_names("prefix", |name| format!("bert.{name}"));
    check_names("old", old);
    check_names("both", |name| format!("bert.{}", old(name)));
}
