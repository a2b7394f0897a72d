//! BERT (Devlin et al. 2018), as `BertConfig` and `BertModel` of transformers have it.

use matryo_ops::Activation;

use super::{Arch, Slot};
use crate::{ModelError, Spec, folder::json::Object, spec::Axis};

pub(super) const BERT: Arch = Arch {
    model_type: "bert",
    spec,
    tensors,
    prefix: "bert.",
    key,
};

/// Names of transformers' `ACT2FN`.
const ACTIVATIONS: [(&str, Activation); 7] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
];

fn spec(config: &Object) -> Result<Spec, ModelError> {
    deny_variants(config)?;
    let spec = Spec {
        vocab: positive(config, key(Axis::Vocab))?,
        positions: positive(config, key(Axis::Positions))?,
        kinds: config.count(key(Axis::Kinds))?.unwrap_or(2),
        dim: positive(config, key(Axis::Dim))?,
        heads: positive(config, "num_attention_heads")?,
        ffn_dim: positive(config, key(Axis::Ffn))?,
        layers: config.required_count("num_hidden_layers")?,
        activation: activation(config)?,
        norm_eps: number(
            config,
            "layer_norm_eps",
            1e-12,
            |eps| eps > 0.0,
            "a number above 0",
        )? as f32,
        hidden_dropout: rate(config, "hidden_dropout_prob")?,
        attention_dropout: rate(config, "attention_probs_dropout_prob")?,
        padding: padding(config)?,
    };
    if !spec.dim.is_multiple_of(spec.heads) {
        return Err(config.wrong(
            key(Axis::Dim),
            &format!("a multiple of `num_attention_heads`, {}", spec.heads),
        ));
    }
    Ok(spec)
}

fn tensors(slot: Slot) -> Vec<String> {
    let layer = |index: usize, name: &str| format!("encoder.layer.{index}.{name}");
    match slot {
        Slot::Words => vec!["embeddings.word_embeddings".into()],
        Slot::Positions => vec!["embeddings.position_embeddings".into()],
        Slot::Kinds => vec!["embeddings.token_type_embeddings".into()],
        Slot::EmbedNorm => vec!["embeddings.LayerNorm".into()],
        Slot::Qkv(i) => ["query", "key", "value"]
            .map(|part| layer(i, &format!("attention.self.{part}")))
            .to_vec(),
        Slot::AttentionOut(i) => vec![layer(i, "attention.output.dense")],
        Slot::AttentionNorm(i) => vec![layer(i, "attention.output.LayerNorm")],
        Slot::FfnIn(i) => vec![layer(i, "intermediate.dense")],
        Slot::FfnOut(i) => vec![layer(i, "output.dense")],
        Slot::FfnNorm(i) => vec![layer(i, "output.LayerNorm")],
    }
}

fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Vocab => "vocab_size",
        Axis::Positions => "max_position_embeddings",
        Axis::Kinds => "type_vocab_size",
        Axis::Dim => "hidden_size",
        Axis::Ffn => "intermediate_size",
    }
}

/// Settings under which `model_type` is still `bert` but the arithmetic another.
fn deny_variants(config: &Object) -> Result<(), ModelError> {
    if config
        .text("position_embedding_type")?
        .is_some_and(|kind| kind != "absolute")
    {
        return Err(config.wrong("position_embedding_type", "\"absolute\""));
    }
    for key in ["is_decoder", "add_cross_attention"] {
        if config.flag(key)? == Some(true) {
            return Err(config.wrong(key, "false"));
        }
    }
    config.deny_set(&["pruned_heads", "quantization_config"], "nothing")?;
    config.deny_set(
        &["auto_map"],
        "nothing: the model brings Python code of its own",
    )
}

fn activation(config: &Object) -> Result<Activation, ModelError> {
    let name = config.text("hidden_act")?.unwrap_or("gelu");
    let known = ACTIVATIONS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, activation)| *activation);
    let names = ACTIVATIONS.map(|(name, _)| name).join(", ");
    known.ok_or_else(|| config.wrong("hidden_act", &format!("one of {names}")))
}

/// transformers' default is 0; a `null` there means no padding token.
fn padding(config: &Object) -> Result<Option<u32>, ModelError> {
    if !config.has("pad_token_id") {
        return Ok(Some(0));
    }
    let id = config.count("pad_token_id")?;
    id.map(|id| u32::try_from(id).map_err(|_| config.wrong("pad_token_id", "a token id")))
        .transpose()
}

fn positive(config: &Object, key: &str) -> Result<usize, ModelError> {
    match config.required_count(key)? {
        0 => Err(config.wrong(key, "at least 1")),
        n => Ok(n),
    }
}

/// Dropout; transformers' default is 0.1.
fn rate(config: &Object, key: &str) -> Result<f32, ModelError> {
    Ok(number(
        config,
        key,
        0.1,
        |rate| (0.0..1.0).contains(&rate),
        "a number of at least 0 and below 1",
    )? as f32)
}

fn number(
    config: &Object,
    key: &str,
    default: f64,
    valid: impl Fn(f64) -> bool,
    expected: &str,
) -> Result<f64, ModelError> {
    let Some(value) = config.get(key) else {
        return Ok(default);
    };
    value
        .as_f64()
        .filter(|v| valid(*v))
        .ok_or_else(|| config.wrong(key, expected))
}
