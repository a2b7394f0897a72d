//! ModernBERT (Warner et al. 2024), as `ModernBertConfig` and `ModernBertModel` of transformers have it.
//!
//! Its config.json has two forms. Before transformers 5, `global_attn_every_n_layers`, `global_rope_theta` and
//! `local_rope_theta` said what `layer_types` and `rope_parameters` say since. Either form may lack any of its keys, and a
//! file may have keys of both; the later form wins, key by key. Written files have both, so that every reader finds its own.

use matryo_ops::{AttentionMask, AttentionShape};
use serde_json::{Map, Value, json};

use super::{Axis, Family, ParamId, TIED_KEY, activations::activation};
use crate::{
    AttentionSpec, BlockSpec, DropoutSpec, EmbeddingSpec, EncoderSpec, FeedForwardSpec, NnError,
    NormSpec, Placement, RotarySpec, config::Object,
};

pub(super) static FAMILY: Family = Family {
    model_types: &["modernbert"],
    spec,
    tensors,
    prefix: "model.",
    tied_words: &["decoder.weight"],
    key,
    complete,
};

/// What a block of one kind of attention has.
struct Kind {
    /// Its name in `layer_types` and `rope_parameters`.
    name: &'static str,
    /// The key of the earlier form that says its base.
    theta_key: &'static str,
    default_theta: f64,
}

const FULL: Kind = Kind {
    name: "full_attention",
    theta_key: "global_rope_theta",
    default_theta: 160_000.0,
};
const SLIDING: Kind = Kind {
    name: "sliding_attention",
    theta_key: "local_rope_theta",
    default_theta: 10_000.0,
};

const EVERY_KEY: &str = "global_attn_every_n_layers";
const WINDOW_KEY: &str = "local_attention";
const HALF_WINDOW_KEY: &str = "sliding_window";
const DEFAULT_EVERY: usize = 3;
const DEFAULT_WINDOW: usize = 128;
const DEFAULT_PADDING: u32 = 50_283;

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let dim = config.positive("hidden_size")?;
    let blocks = config.blocks("num_hidden_layers")?;
    let norm = NormSpec {
        eps: config.epsilon("norm_eps", 1e-5)?,
        bias: config.flag("norm_bias")?.unwrap_or(false),
        centred: true,
    };
    let full_block = block(config, dim, norm)?;
    let mut sliding_block = full_block.clone();
    sliding_block.attention.rotary = Some(rotary(config, &SLIDING)?);
    sliding_block.attention.shape.mask = window(config)?;
    let is_full = layer_types(config, blocks)?;
    let mut blocks: Vec<BlockSpec> = is_full
        .into_iter()
        .map(|full| if full { &full_block } else { &sliding_block }.clone())
        .enumerate()
        .map(|(weights, block)| BlockSpec { weights, ..block })
        .collect();
    // The embeddings are normalised already.
    if let Some(first) = blocks.first_mut() {
        first.attention_norm = None;
    }
    let embeddings = EmbeddingSpec {
        norm: Some(norm),
        tied: config.flag(TIED_KEY)?.unwrap_or(true),
        padding: config.token("pad_token_id", Some(DEFAULT_PADDING))?,
        ..EmbeddingSpec::words(config.positive("vocab_size")?, dim)
    };
    let max_tokens = config.positive("max_position_embeddings")?;
    Ok(EncoderSpec {
        final_norm: Some(norm),
        dropout: dropout(config)?,
        ..EncoderSpec::plain(max_tokens, embeddings, blocks)
    })
}

/// A block that sees all tokens.
fn block(config: &Object, dim: usize, norm: NormSpec) -> Result<BlockSpec, NnError> {
    let heads = config.positive("num_attention_heads")?;
    if !dim.is_multiple_of(2 * heads) {
        let expected = format!("a multiple of twice `num_attention_heads`, {heads}");
        return Err(config.wrong("hidden_size", &expected));
    }
    let bias = config.flag("attention_bias")?.unwrap_or(false);
    let attention = AttentionSpec {
        rotary: Some(rotary(config, &FULL)?),
        ..AttentionSpec::plain(AttentionShape::new(heads, dim / heads), bias)
    };
    let feed_forward = FeedForwardSpec {
        dim: config.positive("intermediate_size")?,
        activation: activation(config, "hidden_activation")?,
        gated: true,
        bias: config.flag("mlp_bias")?.unwrap_or(false),
    };
    Ok(BlockSpec::plain(
        Placement::Pre,
        attention,
        feed_forward,
        norm,
    ))
}

