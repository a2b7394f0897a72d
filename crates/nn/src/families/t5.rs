//! T5's encoder (Raffel et al. 2020), as `T5Config` and `T5EncoderModel` of transformers have it, also in its version 1.1 and as mT5:
//! RMSNorm before each half of a block, scores that are not scaled, with a bias by distance, and no biases elsewhere.
//!
//! Checkpoints of whole models have a decoder too, which is not read.

use matryo_ops::{Activation, AttentionShape};

use super::{Axis, Family, ParamId, activations, nothing_to_add};
use crate::{
    AttentionSpec, BlockSpec, DropoutSpec, EmbeddingSpec, EncoderSpec, FeedForwardSpec, NnError,
    NormSpec, Placement, RelativeSpec, UNLIMITED, config::Object,
};

pub(super) static FAMILY: Family = Family {
    model_types: &["mt5", "t5"],
    spec,
    tensors,
    prefix: "",
    tied_words: &["shared.weight"],
    key,
    complete: nothing_to_add,
};

const FEED_FORWARD_KEY: &str = "feed_forward_proj";
const ACTIVATION_KEY: &str = "dense_act_fn";
const MAX_DISTANCE_KEY: &str = "relative_attention_max_distance";
const DEFAULT_BUCKETS: usize = 32;
const DEFAULT_MAX_DISTANCE: usize = 128;
const DEFAULT_DROPOUT: f64 = 0.1;
const DEFAULT_EPS: f64 = 1e-6;

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    if config.flag("is_decoder")? == Some(true) {
        return Err(config.wrong("is_decoder", "false"));
    }
    let dim = config.positive(key(Axis::Dim))?;
    let norm = NormSpec {
        eps: config.epsilon("layer_norm_epsilon", DEFAULT_EPS)?,
        bias: false,
        centred: false,
    };
    let shape = AttentionShape {
        scale: 1.0,
        ..AttentionShape::new(config.positive("num_heads")?, config.positive("d_kv")?)
    };
    let attention = AttentionSpec {
        relative: Some(relative(config)?),
        ..AttentionSpec::plain(shape, false)
    };
    let block = BlockSpec::plain(Placement::Pre, attention, feed_forward(config)?, norm);
    let blocks = block.repeated(config.blocks("num_layers")?);
    // Tables of encoder and decoder are tied, whatever `tie_word_embeddings` says of the output layer.
    let embeddings = EmbeddingSpec::words(config.positive(key(Axis::Vocab))?, dim);
    let rate = config.rate("dropout_rate", DEFAULT_DROPOUT)?;
    Ok(EncoderSpec {
        final_norm: Some(norm),
        dropout: DropoutSpec {
            embeddings: rate,
            probabilities: rate,
            attention_out: rate,
            feed_forward_inner: rate,
            feed_forward_out: rate,
            last: rate,
            ..DropoutSpec::default()
        },
        ..EncoderSpec::plain(UNLIMITED, embeddings, blocks)
    })
}

/// Half of the buckets are for keys after their query, and half of those for one distance each.
fn relative(config: &Object) -> Result<RelativeSpec, NnError> {
    let rows_key = key(Axis::Distances);
    let rows = config.size(rows_key)?.unwrap_or(DEFAULT_BUCKETS);
    if rows == 0 || !rows.is_multiple_of(4) {
        return Err(config.wrong(rows_key, "a multiple of 4"));
    }
    let max_distance = config.size(MAX_DISTANCE_KEY)?;
    let max_distance = max_distance.unwrap_or(DEFAULT_MAX_DISTANCE);
    if max_distance <= rows / 4 {
        let expected = format!("more than a quarter of `{rows_key}`, {}", rows / 4);
        return Err(config.wrong(MAX_DISTANCE_KEY, &expected));
    }
    Ok(RelativeSpec {
        rows,
        buckets: rows,
        max_distance,
    })
}

/// `relu`, or `gated-gelu` from version 1.1 on, whose GELU is the tanh form. Newer files say both parts besides, and those count.
fn feed_forward(config: &Object) -> Result<FeedForwardSpec, NnError> {
    let default = match config.text("model_type")? {
        Some("mt5") => "gated-gelu",
        _ => "relu",
    };
    let name = config.text(FEED_FORWARD_KEY)?.unwrap_or(default);
    let (gated, function) = match name.strip_prefix("gated-") {
        Some(function) => (true, function),
        None => (false, name),
    };
    let activation = match (gated, function) {
        (true, "gelu") => Some(Activation::GeluTanh),
        _ => activations::named(function),
    };
    let activation = match config.text(ACTIVATION_KEY)? {
        Some(_) => Some(activations::activation(config, ACTIVATION_KEY)?),
        None => activation,
    };
    let gated = config.flag("is_gated_act")?.unwrap_or(gated);
    let expected = || format!("one of {}, or `gated-` and one", activations::names());
    Ok(FeedForwardSpec {
        dim: config.positive(key(Axis::FeedForward))?,
        activation: activation.ok_or_else(|| config.wrong(FEED_FORWARD_KEY, &expected()))?,
        gated,
        bias: false,
    })
}

