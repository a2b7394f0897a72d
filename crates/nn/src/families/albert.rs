//! ALBERT (Lan et al. 2019), as `AlbertConfig` and `AlbertModel` of transformers have it: narrow tables with a projection, and
//! blocks that share their parameters.

use super::{Axis, Family, ParamId, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, Projection, config::Object};

pub(super) static FAMILY: Family = Family {
    model_types: &["albert"],
    spec,
    tensors,
    prefix: "albert.",
    tied_words: &["predictions.decoder.weight"],
    key,
    complete: nothing_to_add,
};

const DEFAULTS: absolute::Defaults = absolute::Defaults {
    dropout: 0.0,
    ..absolute::DEFAULTS
};

const GROUPS_KEY: &str = "num_hidden_groups";
const INNER_KEY: &str = "inner_group_num";

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let mut spec = absolute::spec(config, &absolute::KEYS, &DEFAULTS, |_| Numbering::FromZero)?;
    spec.embeddings.dim = absolute::table_width(config, key(Axis::Embedding))?;
    spec.embeddings.projection = Some(Projection::AfterNorm);
    spec.dropout.feed_forward_out = 0.0;
    let (blocks, groups) = (spec.blocks.len(), groups(config)?);
    for (index, block) in spec.blocks.iter_mut().enumerate() {
        // As upstream computes it, in floating point.
        block.weights = (index as f64 / (blocks as f64 / groups as f64)) as usize;
    }
    Ok(spec)
}

/// Sets of parameters. Several blocks in each, which no published model has, would need names that depend on their number.
fn groups(config: &Object) -> Result<usize, NnError> {
    if config.size(INNER_KEY)?.is_some_and(|inner| inner != 1) {
        return Err(config.wrong(INNER_KEY, "1"));
    }
    match config.get(GROUPS_KEY) {
        Some(_) => config.positive(GROUPS_KEY),
        None => Ok(1),
    }
}

fn tensors(id: ParamId) -> Vec<String> {
    let group = |index: usize, name: &str| {
        format!("encoder.albert_layer_groups.{index}.albert_layers.0.{name}")
    };
    match id {
        ParamId::EmbeddingProjection => vec!["encoder.embedding_hidden_mapping_in".into()],
        ParamId::Qkv(i) => ["query", "key", "value"]
            .map(|part| group(i, &format!("attention.{part}")))
            .to_vec(),
        ParamId::AttentionOut(i) => vec![group(i, "attention.dense")],
        ParamId::AttentionNorm(i) => vec![group(i, "attention.LayerNorm")],
        ParamId::FeedForwardIn(i) => vec![group(i, "ffn")],
        ParamId::FeedForwardOut(i) => vec![group(i, "ffn_output")],
        ParamId::FeedForwardNorm(i) => vec![group(i, "full_layer_layer_norm")],
        other => absolute::tensors(other),
    }
}

fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Embedding => "embedding_size",
        other => absolute::key(other),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn weights(blocks: usize, groups: usize, inner: usize) -> Result<Vec<usize>, NnError> {
        let config = json!({
            "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": blocks, "num_attention_heads": 2,
            "intermediate_size": 48, "hidden_act": "gelu_new", "max_position_embeddings": 64,
            "num_hidden_groups": groups, "inner_group_num": inner,
        });
        let spec = spec(&Object::new(Path::new("config.json"), config)?)?;
        Ok(spec.blocks.iter().map(|block| block.weights).collect())
    }

    /// As `int(i / (layers / groups))` of Python has it.
    #[test]
    fn blocks_share_the_parameters_of_their_group() {
        assert_eq!(weights(4, 1, 1).unwrap(), [0, 0, 0, 0]);
        assert_eq!(weights(5, 2, 1).unwrap(), [0, 0, 0, 1, 1]);
        assert_eq!(weights(3, 3, 1).unwrap(), [0, 1, 2]);
        let message = weights(4, 1, 2).unwrap_err().to_string();
        assert!(message.contains("`inner_group_num` is 2"), "{message}");
    }
}
