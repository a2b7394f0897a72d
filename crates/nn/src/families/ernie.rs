//! ERNIE 2 and 3 (Sun et al. 2019, 2021), as `ErnieConfig` and `ErnieModel` of transformers have them: BERT, possibly with a
//! table of task types of which a text without a task reads the first row.

use super::{Axis, Family, absolute, nothing_to_add};
use crate::{EncoderSpec, NnError, Numbering, config::Object};

pub(super) static FAMILY: Family = Family {
    model_types: &["ernie"],
    spec,
    tensors: absolute::tensors,
    prefix: "ernie.",
    tied_words: &["cls.predictions.decoder.weight"],
    key: absolute::key,
    complete: nothing_to_add,
};

const DEFAULT_TASKS: usize = 3;

fn spec(config: &Object) -> Result<EncoderSpec, NnError> {
    let mut spec = absolute::spec(config, &absolute::KEYS, &absolute::DEFAULTS, |_| {
        Numbering::FromZero
    })?;
    if config.flag("use_task_id")? == Some(true) {
        let rows = absolute::key(Axis::TaskTypes);
        spec.embeddings.task_types = match config.get(rows) {
            Some(_) => config.positive(rows)?,
            None => DEFAULT_TASKS,
        };
    }
    Ok(spec)
}
