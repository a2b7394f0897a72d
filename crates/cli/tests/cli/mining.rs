//! `matryo mine`, `duplicates`, `cluster` and `sts` on the tiny model.

use std::fs;

use crate::common::{model, run};

const TEXTS: &str =
    "goodwill is the excess paid\nleases are assets\ngoodwill is the excess paid\ncash is held\nleases are assets\n";

fn texts(dir: &tempfile::TempDir) -> String {
    let path = dir.path().join("texts.txt");
    fs::write(&path, TEXTS).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn equal_texts_are_the_best_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let lines = run(&["mine", &model(), "--input", &texts(&dir), "--min-score", "0.9999"]).ok();
    let mut pairs: Vec<&str> = lines.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    pairs.sort_unstable();
    let twice = |text: &str| format!("{text}\t{text}");
    assert_eq!(pairs, [twice("goodwill is the excess paid"), twice("leases are assets")]);
}

#[test]
fn duplicates_are_grouped_and_one_of_each_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.txt");
    let kept_path = kept.to_str().unwrap();
    run(&["duplicates", &model(), "--input", &texts(&dir), "--threshold", "0.9999", "--keep-first", kept_path]).ok();
    let kept = fs::read_to_string(kept).unwrap();
    assert_eq!(kept.lines().collect::<Vec<_>>(), ["goodwill is the excess paid", "leases are assets", "cash is held"]);
}

#[test]
fn each_text_gets_a_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let (input, labels) = (texts(&dir), dir.path().join("labels.jsonl"));
    for method in ["kmeans", "agglomerative"] {
        let flags = ["--method", method, "-k", "3", "--output", labels.to_str().unwrap()];
        run(&[&["cluster", &model(), "--input", &input][..], &flags].concat()).ok();
        let lines = crate::common::json_lines(&fs::read_to_string(&labels).unwrap());
        let label = |row: usize| lines[row]["label"].clone();
        assert_eq!((label(0), label(1)), (label(2), label(4)), "{method}");
        assert!(label(0) != label(1) && label(1) != label(3) && label(0) != label(3), "{method}");
    }
}

#[test]
fn pairs_are_compared_with_their_scores() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs.csv");
    fs::write(&pairs, "sentence1,sentence2,score\na b,a b,1\na b,cash flow,0\nx y,x y,1\n").unwrap();
    let found = run(&["sts", &model(), "--data", pairs.to_str().unwrap(), "--json"]).json().to_string();
    assert!(found.contains("pearson_cosine") && found.contains("spearman_manhattan"), "{found}");
}

#[test]
fn what_cannot_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let cluster = ["cluster", &model, "--input", &input];
    run(&[&cluster[..], &["--method", "kmeans", "-k", "9"]].concat()).fails_with(&["9 clusters of 5 rows", "hint:"]);
    run(&[&cluster[..], &["--method", "kmeans"]].concat()).fails_with(&["--method kmeans needs", "hint:"]);
    run(&["mine", &model, "--input", "/nonexistent.txt"]).fails_with(&["cannot read /nonexistent.txt"]);
}
