//! The settings of a run: a flat TOML file and flags over it, names as in transformers' and sentence-transformers'
//! training arguments.

mod coherence;
mod elsewhere;
mod keys;
mod kind;
mod source;
mod values;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use matryo_model::FolderLayout;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use keys::KeyInfo;
pub use kind::Kind;
pub use source::Origin;
use values::FolderLayoutWord;
pub use values::{
    Compat, LearningRates, LrScheduler, PrecisionWord, Prompts, Resume, Retain, SamplerKind,
    Strategy,
};

use crate::TrainError;

/// All settings of a training run; every field is a key of the file and a flag. Ranges are checked when it is loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // Each key is described once, in `keys.rs`.
pub struct TrainConfig {
    pub model: String,
    pub model_revision: Option<String>,
    pub train_data: PathBuf,
    pub columns: Option<Vec<String>>,
    pub ignore_columns: Vec<String>,
    pub eval_data: Option<PathBuf>,
    pub output_dir: PathBuf,
    pub overwrite_output_dir: bool,
    #[serde(with = "FolderLayoutWord")]
    pub layout: FolderLayout,
    pub loss: String,
    pub scale: f64,
    pub similarity_fct: String,
    pub matryoshka_dims: Option<Vec<usize>>,
    pub matryoshka_weights: Option<Vec<f64>>,
    pub n_dims_per_step: i64,
    pub prompts: Option<Prompts>,
    pub router_mapping: Option<BTreeMap<String, String>>,
    pub max_seq_length: Option<usize>,
    pub freeze: Vec<String>,
    pub num_train_epochs: f64,
    pub max_steps: i64,
    pub per_device_train_batch_size: usize,
    pub per_device_eval_batch_size: usize,
    pub gradient_accumulation_steps: u64,
    pub learning_rate: f64,
    pub learning_rate_mapping: Option<LearningRates>,
    pub weight_decay: f64,
    pub adam_beta1: f64,
    pub adam_beta2: f64,
    pub adam_epsilon: f64,
    pub max_grad_norm: f64,
    pub lr_scheduler_type: LrScheduler,
    pub warmup_ratio: Option<f64>,
    pub warmup_steps: f64,
    pub eval_strategy: Strategy,
    pub eval_steps: Option<f64>,
    pub eval_on_start: bool,
    pub save_strategy: Strategy,
    pub save_steps: f64,
    pub save_total_limit: Option<usize>,
    pub logging_steps: f64,
    pub logging_first_step: bool,
    pub load_best_model_at_end: bool,
    pub metric_for_best_model: Option<String>,
    pub greater_is_better: Option<bool>,
    pub batch_sampler: SamplerKind,
    pub dataloader_drop_last: bool,
    pub seed: u64,
    pub data_seed: Option<u64>,
    pub resume_from_checkpoint: Resume,
    pub compat: Compat,
    pub precision: Option<PrecisionWord>,
    pub bf16: bool,
    pub tokens_per_batch: usize,
    pub retain: Retain,
    pub model_name: Option<String>,
    pub model_id: Option<String>,
    pub language: Vec<String>,
    pub license: Option<String>,
    pub dataset_name: Option<String>,
    /// Keys of upstream that were given the value they have here anyway.
    #[serde(skip)]
    pub without_effect: Vec<String>,
}

impl TrainConfig {
    /// The task of a column's texts, by which a model with routes chooses theirs.
    pub fn task_of(&self, column: &str) -> Option<&str> {
        let mapping = self.router_mapping.as_ref()?;
        mapping.get(column).map(String::as_str)
    }

    /// Reads the file, lays the flags over it, fills in the defaults and checks everything that can be checked without
    /// data or model. Flags are (key, value) with lists as `768,512` or in TOML.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML; an unknown key; a key of upstream that matryo does not have; a value of
    /// the wrong type or out of range; settings that contradict each other.
    pub fn load(path: Option<&Path>, overrides: &[(String, String)]) -> Result<Self, TrainError> {
        let mut given = source::Given::default();
        if let Some(path) = path {
            given.read_file(path)?;
        }
        given.lay_over(overrides)?;
        let without_effect = elsewhere::take_harmless(&mut given)?;
        let mut config = given.into_config()?;
        config.without_effect = without_effect;
        config.join_precisions()?;
        config.check_coherence()?;
        Ok(config)
    }

    /// Every key, in the order to show.
    pub fn keys() -> &'static [KeyInfo] {
        keys::KEYS
    }

    /// Every setting: its key, its value, and whether that is the default.
    pub fn settings(&self) -> Vec<(&'static str, Value, bool)> {
        let value = serde_json::to_value(self).expect("a configuration is plain data");
        let setting = |key: &KeyInfo| {
            let value = value[key.name].clone();
            let is_default = value == key.default_value();
            (
                key.name,
                if is_default { value } else { as_written(value) },
                is_default,
            )
        };
        Self::keys().iter().map(setting).collect()
    }
}

/// A whole number that was set is shown as one, since that is how everybody writes `num_train_epochs = 4`.
fn as_written(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => Value::from(number as i64),
        _ => value,
    }
}