/// `local_attention` is the width of the whole window: half of it on either side, ends included. The half may be given
/// instead, as `sliding_window`.
fn window(config: &Object) -> Result<AttentionMask, NnError> {
    let width = config.size(WINDOW_KEY)?.unwrap_or(DEFAULT_WINDOW);
    let half = config.size(HALF_WINDOW_KEY)?.unwrap_or(width / 2);
    Ok(AttentionMask::window(half, half))
}

/// For each block, whether it sees all tokens.
fn layer_types(config: &Object, blocks: usize) -> Result<Vec<bool>, NnError> {
    let Some(listed) = config.get("layer_types") else {
        let every = config.size(EVERY_KEY)?.unwrap_or(DEFAULT_EVERY);
        if every == 0 {
            return Err(config.wrong(EVERY_KEY, "at least 1"));
        }
        return Ok((0..blocks).map(|i| i % every == 0).collect());
    };
    let expected = format!(
        "a list of {blocks} (`num_hidden_layers`) names, each {} or {}",
        FULL.name, SLIDING.name
    );
    let wrong = || config.wrong("layer_types", &expected);
    let names = listed
        .as_array()
        .filter(|names| names.len() == blocks)
        .ok_or_else(wrong)?;
    let is_full = |name: &Value| match name.as_str() {
        Some(name) if name == FULL.name => Ok(true),
        Some(name) if name == SLIDING.name => Ok(false),
        _ => Err(wrong()),
    };
    names.iter().map(is_full).collect()
}

/// The base of a kind of attention: from `rope_parameters`, else from the earlier key, else the default.
fn rotary(config: &Object, kind: &Kind) -> Result<RotarySpec, NnError> {
    config.deny_set(&["rope_scaling"], "nothing")?;
    if let Some(theta) = listed_theta(config, kind)? {
        return Ok(RotarySpec { theta });
    }
    // transformers before 5: a base of `null` is that of the other kind.
    if config.is_null(kind.theta_key) && kind.name == SLIDING.name {
        return rotary(config, &FULL);
    }
    let theta = base(config, kind.theta_key)?;
    Ok(RotarySpec {
        theta: theta.unwrap_or(kind.default_theta),
    })
}

/// The base in `rope_parameters`. A key that is not known there, such as a factor, would change the angles.
fn listed_theta(config: &Object, kind: &Kind) -> Result<Option<f64>, NnError> {
    let Some(parameters) = config.object("rope_parameters")? else {
        return Ok(None);
    };
    parameters.deny_unknown(&[FULL.name, SLIDING.name])?;
    let Some(half) = parameters.object(kind.name)? else {
        return Ok(None);
    };
    // transformers reads `type` where there is no `rope_type`.
    for key in ["rope_type", "type"] {
        if half.text(key)?.is_some_and(|found| found != "default") {
            return Err(half.wrong(key, "\"default\""));
        }
    }
    half.deny_unknown(&["rope_type", "type", "rope_theta"])?;
    base(&half, "rope_theta")
}

/// A base of wavelengths, also in single precision, in which its powers are taken.
fn base(config: &Object, key: &str) -> Result<Option<f64>, NnError> {
    match config.above_zero(key)? {
        Some(theta) if !(theta as f32).is_normal() => {
            Err(config.wrong(key, "a number that single precision holds"))
        }
        theta => Ok(theta),
    }
}

fn dropout(config: &Object) -> Result<DropoutSpec, NnError> {
    let attention = config.rate("attention_dropout", 0.0)?;
    Ok(DropoutSpec {
        embeddings: config.rate("embedding_dropout", 0.0)?,
        probabilities: attention,
        attention_out: attention,
        feed_forward_inner: config.rate("mlp_dropout", 0.0)?,
        ..DropoutSpec::default()
    })
}

