//! A run that is stopped anywhere and goes on ends with the same bits.

use std::path::Path;

use crate::support::{self, Flags, Recorder, recipe, set, train, try_train, weights_sha256};
use matryo_train::TrainError;
use serde_json::Value;

/// Steps after micro-batches 2, 4, 6, 7, ... (5.7) or 2, 4, 6, 8, ... (3.0, across the ends of epochs).
fn flags(output: &Path, compat: &str, strategy: &str) -> Flags {
    let mut flags = recipe(output);
    set(&mut flags, "gradient_accumulation_steps", "2");
    set(&mut flags, "num_train_epochs", "2");
    set(&mut flags, "compat", compat);
    set(&mut flags, "eval_strategy", strategy);
    set(&mut flags, "save_strategy", strategy);
    set(&mut flags, "logging_steps", "2");
    set(&mut flags, "save_total_limit", "2");
    flags
}

/// Stops after step `stop`, then goes on to the end.
fn interrupted(mut flags: Flags, stop: u64) -> Recorder {
    let mut recorder = Recorder {
        stop_after: Some(stop),
        ..Recorder::default()
    };
    let stopped = try_train(&flags, &mut recorder);
    assert!(matches!(stopped, Err(TrainError::Stopped { step }) if step == stop));
    set(&mut flags, "resume_from_checkpoint", "true");
    train(&flags).1
}

/// The log without what depends on the clock.
fn timeless_log(output: &Path) -> Vec<Value> {
    let mut state = matryo_testkit::read_json(output.join("trainer_state.json"));
    let log = state["log_history"].as_array_mut().unwrap();
    for entry in log.iter_mut() {
        entry
            .as_object_mut()
            .unwrap()
            .retain(|key, _| !key.ends_with("_runtime") && !key.ends_with("_per_second"));
    }
    log.clone()
}

fn csv(output: &Path) -> String {
    std::fs::read_to_string(output.join("eval/Information-Retrieval_evaluation_dim_8_results.csv"))
        .unwrap()
}

fn check_every_stop(compat: &str, strategy: &str, interval: &str) {
    let dir = tempfile::tempdir().unwrap();
    let with_interval = |output: &Path| {
        let mut flags = flags(output, compat, strategy);
        set(&mut flags, "eval_steps", interval);
        set(&mut flags, "save_steps", interval);
        flags
    };
    let whole = dir.path().join("whole");
    let (outcome, _) = train(&with_interval(&whole));
    for stop in 1..outcome.steps {
        let output = dir.path().join(format!("stopped-{stop}"));
        let recorder = interrupted(with_interval(&output), stop);
        let what = format!("{compat}, {strategy}, stopped after step {stop}");
        assert_eq!(weights_sha256(&output), weights_sha256(&whole), "{what}");
        assert_eq!(timeless_log(&output), timeless_log(&whole), "{what}");
        assert_eq!(csv(&output), csv(&whole), "{what}");
        assert_eq!(
            recorder.steps.last().map(|step| step.step),
            Some(outcome.steps),
            "{what}"
        );
    }
}

#[test]
fn from_a_checkpoint_at_every_step() {
    check_every_stop("5.7", "steps", "1");
}

#[test]
fn from_a_checkpoint_at_every_third_step() {
    check_every_stop("5.7", "steps", "3");
}

/// The first epoch of 3.0 ends between two steps: the gradient of one micro-batch waits in the checkpoint.
#[test]
fn with_gradients_that_wait() {
    check_every_stop("3.0", "epoch", "1");
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    train(&flags(&output, "3.0", "epoch"));
    let moments =
        matryo_testkit::read_safetensors(output.join("checkpoint-3/optimizer.safetensors"));
    assert!(
        moments.keys().any(|name| name.starts_with("grad.0.")),
        "waiting gradients"
    );
}

#[test]
fn nothing_to_go_on_from_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let mut flags = support::short_run(&dir.path().join("model"));
    set(&mut flags, "max_steps", "1");
    set(&mut flags, "resume_from_checkpoint", "true");
    let (_, recorder) = train(&flags);
    assert!(
        recorder
            .warnings
            .iter()
            .any(|text| text.starts_with("no checkpoint in")),
        "{:?}",
        recorder.warnings
    );
}

#[test]
fn another_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    let flags = flags(&output, "5.7", "epoch");
    train(&flags);
    let before = weights_sha256(&output);
    let refused = |key: &str, value: &str| {
        let mut flags = flags.clone();
        set(&mut flags, "resume_from_checkpoint", "true");
        set(&mut flags, key, value);
        try_train(&flags, &mut Recorder::default())
            .expect_err("another run")
            .to_string()
    };
    assert!(
        refused("learning_rate", "1e-4")
            .starts_with("`learning_rate` was 0.001, now it is 0.0001\n  in ")
    );
    assert!(refused("columns", "anchor,positive").starts_with("the training data's SHA-256 was "));
    assert!(
        refused("tokens_per_batch", "100")
            .starts_with("`tokens_per_batch` was 2048, now it is 100\n")
    );
    assert_eq!(weights_sha256(&output), before);
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    let mut flags = flags(&output, "5.7", "epoch");
    train(&flags);
    set(&mut flags, "resume_from_checkpoint", "true");
    let last = output.join("checkpoint-8");
    let resume = || {
        try_train(&flags, &mut Recorder::default())
            .expect_err("a damaged checkpoint")
            .to_string()
    };
    std::fs::write(last.join("optimizer.safetensors"), b"short").unwrap();
    let message = resume();
    assert!(
        message.contains("checkpoint-8/optimizer.safetensors") && message.contains("5 bytes"),
        "{message}"
    );
    std::fs::write(last.join("matryo_state.json"), "{\"format\": 99}").unwrap();
    assert!(resume().starts_with("the checkpoint has format 99, expected 1\n  in "));
    std::fs::write(last.join("matryo_state.json"), "{").unwrap();
    assert!(resume().starts_with("not the state of a training run"));
}
