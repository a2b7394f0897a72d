//! DeBERTa-v2 (He et al. 2021), as `DebertaV2Config` and `DebertaV2Model` of transformers have it, also in its version 3: scores with
//! terms of content and distance, and in large models a convolution beside the first block.

use matryo_ops::AttentionShape;
use serde_json::Value;

use super::{Axis, Family, ParamId, absolute, activations, nothing_to_add};
use crate::{
    ConvolutionSpec, DisentangledSpec, EncoderSpec, NnError, Numbering, Projection, UNLIMITED,
    config::Object,
};

pub(super) static FAMILY: Family = Family {
    model_types: &["deberta-v2"],
    spec,
    tensors,
    prefix: "deberta.",
    tied_words: &["cls.predictions.decoder.weight"],
    key,
    complete: nothing_to_add,
};

const DEFAULTS: absolute::Defaults = absolute::Defaults {
    norm_eps: 1e-7,
    // Read here, since a model may have none.
    token_types: 0,
    ..absolute::DEFAULTS
};

const TERMS_KEY: &str = "pos_att_type";
const BUCKETS_KEY: &str = "position_buckets";
const DISTANCE_KEY: &str = "max_relative_positions";
const TABLE_NORM_KEY: &str = "norm_rel_ebd";
const HEAD_KEY: &str = "attention_head_size";
const TAPS_KEY: &str = "conv_kernel_size";
const GROUPS_KEY: &str = "conv_groups";
const CONVOLUTION_ACTIVATION_KEY: &str = "conv_act";

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let mut spec = absolute::spec(config, &absolute::KEYS, &DEFAULTS, |_| Numbering::FromZero)?;
    let hidden_dropout = spec.dropout.embeddings;
    read_embeddings(config, &mut spec)?;
    let terms = Terms::read(config)?;
    let disentangled = disentangled(config, &spec, terms)?;
    let convolution = convolution(config, &spec)?;
    for block in &mut spec.blocks {
        let shape = block.attention.shape;
        check_heads(config, shape)?;
        // The terms that are named count, also without relative attention.
        let factor = 1.0 + terms.count() as f32;
        block.attention.shape.scale = 1.0 / (shape.head_dim as f32 * factor).sqrt();
        block.attention.disentangled = disentangled;
    }
    if let Some(first) = spec.blocks.first_mut() {
        first.convolution = convolution;
    }
    if disentangled.is_some() {
        spec.dropout.distances = hidden_dropout;
    }
    if convolution.is_some() {
        spec.dropout.convolution = hidden_dropout;
    }
    Ok(spec)
}

/// Width and number of the tables. Without a table of positions nothing ends the input; sentence-transformers does, where no length is
/// asked for.
fn read_embeddings(config: &Object, spec: &mut EncoderSpec) -> Result<(), NnError> {
    let embeddings = &mut spec.embeddings;
    if config.get(key(Axis::Embedding)).is_some() {
        embeddings.dim = config.positive(key(Axis::Embedding))?;
    }
    embeddings.projection = (embeddings.dim != spec.dim).then_some(Projection::BeforeNorm);
    embeddings.token_types = config.size(key(Axis::TokenTypes))?.unwrap_or(0);
    if config.flag("position_biased_input")? == Some(false) {
        embeddings.positions = None;
        spec.usual_tokens = Some(spec.max_tokens);
        spec.max_tokens = UNLIMITED;
    }
    Ok(())
}

/// The output layer of the attention takes the width of the hidden states.
fn check_heads(config: &Object, shape: AttentionShape) -> Result<(), NnError> {
    match config.size(HEAD_KEY)? {
        Some(width) if width != shape.head_dim => {
            let expected = format!("`hidden_size` over heads, {}", shape.head_dim);
            Err(config.wrong(HEAD_KEY, &expected))
        }
        _ => Ok(()),
    }
}

/// Which terms the scores have besides that of queries and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Terms {
    content_to_position: bool,
    position_to_content: bool,
}

