//! Training on labelled pairs: as sentence-transformers does it, and what is said about labels that do not fit.

use std::path::Path;

use crate::support::{Flags, Recorder, flags, golden, set, train, try_train};
use matryo_model::SentenceEncoder;
use matryo_testkit::{Tolerance, assert_close, assert_value, read_json};
use serde_json::Value;

/// The run that golden/labels/make.py made in Python.
fn labelled(output_dir: &Path) -> Flags {
    let mut flags = flags(&[
        ("loss", "CosineSimilarityLoss"),
        ("num_train_epochs", "2"),
        ("per_device_train_batch_size", "6"),
        ("learning_rate", "1e-3"),
        ("save_strategy", "no"),
    ]);
    set(
        &mut flags,
        "model",
        &matryo_testkit::tiny_bert().display().to_string(),
    );
    set(
        &mut flags,
        "train_data",
        &golden("labels/train.jsonl").display().to_string(),
    );
    set(&mut flags, "output_dir", &output_dir.display().to_string());
    flags
}

fn floats(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

#[test]
fn losses_and_embeddings_follow_upstream() {
    let dir = tempfile::tempdir().unwrap();
    let trace = read_json(golden("labels/trace.json"));
    let rows = std::fs::read_to_string(golden("labels/train.jsonl")).unwrap();
    let labels: Vec<f64> = rows
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["score"]
                .as_f64()
                .unwrap()
        })
        .collect();
    let (outcome, recorder) = train(&labelled(dir.path()));
    let batches = trace["batches"].as_array().unwrap();
    assert_eq!(recorder.batches.len(), batches.len());
    for (i, ((rows, loss, _), expected)) in recorder.batches.iter().zip(batches).enumerate() {
        let found: Vec<f64> = rows.iter().map(|&row| labels[row as usize]).collect();
        assert_close(
            &found,
            &floats(&expected["labels"]),
            Tolerance::Absolute(1e-6),
            &format!("labels of batch {i}"),
        );
        let what = format!("loss of batch {i}");
        assert_value(
            *loss,
            expected["loss"].as_f64().unwrap(),
            Tolerance::Absolute(1e-4),
            &what,
        );
    }
    assert!(recorder.warnings.is_empty(), "{:?}", recorder.warnings);
    let model = SentenceEncoder::open(&outcome.output_dir).unwrap();
    let texts: Vec<&str> = trace["texts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    let expected: Vec<f64> = trace["embeddings"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(floats)
        .collect();
    let found = model.encode(&texts).unwrap();
    assert_close(
        found.data(),
        &expected,
        Tolerance::Absolute(2e-3),
        "embeddings after training",
    );
}

#[test]
fn labels_are_asked_for_and_told_where_nobody_uses_them() {
    let dir = tempfile::tempdir().unwrap();
    let unlabelled = dir.path().join("pairs.jsonl");
    std::fs::write(&unlabelled, "{\"a\": \"x\", \"b\": \"y\"}\n").unwrap();
    let mut flags = labelled(&dir.path().join("out"));
    set(&mut flags, "train_data", &unlabelled.display().to_string());
    let error = try_train(&flags, &mut Recorder::default()).expect_err("no labels");
    assert!(
        error
            .to_string()
            .starts_with("CosineSimilarityLoss needs a label for each row, found only a, b\n  in ")
    );
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("a column of numbers called label"),
        "{error}"
    );

    let mut flags = labelled(&dir.path().join("out"));
    set(&mut flags, "loss", "MultipleNegativesRankingLoss");
    set(&mut flags, "max_steps", "1");
    let warnings = train(&flags).1.warnings;
    let unused = "column `score` holds labels, which MultipleNegativesRankingLoss does not use";
    assert!(
        warnings.iter().any(|warning| warning == unused),
        "{warnings:?}"
    );
}
