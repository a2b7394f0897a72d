//! What families with learned absolute positions and post-normalised blocks share: keys of config.json and names of tensors.

use matryo_ops::AttentionShape;

use super::{Axis, ParamId, TIED_KEY, activations::activation};
use crate::{
    AttentionSpec, BlockSpec, DropoutSpec, EmbeddingSpec, EncoderSpec, FeedForwardSpec, NnError,
    NormSpec, Numbering, Placement, PositionSpec, config::Object,
};

/// How tokens are numbered, given the padding token.
pub(super) type NumberingRule = fn(Option<u32>) -> Numbering;

/// Keys of config.json.
pub(super) struct Keys {
    pub dim: &'static str,
    pub heads: &'static str,
    pub blocks: &'static str,
    pub feed_forward: &'static str,
    pub activation: &'static str,
    pub hidden_dropout: &'static str,
    pub probabilities_dropout: &'static str,
    /// `None` for a family whose normalisations have one epsilon, the default.
    pub norm_eps: Option<&'static str>,
}

/// The keys of `BertConfig`.
pub(super) const KEYS: Keys = Keys {
    dim: "hidden_size",
    heads: "num_attention_heads",
    blocks: "num_hidden_layers",
    feed_forward: "intermediate_size",
    activation: "hidden_act",
    hidden_dropout: "hidden_dropout_prob",
    probabilities_dropout: "attention_probs_dropout_prob",
    norm_eps: Some("layer_norm_eps"),
};

/// Values that a config.json of the family leaves out.
pub(super) struct Defaults {
    pub norm_eps: f64,
    /// 0 for a family without token types.
    pub token_types: usize,
    pub padding: u32,
    pub dropout: f64,
}

/// The values of `BertConfig`.
pub(super) const DEFAULTS: Defaults = Defaults {
    norm_eps: 1e-12,
    token_types: 2,
    padding: 0,
    dropout: 0.1,
};

/// The width of tables that are narrower than the hidden states; the value of `ElectraConfig` and `AlbertConfig` where it is absent.
const DEFAULT_WIDTH: usize = 128;

/// Reads an encoder whose tables are as wide as its hidden states; a family with another width sets `embeddings.dim` and
/// `embeddings.projection` afterwards, and names the key and the projection itself.
pub(super) fn spec(
    config: &Object,
    keys: &Keys,
    defaults: &Defaults,
    numbering: NumberingRule,
) -> Result<EncoderSpec, NnError> {
    deny_variants(config)?;
    let dim = config.positive(keys.dim)?;
    let heads = config.positive(keys.heads)?;
    if !dim.is_multiple_of(heads) {
        let expected = format!("a multiple of `{}`, {heads}", keys.heads);
        return Err(config.wrong(keys.dim, &expected));
    }
    let norm = NormSpec {
        eps: match keys.norm_eps {
            Some(key) => config.epsilon(key, defaults.norm_eps)?,
            None => defaults.norm_eps as f32,
        },
        bias: true,
        centred: true,
    };
    let feed_forward = FeedForwardSpec {
        dim: config.positive(keys.feed_forward)?,
        activation: activation(config, keys.activation)?,
        gated: false,
        bias: true,
    };
    let attention = AttentionSpec::plain(AttentionShape::new(heads, dim / heads), true);
    let block = BlockSpec::plain(Placement::Post, attention, feed_forward, norm);
    let blocks = block.repeated(config.blocks(keys.blocks)?);
    let padding = config.token("pad_token_id", Some(defaults.padding))?;
    let positions = PositionSpec {
        rows: config.positive(key(Axis::Positions))?,
        numbering: numbering(padding),
    };
    let embeddings = EmbeddingSpec {
        positions: Some(positions),
        token_types: token_types(config, defaults.token_types)?,
        norm: Some(norm),
        tied: config.flag(TIED_KEY)?.unwrap_or(true),
        padding,
        ..EmbeddingSpec::words(config.positive(key(Axis::Vocab))?, dim)
    };
    Ok(EncoderSpec {
        dropout: dropout(config, keys, defaults.dropout)?,
        ..EncoderSpec::plain(longest(config, positions)?, embeddings, blocks)
    })
}

