//! `matryo eval`: the metrics of Python at every dimension.

use std::fs;

use serde_json::Value;

use crate::common::{finance, golden, model, run};

/// Equal to the digits that a different order of additions leaves.
fn assert_metrics(found: &Value, expected: &Value) {
    for (dim, metrics) in expected.as_object().unwrap() {
        let found = found[dim]
            .as_object()
            .unwrap_or_else(|| panic!("no {dim} in {found}"));
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            metrics.as_object().unwrap().keys().collect::<Vec<_>>()
        );
        for (key, value) in found {
            let (value, expected) = (value.as_f64().unwrap(), metrics[key].as_f64().unwrap());
            assert!(
                (value - expected).abs() < 5e-5,
                "{dim} {key}: {value}, expected {expected}"
            );
        }
    }
}

#[test]
fn metrics_are_those_of_sentence_transformers() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved) = (finance("reference/eval"), dir.path().join("metrics.json"));
    let arguments = [
        "eval",
        &model(),
        "--data",
        &data,
        "--dims",
        "32,8",
        "--json",
    ];
    let found = run(&[&arguments[..], &["--save", saved.to_str().unwrap()]].concat()).json();
    assert_metrics(&found, &golden()["eval"]);
    assert_eq!(
        serde_json::from_slice::<Value>(&fs::read(saved).unwrap()).unwrap(),
        found
    );
}

#[test]
fn without_dims_the_own_width_is_measured() {
    let found = run(&[
        "eval",
        &model(),
        "--data",
        &finance("reference/eval"),
        "--json",
    ])
    .json();
    assert_eq!(
        found.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["dim_32"]
    );
    assert_metrics(
        &found,
        &serde_json::json!({"dim_32": golden()["eval"]["dim_32"]}),
    );
}

#[test]
fn the_table_has_a_row_per_dimension_and_both_models() {
    let data = finance("reference/eval");
    let table = run(&[
        "eval",
        &model(),
        "--data",
        &data,
        "--dims",
        "32,8",
        "--score",
        "cosine,dot",
    ])
    .ok();
    for row in ["32 cosine", "32 dot", "8 cosine", "8 dot"] {
        assert!(
            table.lines().any(|line| line.trim_start().starts_with(row)),
            "no {row} in\n{table}"
        );
    }
    let table = run(&["eval", &model(), "--data", &data, "--baseline", &model()]).ok();
    let ndcg = golden()["eval"]["dim_32"]["cosine_ndcg@10"]
        .as_f64()
        .unwrap();
    assert!(table.contains(&format!("{ndcg:.4} → {ndcg:.4}")), "{table}");
}

#[test]
fn csv_files_are_upstreams() {
    let dir = tempfile::tempdir().unwrap();
    let data = finance("reference/eval");
    run(&[
        "eval",
        &model(),
        "--data",
        &data,
        "--dims",
        "8",
        "--output-dir",
        dir.path().to_str().unwrap(),
    ])
    .ok();
    let csv = fs::read_to_string(
        dir.path()
            .join("Information-Retrieval_evaluation_dim_8_results.csv"),
    )
    .unwrap();
    assert!(
        csv.starts_with("epoch,steps,cosine-Accuracy@1,cosine-Accuracy@3,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 2);
}

#[test]
fn a_missed_requirement_is_exit_code_1() {
    let data = finance("reference/eval");
    let require = |least: &str| run(&["eval", &model(), "--data", &data, "--require", least]);
    require("dim_32_cosine_ndcg@10=0.0").ok();
    let missed = require("dim_32_cosine_ndcg@10=0.999");
    assert_eq!(missed.code, Some(1));
    assert!(
        missed.stderr.contains("required is 0.999") && missed.stdout.contains("ndcg@10"),
        "{}",
        missed.stderr
    );
}
