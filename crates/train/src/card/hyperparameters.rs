//! View of "Training Hyperparameters": names and values as a published card lists them.

use minijinja::{Value, context};

use super::{CardData, Compat, Hyperparameter, markdown::inline, python};

/// Settings that say where things lie or what is shown, not how training goes; upstream leaves out the same kind
/// (`ignore_keys` in sentence_transformers/base/model_card.py).
const NOT_SHOWN: [&str; 23] = [
    "model",
    "model_revision",
    "train_data",
    "columns",
    "ignore_columns",
    "eval_data",
    "output_dir",
    "overwrite_output_dir",
    "layout",
    "logging_steps",
    "logging_first_step",
    "eval_steps",
    "save_strategy",
    "save_steps",
    "save_total_limit",
    "metric_for_best_model",
    "greater_is_better",
    "model_name",
    "model_id",
    "language",
    "license",
    "dataset_name",
    "compat",
];

/// `None` for a model that was not trained here.
pub(super) fn hyperparameters(card: &CardData) -> Option<Value> {
    let training = card.training.as_ref()?;
    let shown: Vec<&Hyperparameter> = training
        .hyperparameters
        .iter()
        .filter(|h| is_shown(&h.name, card.compat))
        .collect();
    let item = |h: &&Hyperparameter| context! { name => &h.name, value => inline(&python::value_str(&h.value)) };
    Some(context! {
        non_default => shown.iter().filter(|h| !h.is_default).map(item).collect::<Vec<_>>(),
        all => shown.iter().map(item).collect::<Vec<_>>(),
    })
}

/// 3.0 lists `eval_strategy`, 5.7 does not.
fn is_shown(name: &str, compat: Compat) -> bool {
    !NOT_SHOWN.contains(&name) && (name != "eval_strategy" || compat == Compat::V3_0)
}
