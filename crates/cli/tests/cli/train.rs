//! `matryo train`: its events, its result, and what it leaves.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::common::{Ran, finance, json_lines, model, run};

/// A short run on the tiny model, with further arguments.
pub fn train(output: &Path, further: &[&str]) -> Ran {
    let (data, model) = (finance("reference/train.jsonl"), model());
    let mut arguments = vec![
        "train",
        "--model",
        &model,
        "--train_data",
        &data,
        "--columns",
        "positive,anchor",
    ];
    arguments.extend([
        "--output_dir",
        output.to_str().unwrap(),
        "--per-device-train-batch-size",
        "32",
    ]);
    arguments.extend([
        "--matryoshka_dims",
        "32,8",
        "--batch_sampler",
        "no_duplicates",
        "--learning_rate",
        "1e-3",
    ]);
    arguments.extend(further);
    run(&arguments)
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

#[test]
fn events_are_json_lines_when_nobody_watches() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    let eval = finance("reference/eval");
    let further = [
        "--num_train_epochs",
        "1",
        "--eval_data",
        &eval,
        "--eval_strategy",
        "epoch",
        "--save_strategy",
        "epoch",
    ];
    let ran = train(&output, &further);
    let events = json_lines(&ran.stderr);
    assert_eq!(ran.ok(), format!("{}\n", output.display()));

    let plan = &of_kind(&events, "plan")[0];
    assert_eq!(
        (&plan["rows"], &plan["steps"], &plan["queries"]),
        (&json!(196), &json!(7), &json!(49))
    );
    assert_eq!(
        plan["loss"],
        json!(["MatryoshkaLoss", "MultipleNegativesRankingLoss"])
    );
    let memory: Vec<u64> = plan["memory"]
        .as_object()
        .unwrap()
        .values()
        .map(|bytes| bytes.as_u64().unwrap())
        .collect();
    assert_eq!(
        memory[0],
        memory[1..].iter().sum::<u64>(),
        "the total is that of its parts"
    );
    assert!(plan["memory"]["activations"].as_u64().unwrap() > 0);
    let steps = of_kind(&events, "step");
    assert_eq!(
        steps
            .iter()
            .map(|step| step["step"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7]
    );
    assert!(
        steps
            .iter()
            .all(|step| step["loss"].as_f64().unwrap() > 0.0 && step["total"] == 7)
    );
    let metrics = &of_kind(&events, "evaluated").last().unwrap()["metrics"];
    assert!(metrics["dim_8"]["cosine_ndcg@10"].is_f64(), "{metrics}");
    assert_eq!(of_kind(&events, "done").len(), 1);
    check_folder(&output);
}

fn check_folder(output: &Path) {
    let path = output.to_str().unwrap();
    run(&["encode", path, "What is goodwill?"]).ok();
    let card = fs::read_to_string(output.join("README.md")).unwrap();
    assert_eq!(run(&["card", path]).ok(), card);
    assert!(
        card.contains("MatryoshkaLoss") && card.contains("dim_8"),
        "the card tells of the run"
    );
    assert!(output.join("checkpoint-7").is_dir() && output.join("eval").is_dir());
}

#[test]
fn quiet_says_nothing_and_json_gives_the_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let ran = train(
        &dir.path().join("model"),
        &[
            "--max_steps",
            "2",
            "--save_strategy",
            "no",
            "--quiet",
            "--json",
        ],
    );
    assert_eq!(ran.stderr, "");
    let done = ran.json();
    assert_eq!(
        (&done["steps"], &done["saved_step"]),
        (&json!(2), &json!(2))
    );
    assert!(done["train_loss"].as_f64().unwrap() > 0.0, "{done}");
}

#[test]
fn flags_win_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (config, output) = (dir.path().join("config.toml"), dir.path().join("model"));
    let file = json!({
        "model": model(), "train_data": finance("reference/train.jsonl"), "columns": ["positive", "anchor"],
        "output_dir": output, "max_steps": 3, "save_strategy": "no", "bf16": false,
    });
    let lines = file
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"));
    fs::write(&config, lines.collect::<String>()).unwrap();
    let ran = run(&[
        "train",
        config.to_str().unwrap(),
        "--max-steps",
        "1",
        "--report_to",
        "none",
        "--json",
    ]);
    assert_eq!(ran.json()["steps"], 1);
}
