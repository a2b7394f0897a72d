//! `matryo classify`: trained, used, measured, and what is refused.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::common::{Ran, json_lines, model, run};

const TOPICS: [(&str, &str); 3] = [
    ("card", "my card was lost on the way"),
    ("refund", "please refund the payment"),
    ("rate", "which exchange rate applies"),
];

/// Writes rows of every topic.
fn write(path: &Path, rows: usize) -> String {
    let row = |(label, text): (&str, &str), i: usize| {
        format!(
            "{}\n",
            json!({"text": format!("{text} {i}"), "label": label, "id": i})
        )
    };
    let text: String = (0..rows)
        .flat_map(|i| TOPICS.map(|topic| row(topic, i)))
        .collect();
    fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn train(data: &str, target: &Path, further: &[&str]) -> Ran {
    let (model, target) = (model(), target.to_str().unwrap().to_owned());
    run(&[
        &[
            "classify",
            "train",
            &*model,
            "--data",
            data,
            "--output_dir",
            &target,
            "--C",
            "100",
        ],
        further,
    ]
    .concat())
}

/// A probe on the topics, and the file it was trained on.
fn probe(dir: &Path) -> (String, String) {
    let (data, target) = (write(&dir.join("train.jsonl"), 4), dir.join("out"));
    assert_eq!(
        train(&data, &target, &["--probe"]).ok().trim(),
        target.to_str().unwrap()
    );
    (target.to_str().unwrap().to_owned(), data)
}

#[test]
fn a_probe_predicts_and_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, data) = probe(dir.path());
    let one = run(&["classify", "predict", &folder, TOPICS[1].1]).ok();
    let (probability, label) = one.trim_end().split_once('\t').unwrap();
    assert_eq!(label, "refund");
    assert!(
        (0.34..1.0).contains(&probability.parse::<f64>().unwrap()),
        "{one}"
    );
    let several = run(&[
        "classify", "predict", &folder, "--input", &data, "--column", "text", "--top", "2",
    ])
    .ok();
    assert_eq!(several.lines().count(), 24);
    let output = dir.path().join("classes.jsonl");
    let to_file = [
        "classify", "predict", &folder, "--input", &data, "--column", "text", "--top", "3",
        "--output",
    ];
    run(&[&to_file[..], &[output.to_str().unwrap()]].concat()).ok();
    let lines = json_lines(&fs::read_to_string(output).unwrap());
    assert_eq!(
        (&lines[0]["label"], &lines[0]["top"][0]["label"]),
        (&json!("card"), &json!("card"))
    );
    let total: f64 = lines[0]["top"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["probability"].as_f64().unwrap())
        .sum();
    assert!((total - 1.0).abs() < 1e-9);

    let report = run(&["classify", "eval", &folder, "--data", &data, "--json"]).json();
    assert_eq!(
        (&report["accuracy"], &report["examples"]),
        (&json!(1.0), &json!(12))
    );
    let table = run(&["classify", "eval", &folder, "--data", &data]).ok();
    assert!(
        table.contains("f1_macro") && table.contains("mean confidence"),
        "{table}"
    );
}

#[test]
fn few_shot_training_is_the_default_and_measures_itself() {
    let dir = tempfile::tempdir().unwrap();
    let data = write(&dir.path().join("train.jsonl"), 5);
    let further = [
        "--examples-per-class",
        "3",
        "--max_steps",
        "4",
        "--learning_rate",
        "1e-3",
        "--eval",
        &data,
        "--json",
    ];
    let ran = train(&data, &dir.path().join("out"), &further);
    assert!(
        ran.stderr.contains("9 examples of 3 classes") && ran.stderr.contains("tuning on "),
        "{}",
        ran.stderr
    );
    let result = ran.json();
    assert_eq!(
        (&result["method"], &result["steps"], &result["examples"]),
        (&json!("few-shot"), &json!(4), &json!(9))
    );
    assert_eq!(result["labels"], json!(["card", "rate", "refund"]));
    assert_eq!(result["eval"]["examples"], 15);
    let folder = dir.path().join("out");
    assert!(
        [
            "model.safetensors",
            "modules.json",
            "classifier.json",
            "README.md"
        ]
        .iter()
        .all(|f| folder.join(f).exists())
    );
    let vectors = run(&["encode", folder.to_str().unwrap(), "a text"]).ok();
    assert_eq!(
        serde_json::from_str::<Vec<f64>>(&vectors).unwrap().len(),
        32
    );
}

