//! ELECTRA (Clark et al. 2020), as `ElectraConfig` and `ElectraModel` of transformers have it: BERT with tables of a width of
//! their own, and a linear layer behind them where it is not that of the hidden states.

use super::{Axis, Family, ParamId, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, Projection, config::Object};

pub(super) static FAMILY: Family = Family {
    model_types: &["electra"],
    spec,
    tensors,
    prefix: "electra.",
    tied_words: &["generator_lm_head.weight"],
    key,
    complete: nothing_to_add,
};

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let mut spec = absolute::spec(config, &absolute::KEYS, &absolute::DEFAULTS, |_| {
        Numbering::FromZero
    })?;
    spec.embeddings.dim = absolute::table_width(config, key(Axis::Embedding))?;
    spec.embeddings.projection = (spec.embeddings.dim != spec.dim).then_some(Projection::AfterNorm);
    Ok(spec)
}

fn tensors(id: ParamId) -> Vec<String> {
    match id {
        ParamId::EmbeddingProjection => vec!["embeddings_project".into()],
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

    use serde_json::{Value, json};

    use super::*;

    /// Widths of the tables and of the hidden states, and whether there is a projection.
    fn widths(embedding_size: Value) -> Result<(usize, usize, bool), NnError> {
        let config = json!({
            "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 48, "max_position_embeddings": 64, "embedding_size": embedding_size,
        });
        let spec = spec(&Object::new(Path::new("config.json"), config)?)?;
        Ok((
            spec.embeddings.dim,
            spec.dim,
            spec.embeddings.projection.is_some(),
        ))
    }

    #[test]
    fn tables_have_a_width_of_their_own() {
        assert_eq!(widths(json!(24)).unwrap(), (24, 32, true));
        assert_eq!(widths(json!(32)).unwrap(), (32, 32, false));
        assert_eq!(widths(Value::Null).unwrap(), (128, 32, true));
        let message = widths(json!(0)).unwrap_err().to_string();
        assert!(message.starts_with("`embedding_size` is "), "{message}");
    }
}
