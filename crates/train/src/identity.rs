//! What must be the same for a run to be resumed: another value would make another model.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{TrainConfig, TrainError};

/// Settings that the weights depend on. `retain`, threads, and everything about evaluating, saving and logging may change.
const SETTINGS: [&str; 35] = [
    "columns",
    "ignore_columns",
    "loss",
    "scale",
    "similarity_fct",
    "matryoshka_dims",
    "matryoshka_weights",
    "n_dims_per_step",
    "prompts",
    "router_mapping",
    "max_seq_length",
    "freeze",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "learning_rate_mapping",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "lr_scheduler_type",
    "warmup_ratio",
    "warmup_steps",
    "batch_sampler",
    "dataloader_drop_last",
    "seed",
    "data_seed",
    "compat",
    "precision",
    "tokens_per_batch",
    "load_best_model_at_end",
    "metric_for_best_model",
];

/// The identity of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Values of [`SETTINGS`].
    settings: BTreeMap<String, Value>,
    /// SHA-256 of the base model's weights.
    pub model: String,
    /// SHA-256 of the columns that are trained on.
    pub data: String,
}

impl Identity {
    pub fn new(config: &TrainConfig, model: String, data: String) -> Self {
        let value = serde_json::to_value(config).expect("a configuration is plain data");
        let settings = SETTINGS
            .iter()
            .map(|&key| (key.to_owned(), value[key].clone()))
            .collect();
        Self {
            settings,
            model,
            data,
        }
    }

    /// Compares with the identity of `checkpoint`.
    pub fn check(&self, found: &Self, checkpoint: &Path) -> Result<(), TrainError> {
        let differ = |what: &str, found: &str, expected: &str| TrainError::OtherRun {
            what: what.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
            checkpoint: checkpoint.to_owned(),
        };
        if self.model != found.model {
            return Err(differ(
                "the base model's SHA-256",
                &found.model,
                &self.model,
            ));
        }
        if self.data != found.data {
            return Err(differ(
                "the training data's SHA-256",
                &found.data,
                &self.data,
            ));
        }
        for (key, value) in &self.settings {
            let other = found.settings.get(key).unwrap_or(&Value::Null);
            // As text, since the order of a table may matter.
            let [other, value] = [other, value].map(ToString::to_string);
            if other != value {
                return Err(differ(&format!("`{key}`"), &other, &value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(flags: &[(&str, &str)]) -> Identity {
        let base = [("model", "m"), ("train_data", "t"), ("output_dir", "o")];
        let flags: Vec<_> = base
            .iter()
            .chain(flags)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Identity::new(
            &TrainConfig::load(None, &flags).unwrap(),
            "a".into(),
            "b".into(),
        )
    }

    #[test]
    fn every_setting_exists() {
        let known: Vec<_> = TrainConfig::keys().iter().map(|key| key.name).collect();
        assert!(SETTINGS.iter().all(|key| known.contains(key)));
    }

    #[test]
    fn what_differs_is_named() {
        let path = Path::new("out/checkpoint-3");
        let (old, new) = (identity(&[]), identity(&[("learning_rate", "1e-3")]));
        let message = new.check(&old, path).expect_err("another run").to_string();
        assert_eq!(
            message,
            "`learning_rate` was 0.00005, now it is 0.001\n  in out/checkpoint-3"
        );
        identity(&[("retain", "0"), ("save_steps", "3")])
            .check(&old, path)
            .expect("the same run");
        // The last pattern that matches counts.
        let [rates, turned] = [r#"{ "a" = 0.1, "b" = 1.0 }"#, r#"{ "b" = 1.0, "a" = 0.1 }"#]
            .map(|mapping| identity(&[("learning_rate_mapping", mapping)]));
        rates.check(&rates, path).expect("the same run");
        rates.check(&turned, path).expect_err("other rates");
        let other = Identity {
            data: "c".into(),
            ..identity(&[])
        };
        assert!(
            other
                .check(&old, path)
                .expect_err("other data")
                .to_string()
                .starts_with("the training data's")
        );
    }
}