#[test]
fn a_missed_requirement_is_exit_code_1() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, data) = probe(dir.path());
    let require = |requirement: &str| {
        run(&[
            "classify",
            "eval",
            &folder,
            "--data",
            &data,
            "--require",
            requirement,
        ])
    };
    assert_eq!(require("accuracy=1").code, Some(0));
    assert_eq!(require("log_loss=5").code, Some(0));
    let missed = require("log_loss=1e-9");
    assert_eq!(missed.code, Some(1));
    assert!(
        missed.stderr.contains("warning: log_loss is ")
            && missed.stderr.contains("required is at most")
    );
    require("acuracy=1").fails_with(&[
        "error: no metric `acuracy`",
        "hint: did you mean `accuracy`?",
    ]);
}

#[test]
fn unknown_labels_count_as_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, data) = probe(dir.path());
    let rows = fs::read_to_string(&data).unwrap();
    let path = dir.path().join("test.jsonl");
    fs::write(
        &path,
        format!(
            "{rows}{}\n",
            json!({"text": "what", "label": "other", "id": 9})
        ),
    )
    .unwrap();
    let ran = run(&[
        "classify",
        "eval",
        &folder,
        "--data",
        path.to_str().unwrap(),
        "--json",
    ]);
    assert!(
        ran.stderr.contains("warning: 1 of 13 texts have labels") && ran.stderr.contains("`other`"),
        "{}",
        ran.stderr
    );
    let report = ran.json();
    assert!((report["accuracy"].as_f64().unwrap() - 12.0 / 13.0).abs() < 1e-12);
    assert_eq!(report["unknown_labels"], json!([["other", 1]]));
}

#[test]
fn numbers_are_labels_too() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = TOPICS
        .iter()
        .enumerate()
        .flat_map(|(i, (_, text))| {
            [0, 1].map(|n| {
                format!(
                    "{}\n",
                    json!({"sentence": format!("{text} {n}"), "class": i})
                )
            })
        })
        .collect();
    let data = dir.path().join("train.jsonl");
    fs::write(&data, rows).unwrap();
    let columns = [
        "--probe",
        "--text-column",
        "sentence",
        "--label-column",
        "class",
        "--json",
    ];
    let result = train(data.to_str().unwrap(), &dir.path().join("out"), &columns).json();
    assert_eq!(result["labels"], json!(["0", "1", "2"]));
    assert_eq!(result["steps"], Value::Null);
}

#[test]
fn data_that_no_classifier_can_be_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let cases: [(&str, &[&str]); 5] = [
        (
            r#"{"text": "a", "label": "x"}"#,
            &[
                "error: every row has the label `x`",
                "train.jsonl",
                "hint: ",
            ],
        ),
        (
            "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \" \"}",
            &[
                "error: column `label` is empty",
                "line 2",
                "hint: remove the row",
            ],
        ),
        (
            "{\"text\": \"a\", \"label\": null}",
            &["error: column `label` is null", "line 1", "hint: "],
        ),
        (
            "{\"text\": \"a\", \"lable\": \"x\"}",
            &["error: no column `label`", "hint: did you mean `lable`?"],
        ),
        (
            "{\"text\": \"a\", \"label\": [1]}",
            &["error: column `label` holds a list", "line 1"],
        ),
    ];
    for (text, parts) in cases {
        let path = dir.path().join("train.jsonl");
        fs::write(&path, format!("{text}\n")).unwrap();
        train(path.to_str().unwrap(), &target, &["--probe"]).fails_with(parts);
    }
    let data = write(&dir.path().join("few.jsonl"), 3);
    train(&data, &target, &["--examples-per-class", "8"]).fails_with(&[
        "error: class `card` has 3 examples, expected at least 8",
        "hint: ask for fewer",
    ]);
    train(&data, &target, &["--probe", "--max_steps", "3"]).fails_with(&[
        "error: ",
        "--probe",
        "cannot be used with",
    ]);
    train(&data, &target, &["--epochs", "0"])
        .fails_with(&["error: invalid value '0'", "a number above 0"]);
    assert!(!target.exists(), "nothing was made");
}

#[test]
fn folders_that_are_no_classifier() {
    let dir = tempfile::tempdir().unwrap();
    run(&["classify", "predict", &model(), "a"]).fails_with(&[
        "error: the folder has no classifier",
        "tiny-bert",
        "hint: `matryo classify train`",
    ]);
    let (folder, data) = probe(dir.path());
    train(&data, Path::new(&folder), &["--probe"]).fails_with(&[
        "error: the folder ",
        "is not empty",
        "hint: ",
    ]);
    run(&["classify", "predict", &folder, "a", "--output", "a.csv"]).fails_with(&[
        "error: classes cannot be written to a.csv",
        "hint: the name should end in .jsonl",
    ]);
}
