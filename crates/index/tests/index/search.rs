//! Search against upstream's, with and without ties, whole and in chunks.

use std::path::PathBuf;

use matryo_index::{Hit, Mat, MatRef, Search, Ties, semantic_search};
use matryo_testkit::{Tensor, Tolerance, assert_value, pseudo_random, read_json, read_safetensors};
use serde_json::Value;

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

fn mat(tensor: &Tensor) -> Mat {
    let (rows, cols) = tensor.rows_cols();
    Mat::from_vec(rows, cols, tensor.data.clone())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn all_pairs(a: MatRef<'_>, b: MatRef<'_>, score: impl Fn(&[f32], &[f32]) -> f32) -> Mat {
    let scores = (0..a.rows()).flat_map(|i| (0..b.rows()).map(move |j| (i, j)));
    Mat::from_vec(
        a.rows(),
        b.rows(),
        scores.map(|(i, j)| score(a.row(i), b.row(j))).collect(),
    )
}

fn dots(a: MatRef<'_>, b: MatRef<'_>) -> Mat {
    all_pairs(a, b, dot)
}

fn cosines(a: MatRef<'_>, b: MatRef<'_>) -> Mat {
    all_pairs(a, b, |a, b| {
        dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
    })
}

fn assert_hits(found: &[Hit], expected: &Value, what: &str) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (hit, expected) in found.iter().zip(expected) {
        assert_eq!(
            hit.row as u64,
            expected[0].as_u64().unwrap(),
            "{what}: {found:?}"
        );
        assert_value(
            hit.score.into(),
            expected[1].as_f64().unwrap(),
            Tolerance::Absolute(1e-5),
            what,
        );
    }
}

#[test]
fn hits_and_their_order_equal_upstream() {
    let tensors = read_safetensors(golden("search.safetensors"));
    for case in read_json(golden("search.json")).as_array().unwrap() {
        let (data, k) = (
            case["data"].as_str().unwrap(),
            case["k"].as_u64().unwrap() as usize,
        );
        let matrix = |name: &str| mat(&tensors[&format!("{data}.{name}")]);
        let score = if case["score"] == "dot" {
            dots
        } else {
            cosines
        };
        let found = semantic_search(matrix("queries").view(), matrix("corpus").view(), k, score);
        for (query, hits) in found.iter().enumerate() {
            assert_hits(
                hits,
                &case["hits"][query],
                &format!("{data}, k {k}, query {query}"),
            );
        }
    }
}

/// More queries and rows than a block holds, with values whose products are exact, so that ties abound.
fn whole_numbers(rows: usize, seed: u64) -> Mat {
    Mat::from_vec(
        rows,
        4,
        pseudo_random(rows * 4, seed)
            .iter()
            .map(|v| (v * 3.0).round())
            .collect(),
    )
}

#[test]
fn blocks_and_chunks_make_no_difference() {
    let (queries, corpus) = (whole_numbers(300, 1), whole_numbers(5000, 2));
    let whole = semantic_search(queries.view(), corpus.view(), 20, dots);
    let mut search = Search::new(queries.rows(), 20, Ties::ByRow);
    for start in (0..5000).step_by(1234) {
        let chunk = corpus.view().row_range(start, (start + 1234).min(5000));
        search.add(queries.view(), chunk, start, dots);
    }
    assert_eq!(search.finish(), whole);
    for (query, hits) in whole.iter().enumerate() {
        let mut best: Vec<_> = (0..5000)
            .map(|row| dot(queries.row(query), corpus.row(row)))
            .collect();
        best.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(
            hits.iter().map(|hit| hit.score).collect::<Vec<_>>(),
            best[..20],
            "query {query}"
        );
    }
}

#[test]
fn ranks_decide_which_of_equal_rows_are_kept() {
    let (query, corpus) = (
        Mat::from_vec(1, 1, vec![1.0]),
        Mat::from_vec(4, 1, vec![1.0, 1.0, 1.0, 0.5]),
    );
    let kept = |ties| {
        let mut search = Search::new(1, 2, ties);
        search.add(query.view(), corpus.view(), 0, dots);
        search.finish()[0]
            .iter()
            .map(|hit| hit.row)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(Ties::ByRow), [1, 2]);
    assert_eq!(kept(Ties::ByRank(&[9, 3, 5, 7])), [2, 0]);
}
