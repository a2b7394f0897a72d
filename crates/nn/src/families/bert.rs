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

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    absolute::spec(config, &absolute::KEYS, &absolute::DEFAULTS, |_| {
        Numbering::FromZero
    })
}
