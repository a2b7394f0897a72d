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
    norm_eps: None,
};

const DEFAULTS: absolute::Defaults = absolute::Defaults {
    token_types: 0,
    ..absolute::DEFAULTS
};

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
        Axis::Embedding | Axis::Dim | Axis::Attention => KEYS.dim,
        Axis::FeedForward => KEYS.feed_forward,
        other => absolute::key(other),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// The class has one epsilon and no token types, whatever else config.json says.
    #[test]
    fn keys_of_bert_say_nothing() {
        let config = json!({
            "vocab_size": 100, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48,
            "activation": "gelu", "max_position_embeddings": 64,
            "layer_norm_eps": 1e-5, "type_vocab_size": 2, "intermediate_size": 7,
        });
        let spec = spec(&Object::new(Path::new("config.json"), config).unwrap()).unwrap();
        let norm = spec.embeddings.norm.unwrap();
        assert_eq!((norm.eps, spec.embeddings.token_types), (1e-12, 0));
        assert_eq!(spec.blocks[1].feed_forward.dim, 48);
    }
}
