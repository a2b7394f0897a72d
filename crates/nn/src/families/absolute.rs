//! What families with learned absolute positions and post-normalised blocks share: keys of config.json and names of tensors.

use matryo_ops::AttentionShape;

use super::{Axis, ParamId, TIED_KEY, activations::activation};
use crate::{
    AttentionSpec, BlockSpec, DropoutSpec, EmbeddingSpec, EncoderSpec, FeedForwardSpec, NnError,
    NormSpec, Numbering, Placement, PositionSpec, config::Object,
};

/// How tokens are numbered, given the padding token.
pub(super) type NumberingRule = fn(Option<u32>) -> Numbering;

/// Values that a config.json of the family leaves out.
pub(super) struct Defaults {
    pub norm_eps: f64,
    pub token_types: usize,
    pub padding: u32,
}

/// Reads an encoder whose tables are as wide as its hidden states; a family with another width sets `embeddings.dim` afterwards
/// and names the key and the projection itself.
pub(super) fn spec(
    config: &Object,
    defaults: &Defaults,
    numbering: NumberingRule,
) -> Result<EncoderSpec, NnError> {
    deny_variants(config)?;
    let dim = config.positive(key(Axis::Dim))?;
    let heads = config.positive("num_attention_heads")?;
    if !dim.is_multiple_of(heads) {
        let expected = format!("a multiple of `num_attention_heads`, {heads}");
        return Err(config.wrong(key(Axis::Dim), &expected));
    }
    let norm = NormSpec {
        eps: config.epsilon("layer_norm_eps", defaults.norm_eps)?,
        bias: true,
    };
    let block = BlockSpec {
        placement: Placement::Post,
        attention: AttentionSpec {
            shape: AttentionShape::new(heads, dim / heads),
            bias: true,
            rotary: None,
        },
        attention_norm: Some(norm),
        feed_forward: FeedForwardSpec {
            dim: config.positive(key(Axis::FeedForward))?,
            activation: activation(config, "hidden_act")?,
            gated: false,
            bias: true,
        },
        feed_forward_norm: Some(norm),
    };
    let padding = config.token("pad_token_id", Some(defaults.padding))?;
    let positions = PositionSpec {
        rows: config.positive(key(Axis::Positions))?,
        numbering: numbering(padding),
    };
    Ok(EncoderSpec {
        dim,
        max_tokens: longest(config, positions)?,
        embeddings: EmbeddingSpec {
            vocab: config.positive(key(Axis::Vocab))?,
            dim,
            positions: Some(positions),
            token_types: match config.size(key(Axis::TokenTypes))? {
                Some(0) => return Err(config.wrong(key(Axis::TokenTypes), "at least 1")),
                rows => rows.unwrap_or(defaults.token_types),
            },
            norm: Some(norm),
            tied: config.flag(TIED_KEY)?.unwrap_or(true),
            padding,
        },
        blocks: vec![block; config.blocks("num_hidden_layers")?],
        final_norm: None,
        dropout: dropout(config)?,
    })
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
fn dropout(config: &Object) -> Result<DropoutSpec, NnError> {
    let hidden = config.rate("hidden_dropout_prob", 0.1)?;
    Ok(DropoutSpec {
        embeddings: hidden,
        probabilities: config.rate("attention_probs_dropout_prob", 0.1)?,
        attention_out: hidden,
        feed_forward_inner: 0.0,
        feed_forward_out: hidden,
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
        ParamId::EmbeddingProjection | ParamId::FinalNorm => Vec::new(),
    }
}

/// Keys of config.json that state lengths.
pub(super) fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Vocab => "vocab_size",
        Axis::Positions => "max_position_embeddings",
        Axis::TokenTypes => "type_vocab_size",
        Axis::Embedding | Axis::Dim => "hidden_size",
        Axis::FeedForward => "intermediate_size",
    }
}
