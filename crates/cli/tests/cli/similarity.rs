//! `matryo similarity`: the scores of Python, in every arrangement.

use std::fs;

use serde_json::Value;

use crate::common::{assert_close, golden, golden_texts, json_lines, model, rows, run};

const TOLERANCE: f64 = 1e-5;

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

#[test]
fn two_texts_have_one_score() {
    let (texts, golden) = (golden_texts(), golden());
    let score = numbers(&run(&["similarity", &model(), &texts[0], &texts[1]]).ok());
    assert_close(&[score], &[vec![rows(&golden["cosine"])[0][1]]], TOLERANCE);
}

#[test]
fn the_first_is_compared_with_the_others() {
    let (texts, expected) = (golden_texts(), rows(&golden()["cosine"])[0][1..].to_vec());
    let model = model();
    let mut arguments = vec!["similarity", &*model];
    arguments.extend(texts.iter().map(String::as_str));
    let lines = run(&arguments).ok();
    let found: Vec<(f64, &str)> = lines
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(s, t)| (s.parse().unwrap(), t))
        .collect();
    assert_eq!(
        found.iter().map(|(_, text)| *text).collect::<Vec<_>>(),
        texts[1..]
    );
    assert_close(
        &[found.iter().map(|(score, _)| *score).collect()],
        std::slice::from_ref(&expected),
        TOLERANCE,
    );

    arguments.extend(["--top", "2", "--json"]);
    let best = run(&arguments).json();
    let mut sorted = expected;
    sorted.sort_by(|a, b| b.total_cmp(a));
    let scores: Vec<f64> = best["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["score"].as_f64().unwrap())
        .collect();
    assert_close(&[scores], &[sorted[..2].to_vec()], TOLERANCE);
    assert_eq!(
        (&best["similarity"], &best["text"]),
        (&Value::from("cosine"), &Value::from(texts[0].clone()))
    );
}

#[test]
fn all_pairs_are_a_matrix() {
    let (model, texts) = (model(), golden_texts());
    let mut arguments = vec!["similarity", &model, "--all"];
    arguments.extend(texts.iter().map(String::as_str));
    let found: Vec<Vec<f64>> = run(&arguments).ok().lines().map(numbers).collect();
    assert_close(&found, &rows(&golden()["cosine"]), TOLERANCE);
    arguments.push("--json");
    assert_close(
        &rows(&run(&arguments).json()["scores"]),
        &rows(&golden()["cosine"]),
        TOLERANCE,
    );
}

#[test]
fn files_are_compared_row_by_row_or_searched() {
    let dir = tempfile::tempdir().unwrap();
    let texts = golden_texts();
    let (left, right) = (dir.path().join("a.txt"), dir.path().join("b.jsonl"));
    fs::write(&left, format!("{}\n{}\n", texts[0], texts[1])).unwrap();
    let line = |text: &String| format!("{}\n", serde_json::json!({"body": text}));
    fs::write(&right, texts[1..3].iter().map(line).collect::<String>()).unwrap();
    let (left, right, model) = (left.to_str().unwrap(), right.to_str().unwrap(), model());
    let golden = rows(&golden()["cosine"]);

    let pairs = [
        "similarity",
        &model,
        "--input",
        left,
        "--against",
        right,
        "--against-column",
        "body",
        "--pairwise",
    ];
    let found: Vec<f64> = numbers(&run(&pairs).ok());
    assert_close(&[found], &[vec![golden[0][1], golden[1][2]]], TOLERANCE);

    let search = [
        "similarity",
        &model,
        &texts[0],
        "--against",
        right,
        "--column",
        "body",
        "--top",
        "1",
        "--json",
    ];
    let found = &json_lines(&run(&search).ok())[0]["results"];
    let best = golden[0][1].max(golden[0][2]);
    assert!(
        (found[0]["score"].as_f64().unwrap() - best).abs() < TOLERANCE,
        "{found}"
    );
}

#[test]
fn scores_can_be_chosen() {
    let texts = golden_texts();
    let score = |name: &str| {
        numbers(
            &run(&[
                "similarity",
                &model(),
                &texts[0],
                &texts[1],
                "--score",
                name,
            ])
            .ok(),
        )[0]
    };
    let cosine = rows(&golden()["cosine"])[0][1];
    // The model ends in Normalize, so that all four follow from the cosine or from the vectors.
    assert!((score("dot") - cosine).abs() < TOLERANCE);
    assert!((score("euclidean") + (2.0 - 2.0 * cosine).sqrt()).abs() < TOLERANCE);
    let short = run(&[
        "similarity",
        &model(),
        &texts[0],
        &texts[1],
        "--truncate-dim",
        "8",
    ]);
    let expected = rows(&golden()["truncated_normalized"]);
    let expected: f64 = expected[0]
        .iter()
        .zip(&expected[1])
        .map(|(a, b)| a * b)
        .sum();
    assert!((numbers(&short.ok())[0] - expected).abs() < TOLERANCE);
    let vectors = rows(&golden()["embeddings"]);
    let manhattan: f64 = vectors[0]
        .iter()
        .zip(&vectors[1])
        .map(|(a, b)| (a - b).abs())
        .sum();
    assert!((score("manhattan") + manhattan).abs() < 10.0 * TOLERANCE);
}
