//! MPNet (Song et al. 2020), as `MPNetConfig` and `MPNetModel` of transformers have it: RoBERTa's positions, no token types, and
//! scores with a bias by distance.

use super::{Axis, Family, ParamId, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, RelativeSpec, config::Object};

pub(super) static FAMILY: Family = Family {
    model_types: &["mpnet"],
    spec,
    tensors,
    prefix: "mpnet.",
    tied_words: &["lm_head.decoder.weight"],
    key,
    complete: nothing_to_add,
};

const DEFAULTS: absolute::Defaults = absolute::Defaults {
    token_types: 0,
    padding: PADDING,
    ..absolute::DEFAULTS
};

/// The class counts from this token on, whatever config.json says.
const PADDING: u32 = 1;

/// What the class divides distances by, whatever the number of rows in its table.
const BUCKETS: usize = 32;
const MAX_DISTANCE: usize = 128;

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let counted = |_| Numbering::AfterPadding(PADDING);
    let mut spec = absolute::spec(config, &absolute::KEYS, &DEFAULTS, counted)?;
    spec.embeddings.padding = Some(PADDING);
    let key = key(Axis::Distances);
    let rows = config.size(key)?.unwrap_or(BUCKETS);
    if rows < BUCKETS {
        return Err(config.wrong(key, &format!("at least {BUCKETS}")));
    }
    for block in &mut spec.blocks {
        block.attention.relative = Some(RelativeSpec {
            rows,
            buckets: BUCKETS,
            max_distance: MAX_DISTANCE,
        });
    }
    Ok(spec)
}

fn tensors(id: ParamId) -> Vec<String> {
    let layer = |index: usize, name: &str| format!("encoder.layer.{index}.attention.{name}");
    match id {
        ParamId::RelativeBias => vec!["encoder.relative_attention_bias".into()],
        ParamId::Qkv(i) => ["q", "k", "v"]
            .map(|part| layer(i, &format!("attn.{part}")))
            .to_vec(),
        ParamId::AttentionOut(i) => vec![layer(i, "attn.o")],
        ParamId::AttentionNorm(i) => vec![layer(i, "LayerNorm")],
        other => absolute::tensors(other),
    }
}

fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Distances => "relative_attention_num_buckets",
        other => absolute::key(other),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn read(key: &str, value: Value) -> Result<EncoderSpec, NnError> {
        let mut config = json!({
            "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 48, "hidden_act": "gelu", "max_position_embeddings": 64,
        });
        config[key] = value;
        spec(&Object::new(Path::new("config.json"), config)?)
    }

    #[test]
    fn positions_are_counted_from_one_whatever_the_padding_token() {
        for padding in [json!(0), json!(1), json!(5), Value::Null] {
            let spec = read("pad_token_id", padding).unwrap();
            let positions = spec.embeddings.positions.unwrap();
            assert_eq!(positions.numbering, Numbering::AfterPadding(1));
            assert_eq!((spec.max_tokens, spec.embeddings.padding), (62, Some(1)));
        }
    }

    #[test]
    fn the_table_may_have_more_rows_than_there_are_buckets() {
        let rows = |rows: usize| {
            let spec = read("relative_attention_num_buckets", json!(rows));
            spec.map(|spec| spec.blocks[0].attention.relative.unwrap())
        };
        let found = rows(40).unwrap();
        assert_eq!((found.rows, found.buckets), (40, 32));
        let message = rows(31).unwrap_err().to_string();
        assert!(
            message.contains("`relative_attention_num_buckets` is 31"),
            "{message}"
        );
    }
}
