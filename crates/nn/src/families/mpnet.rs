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
    norm_eps: 1e-12,
    token_types: 0,
    padding: PADDING,
    dropout: 0.1,
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
