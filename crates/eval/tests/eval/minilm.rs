//! The untuned all-MiniLM-L6-v2 on real questions and passages, and on sentence pairs, against the metrics that sentence-transformers 5.7 gives.
//!
//! Needs files too large for the repository, so it runs by hand, in a minute or two:
//! `MATRYO_MINILM=folder MATRYO_GOLDEN=folder MATRYO_DATA=folder cargo test --release -p matryo-eval --test eval minilm -- --ignored`
//! MATRYO_MINILM is the model; MATRYO_GOLDEN holds eval/eval.json and eval/*_top10.json; MATRYO_DATA holds tatqa/test_*, scifact_small/
//! and stsb_open/.

use std::{env, fs, path::PathBuf};

use matryo_data::{RetrievalData, SentencePairs};
use matryo_eval::{
    EmbeddingSimilarityEvaluator, EmbeddingSimilarityOptions, Evaluation, Evaluator,
    InformationRetrievalEvaluator, InformationRetrievalOptions,
};
use matryo_model::{Precision, SentenceEncoder, SimilarityFn};
use matryo_testkit::read_json;
use serde_json::Value;

/// Metrics agree to 4 decimals.
const METRICS: f64 = 5e-5;
/// Documents whose scores are nearer than this may change places.
const NEAR: f64 = 1e-6;

fn folder(variable: &str) -> PathBuf {
    env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} names a folder"))
        .into()
}

fn options(dims: &[usize]) -> InformationRetrievalOptions {
    InformationRetrievalOptions {
        dims: Some(dims.to_vec()),
        score_functions: vec![SimilarityFn::Cosine, SimilarityFn::Dot],
        ndcg_at_k: vec![10, 100],
        map_at_k: vec![10, 100],
        ..Default::default()
    }
}

fn assert_metrics(evaluation: &Evaluation, expected: &Value, what: &str) {
    for (key, value) in &evaluation.report.metrics {
        let upstream = expected[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{what} has no {key}"));
        assert!(
            (value - upstream).abs() < METRICS,
            "{what}: {key} is {value}, expected {upstream}"
        );
    }
    assert_eq!(
        evaluation.report.metrics.len(),
        expected.as_object().unwrap().len(),
        "{what}"
    );
}

/// The ten best by cosine, for the queries whose lists were recorded.
fn assert_top_10(
    evaluator: &InformationRetrievalEvaluator,
    evaluation: &Evaluation,
    expected: &Value,
) {
    let mut compared = 0;
    for (query, hits) in evaluator.query_ids().zip(&evaluation.rankings[0].hits) {
        let Some(upstream) = expected[query].as_array() else {
            continue;
        };
        for (hit, upstream) in hits.iter().zip(upstream) {
            let (id, score) = (upstream[0].as_str().unwrap(), upstream[1].as_f64().unwrap());
            let near = (f64::from(hit.score) - score).abs() < 2.0 * NEAR;
            assert!(
                near,
                "query {query}: {} scores {}, expected {id} with {score}",
                evaluator.document_id(hit.row),
                hit.score
            );
            let swapped = hits
                .iter()
                .filter(|other| (other.score - hit.score).abs() < NEAR as f32)
                .count()
                > 1;
            assert!(
                swapped || evaluator.document_id(hit.row) == id,
                "query {query}: {id} is not in its place"
            );
        }
        compared += 1;
    }
    assert_eq!(
        compared,
        expected.as_object().unwrap().len(),
        "every recorded query is compared"
    );
}

/// The first of `dims` is the model's own width.
fn assert_equals_upstream(data: RetrievalData, tag: &str, dims: &[usize]) {
    let golden = folder("MATRYO_GOLDEN").join("eval");
    let metrics = read_json(golden.join("eval.json"));
    let model = SentenceEncoder::open(folder("MATRYO_MINILM")).unwrap();
    let evaluator = InformationRetrievalEvaluator::new(data, options(dims)).unwrap();
    let evaluations = evaluator.evaluate(&model).unwrap();
    for (i, (dim, evaluation)) in dims.iter().zip(&evaluations).enumerate() {
        let tag = if i == 0 {
            tag.to_owned()
        } else {
            format!("{tag}_dim{dim}")
        };
        assert_metrics(evaluation, &metrics[&tag], &tag);
    }
    assert_top_10(
        &evaluator,
        &evaluations[0],
        &read_json(golden.join(format!("{tag}_top10.json"))),
    );
    assert_as_good(&evaluator, &evaluations, Precision::Bf16, 0.003);
    assert_as_good(&evaluator, &evaluations, Precision::Int16, 0.001);
    assert_as_good(&evaluator, &evaluations, Precision::Int8, 0.003);
}

/// NDCG@10 at every dimension is that of single precision within `tolerance`; one question of 500 that changes from a miss to a hit is 0.002.
fn assert_as_good(
    evaluator: &InformationRetrievalEvaluator,
    expected: &[Evaluation],
    precision: Precision,
    tolerance: f64,
) {
    let model = SentenceEncoder::open_in(folder("MATRYO_MINILM"), precision).unwrap();
    for (found, expected) in evaluator.evaluate(&model).unwrap().iter().zip(expected) {
        let of = |evaluation: &Evaluation| {
            let mut metrics = evaluation.report.metrics.iter();
            metrics
                .find(|(key, _)| key == "cosine_ndcg@10")
                .map(|(_, value)| *value)
                .expect("a metric of all")
        };
        println!(
            "{}: ndcg@10 {:.5} for {:.5}",
            precision.name(),
            of(found),
            of(expected)
        );
        assert!(
            (of(found) - of(expected)).abs() < tolerance,
            "{}",
            precision.name()
        );
    }
}

#[test]
#[ignore = "needs a model and data that are not in the repository"]
fn tatqa() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["corpus.jsonl", "queries.jsonl", "qrels.tsv"] {
        let from = folder("MATRYO_DATA")
            .join("tatqa")
            .join(format!("test_{file}"));
        fs::copy(from, dir.path().join(file)).unwrap();
    }
    let data = RetrievalData::open(dir.path()).unwrap();
    assert_equals_upstream(data, "ir_tatqa_test", &[384, 256, 128, 64, 32]);
}

#[test]
#[ignore = "needs a model and data that are not in the repository"]
fn scifact() {
    let data = RetrievalData::open(&folder("MATRYO_DATA").join("scifact_small")).unwrap();
    assert_equals_upstream(data, "ir_scifact_small", &[384, 128]);
}

#[test]
#[ignore = "needs a model and data that are not in the repository"]
fn stsb() {
    let pairs =
        SentencePairs::open(&folder("MATRYO_DATA").join("stsb_open/test.jsonl"), None).unwrap();
    let options = EmbeddingSimilarityOptions {
        similarity_fn_names: SimilarityFn::ALL.to_vec(),
        ..EmbeddingSimilarityOptions::default()
    };
    let model = SentenceEncoder::open(folder("MATRYO_MINILM")).unwrap();
    let report = EmbeddingSimilarityEvaluator::new(pairs, options)
        .unwrap()
        .run(&model)
        .unwrap()
        .remove(0);
    let golden = read_json(folder("MATRYO_GOLDEN").join("eval/eval.json"));
    let expected = golden["sts_stsb_open_test"].as_object().unwrap();
    assert_eq!(report.metrics.len(), expected.len());
    for (key, value) in &report.metrics {
        assert!(
            (value - expected[key].as_f64().unwrap()).abs() < METRICS,
            "{key} is {value}, expected {}",
            expected[key]
        );
    }
}
