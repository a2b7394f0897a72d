//! ALBERT (Lan et al. 2019), as `AlbertConfig` and `AlbertModel` of transformers have it: narrow tables with a projection, and
//! blocks that share their parameters.

use super::{Axis, Family, ParamId, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, config::Object};

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
    norm_eps: 1e-12,
    token_types: 2,
    padding: 0,
    dropout: 0.0,
};

const DEFAULT_WIDTH: usize = 128;
const GROUPS_KEY: &str = "num_hidden_groups";
const INNER_KEY: &str = "inner_group_num";

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let mut spec = absolute::spec(config, &absolute::KEYS, &DEFAULTS, |_| Numbering::FromZero)?;
    let width = key(Axis::Embedding);
    spec.embeddings.dim = match config.get(width) {
        Some(_) => config.positive(width)?,
        None => DEFAULT_WIDTH,
    };
    spec.embeddings.projection = true;
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
