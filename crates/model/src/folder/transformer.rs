//! What the Transformer module's files say about tokenizing: the longest input and lower-casing.

use std::path::Path;

use serde_json::{Value, json};

use super::json::Object;
use crate::ModelError;

/// Names under which sentence-transformers has saved the module, first match wins.
const CONFIG_NAMES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Arguments for Python's loaders; only those that leave the numbers alone are passed over.
const ARGUMENT_KEYS: [&str; 6] = [
    "model_args",
    "tokenizer_args",
    "config_args",
    "model_kwargs",
    "processor_kwargs",
    "config_kwargs",
];
const HARMLESS_ARGUMENTS: [&str; 6] = [
    "trust_remote_code",
    "add_pooling_layer",
    "attn_implementation",
    "torch_dtype",
    "dtype",
    "unpad_inputs",
];

/// Above this a length in a tokenizer's configuration means "none": transformers writes 1e30.
const LONGEST: f64 = 1e9;

/// How texts are cut and cased before the tokenizer sees them.
pub(crate) struct Input {
    pub(crate) max_seq_length: usize,
    pub(crate) do_lower_case: bool,
}

/// Reads the module's folder; `config` is its config.json.
pub(crate) fn read(
    folder: &Path,
    config: &Object,
    notes: &mut Vec<String>,
) -> Result<Input, ModelError> {
    let module = module_config(folder)?;
    let positions = config.count("max_position_embeddings")?;
    let (named, do_lower_case) = match &module {
        Some(module) => (
            module.count("max_seq_length")?,
            module.flag("do_lower_case")?.unwrap_or(false),
        ),
        None => (None, false),
    };
    let wanted = match named {
        Some(length) => Some(length),
        None => tokenizer_length(folder)?,
    };
    let max_seq_length = cap(wanted, positions, notes).ok_or_else(|| {
        config.wrong(
            "max_position_embeddings",
            "a number, as no other file gives a longest input",
        )
    })?;
    Ok(Input {
        max_seq_length,
        do_lower_case,
    })
}

/// The longest input: what is asked for, but no longer than the position table.
fn cap(wanted: Option<usize>, positions: Option<usize>, notes: &mut Vec<String>) -> Option<usize> {
    match (wanted, positions) {
        (Some(wanted), Some(positions)) if wanted > positions => {
            notes.push(format!(
                "longest input {wanted} exceeds the {positions} positions of the model: {positions}"
            ));
            Some(positions)
        }
        (wanted, positions) => wanted.or(positions),
    }
}

/// sentence_bert_config.json or one of its older names, with every key understood.
fn module_config(folder: &Path) -> Result<Option<Object>, ModelError> {
    let Some(name) = CONFIG_NAMES.iter().find(|name| folder.join(name).exists()) else {
        return Ok(None);
    };
    let config = Object::read(&folder.join(name))?;
    let mut known = vec!["max_seq_length", "do_lower_case"];
    known.extend([
        "transformer_task",
        "modality_config",
        "module_output_name",
        "processing_kwargs",
        "unpad_inputs",
    ]);
    known.extend(ARGUMENT_KEYS);
    config.deny_unknown(&known)?;
    config.deny_set(&["processing_kwargs"], "nothing")?;
    check_arguments(&config)?;
    check_task(&config)?;
    Ok(Some(config))
}

fn check_arguments(config: &Object) -> Result<(), ModelError> {
    for key in ARGUMENT_KEYS {
        let Some(value) = config.get(key) else {
            continue;
        };
        let harmless = |map: &serde_json::Map<String, Value>| {
            map.keys().all(|k| HARMLESS_ARGUMENTS.contains(&&**k))
        };
        if !value.as_object().is_some_and(harmless) {
            return Err(config.wrong(
                key,
                &format!("no arguments but {}", HARMLESS_ARGUMENTS.join(", ")),
            ));
        }
    }
    Ok(())
}

/// The new layout names the task and the output; text to token embeddings is the only one there is here.
fn check_task(config: &Object) -> Result<(), ModelError> {
    let text_only =
        json!({"text": {"method": "forward", "method_output_name": "last_hidden_state"}});
    let expected = [
        ("transformer_task", json!("feature-extraction")),
        ("module_output_name", json!("token_embeddings")),
        ("modality_config", text_only),
    ];
    for (key, expected) in expected {
        if config.get(key).is_some_and(|found| *found != expected) {
            return Err(config.wrong(key, &expected.to_string()));
        }
    }
    Ok(())
}

/// `model_max_length` of tokenizer_config.json, unless it is a stand-in for "none".
fn tokenizer_length(folder: &Path) -> Result<Option<usize>, ModelError> {
    let Some(config) = Object::read_if_present(&folder.join("tokenizer_config.json"))? else {
        return Ok(None);
    };
    let Some(value) = config.get("model_max_length") else {
        return Ok(None);
    };
    if value.as_f64().is_some_and(|length| length > LONGEST) {
        return Ok(None);
    }
    config.count("model_max_length")
}
