//! BERT (Devlin et al. 2018), as `BertConfig` and `BertModel` of transformers have it.

use super::{Family, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, config::Object};

pub(super) static FAMILY: Family = Family {
    model_types: &["bert"],
    spec,
    tensors: absolute::tensors,
    prefix: "bert.",
    tied_words: &["cls.predictions.decoder.weight"],
    key: absolute::key,
    complete: nothing_to_add,
};

const DEFAULTS: absolute::Defaults = absolute::Defaults {
    norm_eps: 1e-12,
    token_types: 2,
    padding: 0,
    dropout: 0.1,
};

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    absolute::spec(config, &absolute::KEYS, &DEFAULTS, |_| Numbering::FromZero)
}
