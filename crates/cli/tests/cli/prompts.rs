//! Models that want prompts: `info` says so, and a command that goes without them, once.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::{edit_json, finance, model_copy, run};

/// The tiny model in a folder of this name.
fn named(dir: &Path, name: &str) -> PathBuf {
    let target = dir.join(name);
    std::fs::rename(model_copy(dir), &target).unwrap();
    target
}

/// How often a run's standard error speaks of prompts.
fn told(arguments: &[&str]) -> usize {
    let ran = run(arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stderr.matches("warning: the card of").count()
        + ran.stderr.matches("warning: the model has prompts").count()
}

#[test]
fn a_model_known_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let e5 = named(dir.path(), "e5-small-v2");
    let e5 = e5.to_str().unwrap();
    let note = "the card of e5-small-v2 asks for \"query: \" before queries and \"passage: \" before documents";
    let info = run(&["info", e5, "--json"]).json();
    assert!(
        info["notes"][0].as_str().unwrap().starts_with(note),
        "{info}"
    );
    assert!(run(&["info", e5]).ok().contains(note));
    let ran = run(&["encode", e5, "revenue", "profit"]);
    assert!(
        ran.stderr.contains(&format!("warning: {note}")),
        "{}",
        ran.stderr
    );
    for (further, times) in [
        (&[][..], 1),
        (&["--role", "query"], 1),
        (&["--prompt", "query: "], 0),
        (&["--prompt", ""], 0),
        (&["--quiet"], 0),
    ] {
        let mut arguments = vec!["encode", e5, "revenue", "profit"];
        arguments.extend(further);
        assert_eq!(told(&arguments), times, "{further:?}");
    }
    assert_eq!(
        told(&["encode", e5, "query: revenue", "passage: profit"]),
        0
    );
    assert_eq!(told(&["similarity", e5, "revenue", "profit"]), 1);
    assert_eq!(
        told(&[
            "similarity",
            e5,
            "--roles",
            "query: revenue",
            "passage: profit"
        ]),
        0
    );
    assert_eq!(told(&["eval", e5, "--data", &finance("eval")]), 1);
    let corpus = finance("eval/corpus.jsonl");
    assert_eq!(
        told(&["duplicates", e5, "--input", &corpus, "--column", "text"]),
        1
    );
}

/// Documents of a model that wants a prompt before queries alone go without a word.
#[test]
fn documents_that_want_none() {
    let dir = tempfile::tempdir().unwrap();
    let bge = named(dir.path(), "bge-base-en-v1.5");
    let bge = bge.to_str().unwrap();
    assert_eq!(
        told(&["encode", bge, "a document", "--role", "document"]),
        0
    );
    assert_eq!(told(&["encode", bge, "a question", "--role", "query"]), 1);
}

#[test]
fn prompts_that_the_model_names_itself() {
    let dir = tempfile::tempdir().unwrap();
    let folder = named(dir.path(), "mine");
    let settings = folder.join("config_sentence_transformers.json");
    edit_json(&settings, |config| {
        config["prompts"] = json!({"query": "q: ", "passage": "p: "})
    });
    let path = folder.to_str().unwrap();
    let info = run(&["info", path, "--json"]).json();
    let notes = info["notes"].to_string();
    assert!(
        notes.contains("`passage` is not put before documents by itself"),
        "{notes}"
    );
    assert!(
        notes.contains("the model has prompts (query, passage)"),
        "{notes}"
    );
    assert_eq!(told(&["encode", path, "revenue"]), 1);
    assert_eq!(
        told(&["encode", path, "revenue", "--prompt-name", "passage"]),
        0
    );
    assert_eq!(told(&["encode", path, "revenue", "--role", "query"]), 0);
    edit_json(&settings, |config| {
        config["default_prompt_name"] = json!("query")
    });
    assert_eq!(told(&["encode", path, "revenue"]), 0);
    let info = run(&["info", path, "--json"]).json();
    assert!(
        !info["notes"].to_string().contains("the model has prompts"),
        "{info}"
    );
}

#[test]
fn a_training_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let e5 = named(dir.path(), "e5-small-v2");
    let e5 = e5.to_str().unwrap();
    let row = json!({"anchor": "revenue", "positive": "what a company earns"});
    let other = json!({"anchor": "profit", "positive": "what is left of it"});
    let data = dir.path().join("train.jsonl");
    std::fs::write(&data, format!("{row}\n{other}\n")).unwrap();
    let told = |name: &str, further: &[&str]| {
        let target = dir.path().join(name);
        let paths = [data.to_str().unwrap(), target.to_str().unwrap()];
        let fixed = [
            "train",
            "--model",
            e5,
            "--train_data",
            paths[0],
            "--output_dir",
            paths[1],
        ];
        let steps = ["--max_steps", "1", "--per_device_train_batch_size", "2"];
        let ran = run(&[&fixed[..], &steps, further].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stderr
            .matches("the card of e5-small-v2 asks for")
            .count()
    };
    assert_eq!(told("without", &[]), 1);
    assert_eq!(told("none", &["--prompts", ""]), 0);
    let prompts = "{ anchor = \"query: \", positive = \"passage: \" }";
    assert_eq!(told("with", &["--prompts", prompts]), 0);
}

#[test]
fn a_classifier_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let folder = named(dir.path(), "e5-small-v2");
    let data = dir.path().join("rows.jsonl");
    let write = |before: &str| {
        let rows = [
            ("a", "revenue"),
            ("b", "rain"),
            ("a", "profit"),
            ("b", "snow"),
        ];
        let rows = rows.map(|(label, text)| {
            format!(
                "{}\n",
                json!({"label": label, "text": format!("{before}{text}")})
            )
        });
        std::fs::write(&data, rows.concat()).unwrap();
    };
    let train = |name: &str, further: &[&str]| {
        let target = dir.path().join(name);
        let paths = [&folder, &data, &target].map(|path| path.to_str().unwrap());
        let fixed = [
            "classify",
            "train",
            paths[0],
            "--data",
            paths[1],
            "--output_dir",
            paths[2],
        ];
        told(&[&fixed[..], further].concat())
    };
    write("");
    assert_eq!(train("probe", &["--probe"]), 1);
    assert_eq!(train("tuned", &["--max_steps", "1"]), 1);
    write("query: ");
    assert_eq!(train("with", &["--probe"]), 0);
    let settings = folder.join("config_sentence_transformers.json");
    edit_json(&settings, |config| {
        config["prompts"] = json!({"topic": "topic: "})
    });
    assert_eq!(train("named", &["--probe"]), 1);
    let named = dir.path().join("named");
    let predict = |text: &str| told(&["classify", "predict", named.to_str().unwrap(), text]);
    assert_eq!(predict("revenue"), 1);
    assert_eq!(predict("topic: revenue"), 0);
    edit_json(&settings, |config| {
        config["default_prompt_name"] = json!("topic")
    });
    assert_eq!(train("by-default", &["--probe"]), 0);
}