impl Terms {
    /// A list, or names with `|` between them, whose case does not count. Upstream passes over names that it does not know, those of a list
    /// in capitals among them. Here they are refused: nothing tells whether the model was trained with what they say.
    fn read(config: &Object) -> Result<Self, NnError> {
        let wrong = || config.wrong(TERMS_KEY, "a list of \"c2p\" and \"p2c\", or \"p2c|c2p\"");
        let names: Vec<String> = match config.get(TERMS_KEY) {
            None => Vec::new(),
            Some(Value::String(names)) => {
                let names = names.to_lowercase();
                let names = names.split('|').map(|name| name.trim().to_owned());
                names.filter(|name| !name.is_empty()).collect()
            }
            Some(Value::Array(names)) => {
                let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                names.collect::<Option<_>>().ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        let mut terms = Self::default();
        for name in names {
            match &*name {
                "c2p" => terms.content_to_position = true,
                "p2c" => terms.position_to_content = true,
                _ => return Err(wrong()),
            }
        }
        Ok(terms)
    }

    fn count(self) -> usize {
        usize::from(self.content_to_position) + usize::from(self.position_to_content)
    }
}

/// The terms of distances. Without any, nothing reads the table, nor does this.
fn disentangled(
    config: &Object,
    spec: &EncoderSpec,
    terms: Terms,
) -> Result<Option<DisentangledSpec>, NnError> {
    if config.flag("relative_attention")? != Some(true) || terms.count() == 0 {
        return Ok(None);
    }
    let max_distance = match positive_or_none(config, DISTANCE_KEY)? {
        Some(distance) => distance,
        None => config.positive(key(Axis::Positions))?,
    };
    let buckets = positive_or_none(config, BUCKETS_KEY)?;
    if let Some(buckets) = buckets {
        if buckets < 2 {
            return Err(config.wrong(BUCKETS_KEY, "at least 2, or -1 for none"));
        }
        // Else the logarithm of the last bucket is 0 or less, and what upstream computes is no bucket.
        if max_distance <= buckets / 2 + 1 {
            let most = 2 * (max_distance.max(2) - 2) + 1;
            let expected = format!("at most {most}, since distances end at {max_distance}");
            return Err(config.wrong(BUCKETS_KEY, &expected));
        }
    }
    Ok(Some(DisentangledSpec {
        buckets,
        max_distance,
        for_queries: terms.content_to_position,
        for_keys: terms.position_to_content,
        shared: config.flag("share_att_key")?.unwrap_or(false),
        norm: if table_is_normed(config)? {
            spec.embeddings.norm
        } else {
            None
        },
    }))
}

/// A length; 0, and -1, which configurations write, are none.
fn positive_or_none(config: &Object, key: &str) -> Result<Option<usize>, NnError> {
    let is_negative = |value: &Value| value.as_i64().is_some_and(|value| value < 0);
    if config.get(key).is_some_and(is_negative) {
        return Ok(None);
    }
    Ok(config.size(key)?.filter(|length| *length > 0))
}

/// Words with `|` between them, of which one normalises the table.
fn table_is_normed(config: &Object) -> Result<bool, NnError> {
    let words = config
        .text(TABLE_NORM_KEY)?
        .unwrap_or("none")
        .to_lowercase();
    let mut normed = false;
    for word in words.split('|').map(str::trim) {
        match word {
            "layer_norm" => normed = true,
            "none" | "" => (),
            _ => return Err(config.wrong(TABLE_NORM_KEY, "\"layer_norm\" or \"none\"")),
        }
    }
    Ok(normed)
}

fn convolution(config: &Object, spec: &EncoderSpec) -> Result<Option<ConvolutionSpec>, NnError> {
    let Some(taps) = positive_or_none(config, TAPS_KEY)? else {
        return Ok(None);
    };
    if taps % 2 == 0 {
        return Err(config.wrong(TAPS_KEY, "an odd number, or 0 for no convolution"));
    }
    let groups = config.size(GROUPS_KEY)?.unwrap_or(1);
    if groups == 0 || !spec.dim.is_multiple_of(groups) {
        let expected = format!("a divisor of `hidden_size`, {}", spec.dim);
        return Err(config.wrong(GROUPS_KEY, &expected));
    }
    let name = config.text(CONVOLUTION_ACTIVATION_KEY)?.unwrap_or("tanh");
    let expected = || format!("one of {}", activations::names());
    let activation = activations::named(name)
        .ok_or_else(|| config.wrong(CONVOLUTION_ACTIVATION_KEY, &expected()))?;
    let norm = spec.embeddings.norm;
    Ok(norm.map(|norm| ConvolutionSpec {
        taps,
        groups,
        activation,
        norm,
    }))
}

fn tensors(id: ParamId) -> Vec<String> {
    let own = |index: usize, name: &str| format!("encoder.layer.{index}.attention.self.{name}");
    match id {
        ParamId::EmbeddingProjection => vec!["embeddings.embed_proj".into()],
        ParamId::Distances => vec!["encoder.rel_embeddings".into()],
        ParamId::DistanceNorm => vec!["encoder.LayerNorm".into()],
        ParamId::DistanceQueries(i) => vec![own(i, "pos_query_proj")],
        ParamId::DistanceKeys(i) => vec![own(i, "pos_key_proj")],
        ParamId::Qkv(i) => ["query_proj", "key_proj", "value_proj"]
            .map(|part| own(i, part))
            .to_vec(),
        // Only the first block has one.
        ParamId::Convolution(_) => vec!["encoder.conv.conv".into()],
        ParamId::ConvolutionNorm(_) => vec!["encoder.conv.LayerNorm".into()],
        other => absolute::tensors(other),
    }
}

fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Embedding => "embedding_size",
        Axis::Distances => "2 * position_buckets, or 2 * max_relative_positions without",
        Axis::Taps => TAPS_KEY,
        other => absolute::key(other),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use matryo_ops::Activation;
    use serde_json::json;

    use super::*;

    fn read(extra: Value) -> Result<EncoderSpec, NnError> {
        let mut config = json!({
            "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
            "max_position_embeddings": 64, "relative_attention": true, "pos_att_type": "p2c|c2p",
        });
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        spec(&Object::new(Path::new("config.json"), config)?)
    }

    fn terms(value: Value) -> Result<(bool, bool, f32), NnError> {
        let spec = read(json!({"pos_att_type": value}))?;
        let attention = &spec.blocks[0].attention;
        let (queries, keys) = match attention.disentangled {
            Some(found) => (found.for_queries, found.for_keys),
            None => (false, false),
        };
        Ok((queries, keys, attention.shape.scale))
    }

    #[test]
    fn terms_and_the_scale_they_give() {
        let scale = |terms: f32| 1.0 / (16.0 * (1.0 + terms)).sqrt();
        for both in [json!("p2c|c2p"), json!("C2P | P2C"), json!(["c2p", "p2c"])] {
            assert_eq!(terms(both).unwrap(), (true, true, scale(2.0)));
        }
        assert_eq!(terms(json!("c2p")).unwrap(), (true, false, scale(1.0)));
        assert_eq!(terms(json!(["p2c"])).unwrap(), (false, true, scale(1.0)));
        for none in [json!(""), json!([]), Value::Null] {
            assert_eq!(terms(none).unwrap(), (false, false, scale(0.0)));
        }
        for wrong in [json!("p2p|c2p"), json!(["C2P"]), json!([1]), json!(3)] {
            let message = terms(wrong).unwrap_err().to_string();
            assert!(message.starts_with("`pos_att_type` is "), "{message}");
        }
        // Upstream divides by the named terms, computed or not.
        let spec = read(json!({"relative_attention": false})).unwrap();
        let attention = &spec.blocks[0].attention;
        assert_eq!(attention.disentangled, None);
        assert_eq!(attention.shape.scale, scale(2.0));
        assert_eq!(spec.dropout.distances, 0.0);
    }

    #[test]
    fn defaults_and_numbers_that_mean_none() {
        for extra in [
            json!({}),
            json!({"max_relative_positions": -1, "position_buckets": -1, "conv_kernel_size": 0, "norm_rel_ebd": "none"}),
        ] {
            let spec = read(extra).unwrap();
            let found = spec.blocks[1].attention.disentangled.unwrap();
            assert_eq!(
                (found.buckets, found.max_distance, found.span()),
                (None, 64, 64)
            );
            assert!(!found.shared && found.norm.is_none());
            assert!(spec.blocks[0].convolution.is_none());
            assert_eq!(spec.embeddings.norm.unwrap().eps, 1e-7);
            assert_eq!(
                (spec.embeddings.token_types, spec.embeddings.padding),
                (0, Some(0))
            );
            assert_eq!((spec.max_tokens, spec.usual_tokens), (64, None));
            assert_eq!(
                (spec.dropout.distances, spec.dropout.convolution),
                (0.1, 0.0)
            );
        }
    }

    #[test]
    fn buckets_and_a_normed_table() {
        let extra = json!({"position_buckets": 16, "norm_rel_ebd": "layer_norm|none", "share_att_key": true});
        let found = read(extra).unwrap().blocks[0]
            .attention
            .disentangled
            .unwrap();
        assert_eq!(
            (found.buckets, found.max_distance, found.span()),
            (Some(16), 64, 16)
        );
        assert!(found.shared && found.norm.is_some());
    }

    /// Positions end the input only where there is a table of them.
    #[test]
    fn without_a_table_of_positions_the_input_has_a_usual_length() {
        let spec = read(json!({"position_biased_input": false})).unwrap();
        assert_eq!(spec.embeddings.positions, None);
        assert_eq!((spec.max_tokens, spec.usual_tokens), (UNLIMITED, Some(64)));
    }

    #[test]
    fn a_convolution_beside_the_first_block_alone() {
        let spec = read(json!({"conv_kernel_size": 3})).unwrap();
        let found = spec.blocks[0].convolution.unwrap();
        assert_eq!((found.taps, found.groups), (3, 1));
        assert_eq!(found.activation, Activation::Tanh);
        assert_eq!(spec.blocks[1].convolution, None);
        assert_eq!(spec.dropout.convolution, 0.1);
    }

    #[test]
    fn what_is_refused_names_its_key() {
        for (key, value) in [
            ("position_buckets", json!(1)),
            // Half of them is as far as distances go.
            ("position_buckets", json!(126)),
            ("max_relative_positions", json!("far")),
            ("norm_rel_ebd", json!("batch_norm")),
            ("attention_head_size", json!(8)),
            ("conv_kernel_size", json!(4)),
            ("embedding_size", json!(0)),
        ] {
            let message = read(json!({key: value})).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{key}` is ")), "{message}");
        }
        for (key, value) in [("conv_groups", json!(3)), ("conv_act", json!("mish"))] {
            let extra = json!({"conv_kernel_size": 3, key: value});
            let message = read(extra).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{key}` is ")), "{message}");
        }
        assert!(read(json!({"position_buckets": 125})).is_ok());
    }

    #[test]
    fn widths_of_the_tables() {
        let projection = |width: usize| {
            let spec = read(json!({"embedding_size": width})).unwrap();
            (spec.embeddings.dim, spec.embeddings.projection)
        };
        assert_eq!(projection(24), (24, Some(Projection::BeforeNorm)));
        assert_eq!(projection(32), (32, None));
    }
}