fn tensors(id: ParamId) -> Vec<String> {
    let half = |index: usize, half: usize, name: &str| {
        format!("encoder.block.{index}.layer.{half}.{name}")
    };
    match id {
        // The table that the encoder itself reads. Files have it under the name of the one that encoder and decoder share, or
        // under both; where their values differ, transformers (`tie_weights`) does not tie them.
        ParamId::Words => vec!["encoder.embed_tokens".into()],
        ParamId::RelativeBias => vec![half(0, 0, "SelfAttention.relative_attention_bias")],
        ParamId::Qkv(i) => ["q", "k", "v"]
            .map(|part| half(i, 0, &format!("SelfAttention.{part}")))
            .to_vec(),
        ParamId::AttentionOut(i) => vec![half(i, 0, "SelfAttention.o")],
        ParamId::AttentionNorm(i) => vec![half(i, 0, "layer_norm")],
        ParamId::FeedForwardIn(i) => vec![half(i, 1, "DenseReluDense.wi")],
        ParamId::GatedIn(i) => ["wi_0", "wi_1"]
            .map(|part| half(i, 1, &format!("DenseReluDense.{part}")))
            .to_vec(),
        ParamId::FeedForwardOut(i) => vec![half(i, 1, "DenseReluDense.wo")],
        ParamId::FeedForwardNorm(i) => vec![half(i, 1, "layer_norm")],
        ParamId::FinalNorm => vec!["encoder.final_layer_norm".into()],
        _ => Vec::new(),
    }
}

fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Vocab => "vocab_size",
        Axis::Distances => "relative_attention_num_buckets",
        Axis::Attention => "num_heads * d_kv",
        Axis::FeedForward => "d_ff",
        _ => "d_model",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn read(changes: Value) -> Result<EncoderSpec, NnError> {
        let mut config = json!({
            "vocab_size": 100, "d_model": 32, "num_layers": 2, "num_heads": 3, "d_kv": 16, "d_ff": 48,
            "tie_word_embeddings": false, "n_positions": 512,
        });
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        spec(&Object::new(Path::new("config.json"), config)?)
    }

    fn message(changes: Value) -> String {
        read(changes).unwrap_err().to_string()
    }

    /// `n_positions` is a note of the training's length, and the class has no limit.
    #[test]
    fn defaults_of_the_class() {
        let spec = read(json!({})).unwrap();
        let block = &spec.blocks[1];
        assert_eq!((spec.max_tokens, spec.dropout.last), (UNLIMITED, 0.1));
        assert!(spec.embeddings.tied);
        assert_eq!(
            (block.attention.shape.width(), block.attention.shape.scale),
            (48, 1.0)
        );
        let relative = block.attention.relative.unwrap();
        assert_eq!(
            (relative.rows, relative.buckets, relative.max_distance),
            (32, 32, 128)
        );
        assert_eq!(block.attention_norm.unwrap().eps, 1e-6);
        let feed_forward = &block.feed_forward;
        assert_eq!(
            (feed_forward.activation, feed_forward.gated),
            (Activation::Relu, false)
        );
    }

    #[test]
    fn gates_and_their_activations() {
        let read = |name: &str| {
            let spec = read(json!({"feed_forward_proj": name})).unwrap();
            let feed_forward = &spec.blocks[0].feed_forward;
            (feed_forward.activation, feed_forward.gated)
        };
        assert_eq!(read("gated-gelu"), (Activation::GeluTanh, true));
        assert_eq!(read("gelu"), (Activation::Gelu, false));
        assert_eq!(read("gated-silu"), (Activation::Silu, true));
        assert_eq!(read("gated-relu"), (Activation::Relu, true));
        for name in ["gated", "gated-", "relu-gated", "mish"] {
            let message = message(json!({"feed_forward_proj": name}));
            assert!(message.contains("`feed_forward_proj`"), "{message}");
        }
    }

    #[test]
    fn parts_that_are_said_apart_count() {
        let read = |config: Value| {
            let spec = read(config).unwrap();
            let feed_forward = &spec.blocks[0].feed_forward;
            (feed_forward.activation, feed_forward.gated)
        };
        let silu = json!({"feed_forward_proj": "gated-gelu", "dense_act_fn": "silu"});
        assert_eq!(read(silu), (Activation::Silu, true));
        let plain = json!({"feed_forward_proj": "gated-gelu", "is_gated_act": false});
        assert_eq!(read(plain), (Activation::GeluTanh, false));
        assert_eq!(
            read(json!({"model_type": "mt5"})),
            (Activation::GeluTanh, true)
        );
        assert_eq!(read(json!({"model_type": "t5"})), (Activation::Relu, false));
    }

    #[test]
    fn distances_that_make_no_buckets() {
        for (key, value) in [
            ("relative_attention_num_buckets", 0),
            ("relative_attention_num_buckets", 30),
            ("relative_attention_max_distance", 8),
        ] {
            let message = message(json!({key: value}));
            assert!(
                message.contains(&format!("`{key}` is {value}")),
                "{message}"
            );
        }
    }
}