fn tensors(id: ParamId) -> Vec<String> {
    let layer = |index: usize, name: &str| vec![format!("layers.{index}.{name}")];
    match id {
        ParamId::Words => vec!["embeddings.tok_embeddings".into()],
        ParamId::EmbeddingNorm => vec!["embeddings.norm".into()],
        ParamId::Qkv(i) => layer(i, "attn.Wqkv"),
        ParamId::AttentionOut(i) => layer(i, "attn.Wo"),
        ParamId::AttentionNorm(i) => layer(i, "attn_norm"),
        ParamId::GatedIn(i) => layer(i, "mlp.Wi"),
        ParamId::FeedForwardOut(i) => layer(i, "mlp.Wo"),
        ParamId::FeedForwardNorm(i) => layer(i, "mlp_norm"),
        ParamId::FinalNorm => vec!["final_norm".into()],
        _ => Vec::new(),
    }
}

fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Vocab => "vocab_size",
        Axis::Positions => "max_position_embeddings",
        Axis::FeedForward => "intermediate_size",
        // There are no tables of types or distances, so nothing asks for their number.
        _ => "hidden_size",
    }
}

/// Writes both forms. The pattern of layers is said in the earlier form only if it can be: a full layer every so many.
fn complete(config: &mut Map<String, Value>) {
    let source = Object::new(std::path::Path::new("config.json"), config.clone().into());
    let Ok(source) = source else { return };
    let blocks = source.blocks("num_hidden_layers").unwrap_or(0);
    let (Ok(is_full), Ok(full), Ok(sliding)) = (
        layer_types(&source, blocks),
        rotary(&source, &FULL),
        rotary(&source, &SLIDING),
    ) else {
        return;
    };
    let name = |full: &bool| if *full { FULL.name } else { SLIDING.name };
    let names: Vec<&str> = is_full.iter().map(name).collect();
    config.insert("layer_types".into(), json!(names));
    let half = |rotary: RotarySpec| json!({"rope_theta": rotary.theta, "rope_type": "default"});
    config.insert(
        "rope_parameters".into(),
        json!({FULL.name: half(full), SLIDING.name: half(sliding)}),
    );
    config.insert(FULL.theta_key.into(), json!(full.theta));
    config.insert(SLIDING.theta_key.into(), json!(sliding.theta));
    if let Ok(Some(half)) = source.size(HALF_WINDOW_KEY) {
        config.insert(WINDOW_KEY.into(), json!(2 * half));
    }
    match interval(&is_full) {
        Some(every) => config.insert(EVERY_KEY.into(), json!(every)),
        None => config.shift_remove(EVERY_KEY),
    };
}

