//! sentence_bert_config.json, which says how texts are cut and cased, and the arguments that it has for Python's loaders.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Feature, NnError, config::Object};

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

/// Key of config.json that has the hidden states of all layers handed on; an argument for the configuration beats it.
pub(super) const HIDDEN_STATES: &str = "output_hidden_states";
const CONFIG_ARGUMENTS: [&str; 2] = ["config_args", "config_kwargs"];

/// Above this a length in a tokenizer's configuration means "none": transformers writes 1e30.
const LONGEST: f64 = 1e9;

/// sentence_bert_config.json or one of its older names, with every key understood.
pub(super) fn module_config(folder: &Path) -> Result<Option<Object>, NnError> {
    let Some(name) = CONFIG_NAMES.iter().find(|name| folder.join(name).exists()) else {
        return Ok(None);
    };
    let config = Object::read(&folder.join(name))?;
    let mut known = vec![
        "max_seq_length",
        "do_lower_case",
        "transformer_task",
        "modality_config",
        "module_output_name",
        "processing_kwargs",
        "unpad_inputs",
    ];
    known.extend(ARGUMENT_KEYS);
    config.deny_unknown(&known)?;
    config.deny_set(&["processing_kwargs"], "nothing")?;
    check_arguments(&config)?;
    check_task(&config)?;
    Ok(Some(config))
}

fn check_arguments(config: &Object) -> Result<(), NnError> {
    for key in ARGUMENT_KEYS {
        let Some(value) = config.get(key) else {
            continue;
        };
        let mut known = HARMLESS_ARGUMENTS.to_vec();
        if CONFIG_ARGUMENTS.contains(&key) {
            known.push(HIDDEN_STATES);
        }
        let harmless =
            |map: &serde_json::Map<String, Value>| map.keys().all(|k| known.contains(&&**k));
        if !value.as_object().is_some_and(harmless) {
            let expected = format!("no arguments but {}", known.join(", "));
            return Err(config.wrong(key, &expected));
        }
    }
    Ok(())
}

/// What the arguments for the configuration say of hidden states, if they do.
pub(super) fn hidden_states_argument(config: &Object) -> Result<Option<bool>, NnError> {
    for key in CONFIG_ARGUMENTS {
        let arguments = config.object(key)?;
        let found = arguments.map(|arguments| arguments.flag(HIDDEN_STATES));
        if let Some(found) = found.transpose()?.flatten() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What the new layout says of task and output: texts to token embeddings.
pub(super) fn task() -> [(&'static str, Value); 3] {
    let text = json!({"method": "forward", "method_output_name": "last_hidden_state"});
    [
        ("transformer_task", json!("feature-extraction")),
        ("modality_config", json!({"text": text})),
        ("module_output_name", json!(Feature::Tokens.name())),
    ]
}

fn check_task(config: &Object) -> Result<(), NnError> {
    for (key, expected) in task() {
        if config.get(key).is_some_and(|found| *found != expected) {
            return Err(config.wrong(key, &expected.to_string()));
        }
    }
    Ok(())
}

/// `model_max_length` of tokenizer_config.json, unless it stands for "none".
pub(super) fn tokenizer_length(folder: &Path) -> Result<Option<usize>, NnError> {
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
