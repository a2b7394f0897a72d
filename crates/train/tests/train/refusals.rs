//! What cannot work is refused before anything is trained or written.

use std::path::Path;

use crate::support::{self, Recorder, recipe, set, try_train};
use matryo_train::TrainError;

/// The error of the recipe with these changes; nothing may have been written.
fn refused(changes: &[(&str, &str)]) -> TrainError {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    let mut flags = recipe(&output);
    for (key, value) in changes {
        set(&mut flags, key, value);
    }
    let mut recorder = Recorder::default();
    let error = try_train(&flags, &mut recorder).expect_err("a refused run");
    assert!(!output.exists(), "nothing is written");
    assert!(recorder.steps.is_empty());
    error
}

fn message(changes: &[(&str, &str)]) -> String {
    refused(changes).to_string()
}

#[test]
fn dimensions_beyond_the_model() {
    let text = message(&[("matryoshka_dims", "64,32")]);
    assert_eq!(
        text,
        "`matryoshka_dims` names 64, but the model's embeddings have 32 values"
    );
}

#[test]
fn columns_that_do_not_fit() {
    assert!(message(&[("columns", "positive,question")]).contains("question"));
    let text = message(&[("columns", "positive"), ("ignore_columns", "anchor")]);
    assert!(
        text.contains("the data has 1 column (positive), but MatryoshkaLoss takes 2 or more"),
        "{text}"
    );
    let text = message(&[("prompts", "{ anker = \"query: \" }")]);
    assert_eq!(
        text,
        "`prompts` names column `anker`, found positive, anchor"
    );
    let text = message(&[("router_mapping", "{ anker = \"query\" }")]);
    assert_eq!(
        text,
        "`router_mapping` names column `anker`, found positive, anchor"
    );
}

#[test]
fn routes_that_do_not_fit() {
    let mapping = "{ anchor = \"query\", positive = \"document\" }";
    let error = refused(&[("router_mapping", mapping)]);
    assert_eq!(error.to_string(), "no route for the task `document`");
    assert!(error.hint().unwrap().contains("the model has no routes"));
    let mut goldens = matryo_testkit::FamilyGolden::of_modules().into_iter();
    let golden = goldens.find(|golden| golden.name == "static-query");
    let model = &*golden.unwrap().model().display().to_string();
    let dims = ("matryoshka_dims", "24,16");
    let error = refused(&[("model", model), dims]);
    assert_eq!(
        error.to_string(),
        "the model has the routes query and document, and `router_mapping` does not say which column takes which"
    );
    assert_eq!(
        error.hint().unwrap(),
        "for example router_mapping = { positive = \"query\", anchor = \"document\" }"
    );
    let other = "{ anchor = \"question\", positive = \"document\" }";
    let error = refused(&[
        ("model", model),
        dims,
        ("router_mapping", other),
        ("metric_for_best_model", "dim_16_cosine_ndcg@10"),
    ]);
    assert_eq!(error.to_string(), "no route for the task `question`");
    assert!(error.hint().unwrap().contains("query and document"));
}

#[test]
fn learning_rates_that_no_parameter_takes() {
    let error = refused(&[("learning_rate_mapping", r"{ 'layers\.1\.' = 1e-3 }")]);
    assert_eq!(
        error.to_string(),
        r"`learning_rate_mapping` has the pattern `layers\.1\.`, which no parameter's name matches"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.starts_with("the nearest names are model.0.model.encoder.layer."),
        "{hint}"
    );
    let text = message(&[("learning_rate_mapping", "{ encoder = -1.0 }")]);
    assert!(
        text.contains("a table of \"pattern\" = learning rate"),
        "{text}"
    );
}

#[test]
fn metrics_that_nothing_gives() {
    let error = refused(&[("metric_for_best_model", "dim_64_cosine_ndcg@10")]);
    assert_eq!(
        error.to_string(),
        "`metric_for_best_model` is `dim_64_cosine_ndcg@10`, which no evaluation gives"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("dim_8_cosine_ndcg@10") && hint.contains("sequential_score"),
        "{hint}"
    );
}

#[test]
fn files_that_are_not_there() {
    assert!(message(&[("train_data", "/nowhere/train.jsonl")]).contains("/nowhere/train.jsonl"));
    assert!(message(&[("eval_data", "/nowhere/eval")]).contains("/nowhere/eval"));
    assert!(message(&[("model", "/nowhere/model")]).contains("/nowhere/model"));
    let text = message(&[("resume_from_checkpoint", "/nowhere/checkpoint-1")]);
    assert!(text.contains("/nowhere/checkpoint-1"), "{text}");
}

#[test]
fn batches_that_never_fill() {
    let text = message(&[
        ("per_device_train_batch_size", "500"),
        ("dataloader_drop_last", "true"),
    ]);
    assert!(text.contains("196 rows do not fill one of 500"), "{text}");
}

#[test]
fn losses_and_lengths_that_do_not_exist() {
    assert_eq!(
        message(&[("loss", "MultipleNegativeRankingLoss")]),
        "unknown loss `MultipleNegativeRankingLoss`"
    );
    assert!(message(&[("max_seq_length", "1000")]).contains("1000"));
    assert!(message(&[("freeze", "encoder.layer.7.*")]).contains("encoder.layer.7.*"));
}

#[test]
fn an_output_folder_with_something_in_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "precious").unwrap();
    let mut flags = recipe(dir.path());
    let error = try_train(&flags, &mut Recorder::default()).expect_err("a folder in use");
    assert!(
        matches!(error, TrainError::OutputNotEmpty { .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("overwrite_output_dir"));
    assert_eq!(files(dir.path()), ["thesis.txt"]);
    set(&mut flags, "overwrite_output_dir", "true");
    set(&mut flags, "num_train_epochs", "1");
    try_train(&flags, &mut Recorder::default()).unwrap();
    assert_eq!(
        std::fs::read_to_string(dir.path().join("thesis.txt")).unwrap(),
        "precious"
    );
}

fn files(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A rate that no model survives must end the run with the step, not with a folder of NaN.
#[test]
fn a_diverged_run() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    let mut flags = support::short_run(&output);
    set(&mut flags, "learning_rate", "1e38");
    set(&mut flags, "gradient_accumulation_steps", "1");
    let error = try_train(&flags, &mut Recorder::default()).expect_err("a diverged run");
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    assert!(!output.join("model.safetensors").exists());
}