/// Width of the tables, of families that state it under `key`.
pub(super) fn table_width(config: &Object, key: &str) -> Result<usize, NnError> {
    match config.get(key) {
        Some(_) => config.positive(key),
        None => Ok(DEFAULT_WIDTH),
    }
}

/// Rows of the table of token types; a family without types passes over the key.
fn token_types(config: &Object, default: usize) -> Result<usize, NnError> {
    if default == 0 {
        return Ok(0);
    }
    match config.size(key(Axis::TokenTypes))? {
        Some(0) => Err(config.wrong(key(Axis::TokenTypes), "at least 1")),
        rows => Ok(rows.unwrap_or(default)),
    }
}

/// Tokens of the longest input that a position table has rows for.
fn longest(config: &Object, positions: PositionSpec) -> Result<usize, NnError> {
    let first = match positions.numbering {
        Numbering::FromZero => 0,
        Numbering::AfterPadding(padding) => padding as usize + 1,
    };
    positions
        .rows
        .checked_sub(first)
        .filter(|tokens| *tokens > 0)
        .ok_or_else(|| config.wrong(key(Axis::Positions), &format!("more than {first}")))
}

/// One rate for all hidden states, one for the attention probabilities.
fn dropout(config: &Object, keys: &Keys, default: f64) -> Result<DropoutSpec, NnError> {
    let hidden = config.rate(keys.hidden_dropout, default)?;
    Ok(DropoutSpec {
        embeddings: hidden,
        probabilities: config.rate(keys.probabilities_dropout, default)?,
        attention_out: hidden,
        feed_forward_out: hidden,
        ..DropoutSpec::default()
    })
}

/// Settings under which `model_type` stays the same but the arithmetic changes.
fn deny_variants(config: &Object) -> Result<(), NnError> {
    let kind = config.text("position_embedding_type")?;
    if kind.is_some_and(|kind| kind != "absolute") {
        return Err(config.wrong("position_embedding_type", "\"absolute\""));
    }
    for key in ["is_decoder", "add_cross_attention"] {
        if config.flag(key)? == Some(true) {
            return Err(config.wrong(key, "false"));
        }
    }
    config.deny_set(&["pruned_heads"], "nothing")
}

/// Names of the tensors.
pub(super) fn tensors(id: ParamId) -> Vec<String> {
    let layer = |index: usize, name: &str| format!("encoder.layer.{index}.{name}");
    match id {
        ParamId::Words => vec!["embeddings.word_embeddings".into()],
        ParamId::Positions => vec!["embeddings.position_embeddings".into()],
        ParamId::TokenTypes => vec!["embeddings.token_type_embeddings".into()],
        ParamId::EmbeddingNorm => vec!["embeddings.LayerNorm".into()],
        ParamId::Qkv(i) => ["query", "key", "value"]
            .map(|part| layer(i, &format!("attention.self.{part}")))
            .to_vec(),
        ParamId::AttentionOut(i) => vec![layer(i, "attention.output.dense")],
        ParamId::AttentionNorm(i) => vec![layer(i, "attention.output.LayerNorm")],
        ParamId::FeedForwardIn(i) => vec![layer(i, "intermediate.dense")],
        ParamId::FeedForwardOut(i) => vec![layer(i, "output.dense")],
        ParamId::FeedForwardNorm(i) => vec![layer(i, "output.LayerNorm")],
        ParamId::TaskTypes => vec!["embeddings.task_type_embeddings".into()],
        // What no family of this kind has, or each under a name of its own.
        _ => Vec::new(),
    }
}

/// Keys of config.json that state lengths.
pub(super) fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Vocab => "vocab_size",
        Axis::Positions => "max_position_embeddings",
        Axis::TokenTypes => "type_vocab_size",
        Axis::TaskTypes => "task_type_vocab_size",
        Axis::Embedding | Axis::Dim | Axis::Attention | Axis::Distances | Axis::Taps => {
            "hidden_size"
        }
        Axis::FeedForward => "intermediate_size",
    }
}
