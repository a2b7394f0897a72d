//! Configurations and weights that are not what the encoder computes are refused when the model is opened.

use std::{collections::BTreeMap, fs, path::Path};

use matryo_model::{ModelError, SaveOptions, SentenceEncoder, save};
use matryo_testkit::{Tensor, Tolerance, assert_close, read_safetensors};
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
    let tensors = read_safetensors(&path).into_iter();
    write(&path, tensors.map(|(n, t)| (name(&n), t)).collect());
}

fn write(path: &Path, tensors: BTreeMap<String, Tensor>) {
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let data: BTreeMap<String, (Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(n, t)| (n.clone(), (t.shape.clone(), bytes(&t.data))))
        .collect();
    let views = data
        .iter()
        .map(|(n, (shape, data))| (n, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn an_unknown_model_type_lists_the_supported() {
    let error = with_config("model_type", json!("gpt2"));
    assert!(
        error
            .to_string()
            .starts_with("`model_type` is \"gpt2\", which is not supported\n  in ")
    );
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("supported are albert, bert, "), "{hint}");
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

/// As in sentence-transformers, other texts are encoded.
#[test]
fn a_text_with_a_token_beyond_the_table_is_refused() {
    let dir = copy_of_tiny();
    edit(dir.path(), "tokenizer.json", |json| {
        let token = json!({"id": 3000, "content": "[EXTRA]", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true});
        json["added_tokens"].as_array_mut().unwrap().push(token);
    });
    let model = SentenceEncoder::open(dir.path()).unwrap();
    assert_eq!(model.encode(&["revenue"]).unwrap().rows(), 1);
    let error = model.encode(&["revenue", "an [EXTRA] token"]).unwrap_err();
    let expected = "the token `[EXTRA]` has id 3000, the word-embedding table 3000 rows\n  in the text \"an [EXTRA] token\"";
    assert_eq!(error.to_string(), expected);
}

/// A template may name any id.
#[test]
fn a_template_with_an_id_beyond_the_table_is_an_error_not_a_panic() {
    let dir = copy_of_tiny();
    edit(dir.path(), "tokenizer.json", |json| {
        let tokens = json["post_processor"]["special_tokens"]
            .as_object_mut()
            .unwrap();
        for token in tokens.values_mut() {
            token["ids"] = json!([70_000]);
        }
    });
    let error = SentenceEncoder::open(dir.path())
        .unwrap()
        .encode(&["revenue"])
        .unwrap_err();
    assert!(
        matches!(error, ModelError::TokenBeyondTable { id: 70_000, .. }),
        "{error}"
    );
}

#[test]
fn a_template_with_a_type_beyond_the_table_is_an_error_not_a_panic() {
    let dir = copy_of_tiny();
    edit(dir.path(), "tokenizer.json", |json| {
        for piece in json["post_processor"]["single"].as_array_mut().unwrap() {
            let (_, piece) = piece.as_object_mut().unwrap().iter_mut().next().unwrap();
            piece["type_id"] = json!(2);
        }
    });
    let model = SentenceEncoder::open(dir.path()).unwrap();
    let error = model.encode(&["revenue"]).unwrap_err();
    let expected = "the tokenizer gives token type 2, the token-type table has 2 rows\n  in the text \"revenue\"";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn tensors_that_stand_there_twice_are_refused() {
    let dir = copy_of_tiny();
    let path = dir.path().join("model.safetensors");
    let mut tensors = read_safetensors(&path);
    let doubled = tensors.clone().into_iter();
    tensors.extend(doubled.map(|(name, tensor)| (format!("bert.{name}"), tensor)));
    write(&path, tensors);
    let expected = "the file has both `embeddings.word_embeddings.weight` and `bert.embeddings.word_embeddings.weight`, expected one of them";
    let message = open(dir.path()).to_string();
    assert!(message.starts_with(expected), "{message}");
}

/// It would leave the table's rows out of the sum.
#[test]
fn no_token_types_where_there_are_some() {
    let dir = copy_of_tiny();
    edit(dir.path(), "config.json", |config| {
        config["type_vocab_size"] = json!(0)
    });
    let message = open(dir.path()).to_string();
    assert!(
        message.starts_with("`type_vocab_size` is 0, expected at least 1"),
        "{message}"
    );
}

#[test]
fn a_foreign_prefix_is_named() {
    for prefix in ["roberta.", "0.auto_model."] {
        let dir = copy_of_tiny();
        rename(dir.path(), |name| format!("{prefix}{name}"));
        let message = open(dir.path()).to_string();
        let expected = format!("the tensors have the prefix `{prefix}`, expected none or `bert.`");
        assert!(message.starts_with(&expected), "{message}");
    }
}

/// A checkpoint of a language model may hold the word table only as the output layer that is tied to it.
#[test]
fn a_tied_word_table_is_found() {
    check_names("tied", |name| {
        if name == "embeddings.word_embeddings.weight" {
            "cls.predictions.decoder.weight".into()
        } else {
            format!("bert.{name}")
        }
    });
}

/// An output layer of other values is not the word table, whatever its shape.
#[test]
fn an_output_layer_that_is_not_tied_is_carried_over() {
    let dir = copy_of_tiny();
    rename(dir.path(), |name| format!("bert.{name}"));
    let path = dir.path().join("model.safetensors");
    let mut tensors = read_safetensors(&path);
    let mut other = tensors["bert.embeddings.word_embeddings.weight"].clone();
    other.data[7] += 1.0;
    let name = "cls.predictions.decoder.weight";
    tensors.insert(name.to_owned(), other.clone());
    write(&path, tensors);
    let model = for_training(dir.path());
    let target = dir.path().join("saved");
    let options = SaveOptions::default();
    save(&target, model.folder(), model.network().params(), &options).unwrap();
    let saved = read_safetensors(target.join("model.safetensors"));
    assert_eq!(saved[name].data, other.data);
}

/// Nor may it stand for the table if config.json says that they are two.
#[test]
fn an_untied_output_layer_is_no_word_table() {
    let dir = copy_of_tiny();
    rename(dir.path(), |name| match name {
        "embeddings.word_embeddings.weight" => "cls.predictions.decoder.weight".into(),
        _ => format!("bert.{name}"),
    });
    edit(dir.path(), "config.json", |config| {
        config["tie_word_embeddings"] = json!(false)
    });
    let message = open(dir.path()).to_string();
    let expected = "tensor `bert.embeddings.word_embeddings.weight` is missing";
    assert!(message.starts_with(expected), "{message}");
}

/// Both names of a tied table are written with the trained values, so that no reader finds the old ones.
#[test]
fn a_table_and_its_tied_copy_are_written_alike() {
    let dir = copy_of_tiny();
    rename(dir.path(), |name| format!("bert.{name}"));
    let [words, tied] = [
        "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.weight",
    ];
    let path = dir.path().join("model.safetensors");
    let mut tensors = read_safetensors(&path);
    tensors.insert(tied.to_owned(), tensors[words].clone());
    write(&path, tensors);
    let model = for_training(dir.path());
    let mut params = model.network().params().clone();
    let entry = params.layout.entries.iter().find(|e| e.name == words);
    let range = entry.unwrap().range.clone();
    params.flat[range].fill(0.25);
    let target = tempfile::tempdir().unwrap();
    save(
        target.path(),
        model.folder(),
        &params,
        &SaveOptions::default(),
    )
    .unwrap();
    let saved = read_safetensors(target.path().join("model.safetensors"));
    assert!(saved[words].data.iter().all(|v| *v == 0.25));
    assert_eq!(saved[words], saved[tied]);
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
    let entries = &model.network().params().layout.entries;
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
