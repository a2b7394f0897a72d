//! `matryo distill`: a static model, what it is made of, and what cannot be made.

use std::fs;

use crate::common::{model, run};

#[test]
fn a_static_model_encodes_and_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::write(at("words.txt"), "ebitda\nwhat-if\n").unwrap();
    let report = run(&[
        "distill",
        &model(),
        "-o",
        &at("static"),
        "--dims",
        "8",
        "--vocabulary",
        &at("words.txt"),
        "--json",
    ])
    .json();
    assert_eq!(
        (&report["dim"], report["path"].as_str()),
        (&8.into(), Some(&*at("static")))
    );
    let tokens = report["tokens"].as_u64().unwrap();
    let info = run(&["info", &at("static"), "--json"]).json();
    assert_eq!(info["architecture"], "StaticEmbedding");
    assert_eq!(info["parameters"], 8 * tokens);
    assert_eq!(info["max_seq_length"], 512);
    let lines = run(&["encode", &at("static"), "EBITDA", "", "what-if"]).ok();
    assert_eq!(
        lines.lines().nth(1),
        Some("[0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0]")
    );
    fs::write(
        at("train.jsonl"),
        "{\"a\": \"ebitda\", \"b\": \"profit\"}\n{\"a\": \"what-if\", \"b\": \"case\"}\n",
    )
    .unwrap();
    run(&[
        "train",
        "--model",
        &at("static"),
        "--train_data",
        &at("train.jsonl"),
        "--output_dir",
        &at("trained"),
        "--learning_rate",
        "0.01",
        "--num_train_epochs",
        "2",
        "--eval_strategy",
        "no",
        "--save_strategy",
        "no",
        "--load_best_model_at_end",
        "false",
    ])
    .ok();
    let trained = run(&["encode", &at("trained"), "EBITDA", "", "what-if"]).ok();
    assert_ne!(trained.lines().next(), lines.lines().next());
    let card = fs::read_to_string(dir.path().join("trained/README.md")).unwrap();
    assert!(card.contains("(0): StaticEmbedding({})"), "{card}");
}

#[test]
fn nothing_is_written_where_something_is_or_goes_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/file"), "").unwrap();
    run(&["distill", &model(), "-o", &at("full")]).fails_with(&["full", "hint"]);
    run(&["distill", &model(), "-o", &at("new"), "--dims", "0"]).fails_with(&["cannot keep 0"]);
    run(&["distill", &model(), "-o", &at("new"), "--sif", "2"])
        .fails_with(&["SIF coefficient is 2"]);
    run(&[
        "distill",
        &model(),
        "-o",
        &at("new"),
        "--vocabulary",
        &at("none.txt"),
    ])
    .fails_with(&["none.txt"]);
    run(&["distill", &model(), "-o", &at("static")]).ok();
    for place in ["full/file", "full/file/below", "full/new/.."] {
        run(&["distill", &model(), "-o", &at(place)])
            .fails_with(&["no folder can be made", "hint"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
        run(&["distill", &model(), "-o", &at("link")])
            .fails_with(&["no folder can be made", "hint"]);
    }
    run(&["distill", &at("static"), "-o", &at("new")]).fails_with(&["no token embeddings", "hint"]);
    assert!(!dir.path().join("new").exists());
}
