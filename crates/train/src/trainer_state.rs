//! trainer_state.json as transformers writes it: readers of training logs know this file.

use std::{io::Write, path::Path};

use matryo_base::{FileError, write_file};
use serde_json::{Map, Value, json};

use crate::{
    accumulation::Length,
    config::{Compat, TrainConfig},
    intervals::Intervals,
    progress::Progress,
};

/// The file's name.
pub(crate) const FILE: &str = "trainer_state.json";

/// The part of a run that the file tells.
pub(crate) struct TrainerState<'a> {
    pub config: &'a TrainConfig,
    pub length: Length,
    pub intervals: &'a Intervals,
    pub progress: &'a Progress,
    /// Whether all steps are done.
    pub finished: bool,
}

impl TrainerState<'_> {
    /// Writes the file into `folder`, which is being built.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let text = self.to_json();
        write_file(&folder.join(FILE), |file| file.write_all(text.as_bytes()))
    }

    /// Indented by 2, keys sorted at every level, a newline at the end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&sorted(self.value())).expect("plain JSON");
        text.push('\n');
        text
    }

    fn value(&self) -> Value {
        let progress = self.progress;
        let checkpoint = |step| {
            self.config
                .output_dir
                .join(format!("checkpoint-{step}"))
                .display()
                .to_string()
        };
        let mut state = json!({
            "best_metric": progress.best.value,
            "best_model_checkpoint": progress.best.checkpoint.map(checkpoint),
            "epoch": progress.epochs_done,
            "eval_steps": self.intervals.eval,
            "global_step": progress.step,
            "is_hyper_param_search": false,
            "is_local_process_zero": true,
            "is_world_process_zero": true,
            "log_history": progress.log,
            "logging_steps": self.intervals.logging,
            "max_steps": self.length.steps,
            "num_input_tokens_seen": 0,
            "num_train_epochs": self.length.epochs,
            "save_steps": self.intervals.save,
            "stateful_callbacks": { "TrainerControl": { "args": self.control(), "attributes": {} } },
            "total_flos": 0.0,
            "train_batch_size": self.config.per_device_train_batch_size,
            "trial_name": null,
            "trial_params": null,
        });
        if self.config.compat == Compat::Current {
            state["best_global_step"] = json!(progress.best.step);
        }
        state
    }

    fn control(&self) -> Value {
        json!({
            "should_epoch_stop": false,
            "should_evaluate": false,
            "should_log": false,
            "should_save": true,
            "should_training_stop": self.finished,
        })
    }
}

/// The same with the keys of every object in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Map::from_iter(pairs))
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_transformers() {
        let flags = [
            ("model", "m"),
            ("train_data", "t"),
            ("output_dir", "out"),
            ("compat", "3.0"),
        ];
        let flags: Vec<_> = flags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let config = TrainConfig::load(None, &flags).unwrap();
        let length = Length {
            steps: 4,
            epochs: 4,
        };
        let mut progress = Progress {
            step: 4,
            epochs_done: 3.0,
            ..Progress::default()
        };
        progress.best.checkpoint = Some(2);
        let intervals = Intervals::new(&config, 4);
        let state = TrainerState {
            config: &config,
            length,
            intervals: &intervals,
            progress: &progress,
            finished: true,
        };
        let found: Value = serde_json::from_str(&state.to_json()).unwrap();
        let keys: Vec<_> = found
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        // The keys of a file that transformers 4.42.3 wrote.
        let expected = "best_metric best_model_checkpoint epoch eval_steps global_step is_hyper_param_search \
                        is_local_process_zero is_world_process_zero log_history logging_steps max_steps \
                        num_input_tokens_seen num_train_epochs save_steps stateful_callbacks total_flos \
                        train_batch_size trial_name trial_params";
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(found["best_model_checkpoint"], "out/checkpoint-2");
        assert_eq!(
            found["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"],
            true
        );
    }
}
