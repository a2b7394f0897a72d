//! DistilBERT (Sanh et al. 2019), as `DistilBertConfig` and `DistilBertModel` of transformers have it: BERT without token types,
//! with keys and names of its own. A table of sines stands in the checkpoint as a learned one does.

use super::{Axis, Family, ParamId, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, config::Object};

pub(super) static FAMILY: Family = Family {
    model_types: &["distilbert"],
    spec,
    tensors,
    prefix: "distilbert.",
    tied_words: &["vocab_projector.weight"],
    key,
    complete: nothing_to_add,
};

const KEYS: absolute::Keys = absolute::Keys {
    dim: "dim",
    heads: "n_heads",
    blocks: "n_layers",
    feed_forward: "hidden_dim",
    activation: "activation",
    hidden_dropout: "dropout",
    probabilities_dropout: "attention_dropout",
};

const DEFAULTS: absolute::Defaults = absolute::Defaults {
    norm_eps: NORM_EPS as f64,
    token_types: 0,
    padding: 0,
    dropout: 0.1,
};

/// No key of config.json says it.
const NORM_EPS: f32 = 1e-12;

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let mut spec = absolute::spec(config, &KEYS, &DEFAULTS, |_| Numbering::FromZero)?;
    spec.dropout.attention_out = 0.0;
    Ok(spec)
}

fn tensors(id: ParamId) -> Vec<String> {
    let layer = |index: usize, name: &str| format!("transformer.layer.{index}.{name}");
    match id {
        ParamId::Qkv(i) => ["q_lin", "k_lin", "v_lin"]
            .map(|part| layer(i, &format!("attention.{part}")))
            .to_vec(),
        ParamId::AttentionOut(i) => vec![layer(i, "attention.out_lin")],
        ParamId::AttentionNorm(i) => vec![layer(i, "sa_layer_norm")],
        ParamId::FeedForwardIn(i) => vec![layer(i, "ffn.lin1")],
        ParamId::FeedForwardOut(i) => vec![layer(i, "ffn.lin2")],
        ParamId::FeedForwardNorm(i) => vec![layer(i, "output_layer_norm")],
        other => absolute::tensors(other),
    }
}

fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Embedding | Axis::Dim => KEYS.dim,
        Axis::FeedForward => KEYS.feed_forward,
        other => absolute::key(other),
    }
}
