//! RoBERTa (Liu et al. 2019), CamemBERT and XLM-RoBERTa (Conneau et al. 2019), as `RobertaModel`, `CamembertModel` and
//! `XLMRobertaModel` of transformers have them: positions are counted from the padding token's id on. They differ in their
//! tokenizers.

use super::{Family, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, config::Object};

pub(super) static FAMILY: Family = Family {
    model_types: &["xlm-roberta", "roberta", "camembert"],
    spec,
    tensors: absolute::tensors,
    prefix: "roberta.",
    tied_words: &["lm_head.decoder.weight"],
    key: absolute::key,
    complete: nothing_to_add,
};

const DEFAULTS: absolute::Defaults = absolute::Defaults {
    padding: 1,
    ..absolute::DEFAULTS
};

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    // The class cannot count without a padding token, so config.json must have one.
    if config.has("pad_token_id") && config.get("pad_token_id").is_none() {
        return Err(config.wrong(
            "pad_token_id",
            "a token id, from which positions are counted",
        ));
    }
    absolute::spec(config, &absolute::KEYS, &DEFAULTS, |padding| {
        Numbering::AfterPadding(padding.unwrap_or(DEFAULTS.padding))
    })
}