/// The distance of full layers if the pattern is one every so many, the first among them.
fn interval(is_full: &[bool]) -> Option<usize> {
    (1..=is_full.len().max(1)).find(|every| {
        is_full
            .iter()
            .enumerate()
            .all(|(i, full)| *full == (i % every == 0))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(extra: &Value) -> Object {
        let mut config = json!({
            "model_type": "modernbert", "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 6,
            "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 256,
        });
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        Object::new(Path::new("config.json"), config).unwrap()
    }

    /// For each block, the base of its rotation and the number of keys that a query sees on its left.
    fn blocks(extra: Value) -> Vec<(f64, usize)> {
        let blocks = spec(&config(&extra)).unwrap().blocks.into_iter();
        blocks
            .map(|block| {
                let attention = block.attention;
                (attention.rotary.unwrap().theta, attention.shape.mask.left)
            })
            .collect()
    }

    #[test]
    fn both_forms_of_the_pattern_and_of_the_bases() {
        let (full, local) = ((160_000.0, usize::MAX), (10_000.0, 64));
        let default = vec![full, local, local, full, local, local];
        assert_eq!(blocks(json!({})), default);
        let earlier = json!({"global_attn_every_n_layers": 2, "global_rope_theta": 5e4, "local_rope_theta": 7e3, "local_attention": 16});
        let (full, local) = ((5e4, usize::MAX), (7e3, 8));
        let every_second = vec![full, local, full, local, full, local];
        assert_eq!(blocks(earlier.clone()), every_second);
        let names = ["full_attention", "sliding_attention"].repeat(3);
        let later = json!({"layer_types": names, "local_attention": 16, "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 5e4}, "sliding_attention": {"rope_theta": 7e3}}});
        assert_eq!(blocks(later), every_second);
    }

    #[test]
    fn the_later_form_wins_and_missing_halves_fall_back() {
        let mixed = json!({"layer_types": vec!["full_attention"; 6], "global_attn_every_n_layers": 3, "global_rope_theta": 5e4,
            "rope_parameters": {"full_attention": {"rope_type": "default"}}});
        assert_eq!(blocks(mixed), [(5e4, usize::MAX); 6]);
        let half = json!({"rope_parameters": {"sliding_attention": {"rope_theta": 3e3}}});
        assert_eq!(blocks(half)[..2], [(160_000.0, usize::MAX), (3e3, 64)]);
    }

    #[test]
    fn what_is_written_says_the_same_in_both_forms() {
        let patterns = [
            json!({}),
            json!({"global_attn_every_n_layers": 2, "local_rope_theta": 7e3}),
            json!({"layer_types": ["sliding_attention", "full_attention", "full_attention", "full_attention",
                "sliding_attention", "sliding_attention"]}),
        ];
        for pattern in patterns {
            let mut written = config(&pattern).into_value();
            complete(written.as_object_mut().unwrap());
            assert_eq!(blocks(written.clone()), blocks(pattern.clone()));
            let mut earlier = written.clone();
            let map = earlier.as_object_mut().unwrap();
            map.remove("rope_parameters");
            if map.contains_key(EVERY_KEY) {
                map.remove("layer_types");
            }
            assert_eq!(blocks(earlier), blocks(pattern));
        }
    }

    /// In transformers before 5.
    #[test]
    fn a_local_base_of_null_is_the_global_one() {
        let extra = json!({"local_rope_theta": null, "global_rope_theta": 5e4});
        assert_eq!(blocks(extra)[..2], [(5e4, usize::MAX), (5e4, 64)]);
    }

    /// The earlier form has the whole width only.
    #[test]
    fn half_a_window_is_written_whole() {
        let mut written = config(&json!({"sliding_window": 5})).into_value();
        complete(written.as_object_mut().unwrap());
        assert_eq!(written["local_attention"], 10);
        assert_eq!(blocks(written)[1].1, 5);
    }

    #[test]
    fn keys_that_rotate_otherwise_are_refused() {
        let full = |half: Value| json!({"rope_parameters": {"full_attention": half}});
        for (key, extra) in [
            (
                "rope_theta",
                json!({"rope_parameters": {"rope_theta": 5.0}}),
            ),
            ("full_attention.factor", full(json!({"factor": 2.0}))),
        ] {
            let message = spec(&config(&extra)).unwrap_err().to_string();
            let expected = format!("unknown key `rope_parameters.{key}`\n");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn other_rotations_and_lists_are_refused() {
        let full = |half: Value| json!({"rope_parameters": {"full_attention": half}});
        for (key, extra) in [
            (
                "rope_parameters.full_attention.rope_type",
                full(json!({"rope_type": "yarn"})),
            ),
            (
                "rope_parameters.full_attention.type",
                full(json!({"type": "linear"})),
            ),
            (
                "rope_parameters.full_attention.rope_theta",
                full(json!({"rope_theta": 1e-44})),
            ),
            ("rope_scaling", json!({"rope_scaling": {"factor": 2.0}})),
            ("layer_types", json!({"layer_types": ["full_attention"]})),
            (
                "layer_types",
                json!({"layer_types": vec!["linear_attention"; 6]}),
            ),
            (EVERY_KEY, json!({"global_attn_every_n_layers": 0})),
            ("hidden_activation", json!({"hidden_activation": "mish"})),
            (
                "hidden_size",
                json!({"hidden_size": 34, "num_attention_heads": 34}),
            ),
        ] {
            let message = spec(&config(&extra)).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{key}` is ")), "{message}");
        }
    }
}
