//! Families of encoders as data: how a config.json becomes an [`EncoderSpec`], and which tensors of a checkpoint hold which
//! parameters. A new family is a file here and a line in [`FAMILIES`].

mod absolute;
mod activations;
mod albert;
mod bert;
mod deberta_v2;
mod distilbert;
mod electra;
mod ernie;
mod modernbert;
mod mpnet;
mod t5;
mod xlm_roberta;

use serde_json::{Map, Value};

use crate::{
    EncoderSpec, NnError,
    config::{Object, is_empty},
};

/// Whether the word table is also the output layer of a language model; it is unless this says `false`.
const TIED_KEY: &str = "tie_word_embeddings";

/// Every family there is.
static FAMILIES: &[&Family] = &[
    &albert::FAMILY,
    &bert::FAMILY,
    &deberta_v2::FAMILY,
    &distilbert::FAMILY,
    &electra::FAMILY,
    &ernie::FAMILY,
    &modernbert::FAMILY,
    &mpnet::FAMILY,
    &t5::FAMILY,
    &xlm_roberta::FAMILY,
];

/// One family of encoders.
#[derive(Debug)]
pub struct Family {
    /// Values of `model_type` in config.json.
    pub model_types: &'static [&'static str],
    /// Translates config.json into properties. Fails on settings under which the arithmetic would be another.
    pub(crate) spec: fn(&Object) -> Result<EncoderSpec, NnError>,
    /// Names of the tensors that hold a parameter, without `.weight` and `.bias`. Several are stacked row below row.
    pub(crate) tensors: fn(ParamId) -> Vec<String>,
    /// Prefix of every name in checkpoints of models with a task head.
    pub(crate) prefix: &'static str,
    /// Whole names, prefix and `.weight` included, under which a checkpoint may hold the word table as a tensor that is tied to
    /// it, such as an output layer: besides, or instead. Of two that differ, the table of `tensors` counts.
    pub(crate) tied_words: &'static [&'static str],
    /// Key of config.json that states a length, for messages.
    pub(crate) key: fn(Axis) -> &'static str,
    /// Adds what other readers need to a config.json that is about to be written.
    pub(crate) complete: fn(&mut Map<String, Value>),
}

/// A parameter of an encoder, by its meaning. Blocks are numbered by [`BlockSpec::weights`](crate::BlockSpec::weights).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamId {
    /// Word-embedding table.
    Words,
    /// Table of learned positions.
    Positions,
    /// Table of token types.
    TokenTypes,
    /// Table of which every token reads the first row.
    TaskTypes,
    /// Normalisation of the embeddings.
    EmbeddingNorm,
    /// Linear layer from the width of the tables to that of the hidden states.
    EmbeddingProjection,
    /// Table of distances that scores have terms of.
    Distances,
    /// Normalisation of that table.
    DistanceNorm,
    /// Layer of a block that makes of the table what keys are multiplied with.
    DistanceQueries(usize),
    /// Layer of a block that makes of the table what queries are multiplied with.
    DistanceKeys(usize),
    /// Convolution beside a block, `[out, in, taps]`.
    Convolution(usize),
    /// Normalisation of the sum of a block's output and its convolution.
    ConvolutionNorm(usize),
    /// Table of the bias by distance.
    RelativeBias,
    /// Query, key and value of a block: one tensor, or three.
    Qkv(usize),
    /// Output layer of a block's attention.
    AttentionOut(usize),
    /// Normalisation of a block's attention.
    AttentionNorm(usize),
    /// First layer of a block's feed-forward network.
    FeedForwardIn(usize),
    /// First layer of a block's gated feed-forward network, activated half first: one tensor, or two.
    GatedIn(usize),
    /// Second layer of a block's feed-forward network.
    FeedForwardOut(usize),
    /// Normalisation of a block's feed-forward network.
    FeedForwardNorm(usize),
    /// Normalisation after the last block.
    FinalNorm,
}

/// A length that tensors have and config.json states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Rows of the word table.
    Vocab,
    /// Rows of the position table.
    Positions,
    /// Rows of the token-type table.
    TokenTypes,
    /// Rows of the table of task types.
    TaskTypes,
    /// Rows of the table of biases, or vectors, by distance.
    Distances,
    /// Tokens that a convolution sees.
    Taps,
    /// Width of the tables.
    Embedding,
    /// Width of the hidden states.
    Dim,
    /// Width of all heads together.
    Attention,
    /// Width inside a feed-forward network.
    FeedForward,
}

/// `model_type` of every family, in alphabetical order.
pub fn model_types() -> Vec<&'static str> {
    let mut types: Vec<&str> = FAMILIES
        .iter()
        .flat_map(|family| family.model_types)
        .copied()
        .collect();
    types.sort_unstable();
    types
}

/// The family that a config.json names, and the encoder that it describes.
pub(crate) fn read(config: &Object) -> Result<(&'static Family, EncoderSpec), NnError> {
    let supported = || model_types().join(", ");
    if let Some(map) = config.get("auto_map").filter(|map| !is_empty(map)) {
        return Err(NnError::CustomCode {
            path: config.path().to_owned(),
            found: map.to_string(),
            supported: supported(),
        });
    }
    let found = config
        .text("model_type")?
        .ok_or_else(|| config.wrong("model_type", &supported()))?;
    let family = FAMILIES
        .iter()
        .find(|family| family.model_types.contains(&found));
    let family = family.ok_or_else(|| NnError::UnknownFamily {
        path: config.path().to_owned(),
        found: found.to_owned(),
        supported: supported(),
    })?;
    config.deny_set(&["quantization_config"], "nothing")?;
    Ok((family, (family.spec)(config)?))
}

/// For families whose config.json is written as it was read.
fn nothing_to_add(_: &mut Map<String, Value>) {}
