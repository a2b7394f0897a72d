//! The information-retrieval evaluator against upstream's, on fixed embeddings.

use std::{collections::BTreeSet, fs};

use crate::fixed::{Fixed, golden};
use matryo_data::RetrievalData;
use matryo_eval::{
    Evaluator, InformationRetrievalEvaluator, InformationRetrievalOptions, PrimaryMetric, flatten,
    write_csv, write_predictions,
};
use matryo_model::SimilarityFn;
use matryo_testkit::{Tolerance, assert_close, read_json};
use serde_json::Value;

/// Scores differ from upstream's in the last digits, which no rank feels here; the averages are added up in its order.
const TOLERANCE: Tolerance = Tolerance::Absolute(1e-15);

fn numbers(case: &Value, key: &str, default: Vec<usize>) -> Vec<usize> {
    let Some(values) = case[key].as_array() else {
        return default;
    };
    values
        .iter()
        .map(|n| n.as_u64().unwrap() as usize)
        .collect()
}

fn options(case: &Value) -> InformationRetrievalOptions {
    let functions = case["score_functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f.as_str().unwrap().parse().unwrap());
    let default = InformationRetrievalOptions::default();
    InformationRetrievalOptions {
        dims: case["dims"]
            .is_array()
            .then(|| numbers(case, "dims", vec![])),
        score_functions: functions.collect(),
        accuracy_at_k: numbers(case, "accuracy_at_k", default.accuracy_at_k),
        precision_recall_at_k: numbers(
            case,
            "precision_recall_at_k",
            default.precision_recall_at_k,
        ),
        ndcg_at_k: numbers(case, "ndcg_at_k", default.ndcg_at_k),
        mrr_at_k: numbers(case, "mrr_at_k", default.mrr_at_k),
        map_at_k: numbers(case, "map_at_k", default.map_at_k),
        corpus_chunk_size: case["corpus_chunk_size"]
            .as_u64()
            .map_or(default.corpus_chunk_size, |n| n as usize),
        ..InformationRetrievalOptions::default()
    }
}

fn evaluator(
    data: &RetrievalData,
    options: InformationRetrievalOptions,
) -> InformationRetrievalEvaluator {
    InformationRetrievalEvaluator::new(data.clone(), options).unwrap()
}

#[test]
fn metrics_and_their_order_equal_upstream() {
    for case in read_json(golden("retrieval.json"))["cases"]
        .as_array()
        .unwrap()
    {
        let (data, model) = Fixed::golden(case["data"].as_str().unwrap());
        let reports = evaluator(&data, options(case)).run(&model).unwrap();
        let metrics = flatten(&reports);
        let expected = case["metrics"].as_object().unwrap();
        let keys: Vec<_> = metrics.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, expected.keys().collect::<Vec<_>>());
        let values: Vec<_> = metrics.iter().map(|(_, value)| *value).collect();
        let upstream: Vec<_> = expected
            .values()
            .map(|value| value.as_f64().unwrap())
            .collect();
        assert_close(
            &values,
            &upstream,
            TOLERANCE,
            &format!("{}", case["score_functions"]),
        );
        let primary: Vec<_> = reports
            .iter()
            .map(|report| Value::from(report.full_key(&report.primary)))
            .collect();
        assert_eq!(Value::from(primary), case["primary"]);
    }
}

#[test]
fn csv_files_equal_upstream_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let cases = read_json(golden("retrieval.json"));
    let (data, model) = Fixed::golden("plain");
    let of = |case: usize, report: usize| {
        evaluator(&data, options(&cases["cases"][case]))
            .run(&model)
            .unwrap()
            .swap_remove(report)
    };
    write_csv(dir.path(), &of(0, 1), 1.0, 7).unwrap();
    write_csv(dir.path(), &of(0, 1), 1.5714285714285714, 11).unwrap();
    write_csv(dir.path(), &of(1, 0), 2.0, 3).unwrap();
    for file in ["dim_4_results.csv", "results.csv"] {
        let file = format!("Information-Retrieval_evaluation_{file}");
        let (ours, upstream) = (
            fs::read_to_string(dir.path().join(&file)),
            fs::read_to_string(golden(&file)),
        );
        assert_eq!(ours.unwrap(), upstream.unwrap());
    }
}

#[test]
fn a_csv_file_with_other_columns_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (data, model) = Fixed::golden("plain");
    let other = InformationRetrievalOptions {
        ndcg_at_k: vec![5],
        ..Default::default()
    };
    write_csv(
        dir.path(),
        &evaluator(&data, Default::default()).run(&model).unwrap()[0],
        1.0,
        1,
    )
    .unwrap();
    let path = dir
        .path()
        .join("Information-Retrieval_evaluation_results.csv");
    let before = fs::read(&path).unwrap();
    let error = write_csv(
        dir.path(),
        &evaluator(&data, other).run(&model).unwrap()[0],
        2.0,
        2,
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("cosine-NDCG@10") && error.to_string().contains("cosine-NDCG@5"),
        "{error}"
    );
    assert!(error.hint().is_some());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn predictions_equal_upstream() {
    let dir = tempfile::tempdir().unwrap();
    let (data, model) = Fixed::golden("plain");
    let evaluator = evaluator(&data, Default::default());
    let evaluation = evaluator.evaluate(&model).unwrap().remove(0);
    write_predictions(dir.path(), &evaluator, &evaluation).unwrap();
    let file = "Information-Retrieval_evaluation_predictions_cosine.jsonl";
    let lines = |text: String| {
        text.lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap())
            .collect::<Vec<_>>()
    };
    let ours = lines(fs::read_to_string(dir.path().join(file)).unwrap());
    let upstream = lines(fs::read_to_string(golden(file)).unwrap());
    assert_eq!(ours.len(), upstream.len());
    for (ours, upstream) in ours.iter().zip(&upstream) {
        assert_eq!(
            (&ours["query_id"], &ours["query"]),
            (&upstream["query_id"], &upstream["query"])
        );
        let column = |line: &Value, key: &str| {
            line["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r[key].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(column(ours, "corpus_id"), column(upstream, "corpus_id"));
        let scores = |line: &Value| {
            column(line, "score")
                .iter()
                .map(|s| s.as_f64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_close(
            &scores(ours),
            &scores(upstream),
            Tolerance::Absolute(1e-6),
            "scores",
        );
    }
}

#[test]
fn every_text_is_encoded_once_in_its_role() {
    let (data, model) = Fixed::golden("plain");
    let options = InformationRetrievalOptions {
        dims: Some(vec![8, 4, 2]),
        score_functions: vec![SimilarityFn::Cosine, SimilarityFn::Dot],
        corpus_chunk_size: 10,
        ..Default::default()
    };
    evaluator(&data, options).run(&model).unwrap();
    // Two queries of 23 have no relevant documents.
    assert_eq!(model.encoded(), (21, 41));
    assert_eq!(model.largest_call(), 21);
}

#[test]
fn per_query_values_average_to_the_report() {
    let (data, model) = Fixed::golden("plain");
    let evaluator = evaluator(&data, Default::default());
    let evaluation = evaluator.evaluate(&model).unwrap().remove(0);
    let ranking = &evaluation.rankings[0];
    assert_eq!(ranking.metrics.len(), evaluation.report.metrics.len());
    for (per_query, (key, value)) in ranking.metrics.iter().zip(&evaluation.report.metrics) {
        assert_eq!(per_query.values.len(), evaluator.query_ids().len());
        let mean = per_query.values.iter().sum::<f64>() / per_query.values.len() as f64;
        assert!((mean - value).abs() < 1e-12, "{key}");
    }
}

#[test]
fn the_primary_metric_follows_the_options() {
    let (data, model) = Fixed::golden("plain");
    let primary = |options| {
        evaluator(&data, options)
            .run(&model)
            .unwrap()
            .remove(0)
            .primary
    };
    let functions = vec![SimilarityFn::Cosine, SimilarityFn::Dot];
    let map = InformationRetrievalOptions {
        primary: PrimaryMetric::Map,
        ..Default::default()
    };
    assert_eq!(primary(map), "cosine_map@100");
    let main = InformationRetrievalOptions {
        score_functions: functions,
        main_score_function: Some(SimilarityFn::Dot),
        ..Default::default()
    };
    assert_eq!(primary(main), "dot_ndcg@10");
}

#[test]
fn names_stand_before_dimensions() {
    let (data, model) = Fixed::golden("plain");
    let options = InformationRetrievalOptions {
        name: "finance".into(),
        dims: Some(vec![4]),
        ..Default::default()
    };
    assert_eq!(
        evaluator(&data, options).run(&model).unwrap()[0].name,
        "finance_dim_4"
    );
}

fn refusal(data: RetrievalData, options: InformationRetrievalOptions) -> String {
    InformationRetrievalEvaluator::new(data, options)
        .err()
        .expect("this is refused")
        .to_string()
}

#[test]
fn data_and_options_without_a_result_are_refused() {
    let (data, model) = Fixed::golden("plain");
    let too_large = InformationRetrievalOptions {
        dims: Some(vec![4, 9]),
        ..Default::default()
    };
    let error = evaluator(&data, too_large).run(&model).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`dims` names 9, but the model's embeddings have 8 values"
    );
    assert_eq!(
        model.encoded(),
        (0, 0),
        "the error comes before the encoding"
    );

    let zero = InformationRetrievalOptions {
        map_at_k: vec![10, 0],
        ..Default::default()
    };
    assert_eq!(
        refusal(data.clone(), zero),
        "`map_at_k` is [10, 0], expected positive whole numbers"
    );
    let none = InformationRetrievalOptions {
        score_functions: vec![],
        ..Default::default()
    };
    assert_eq!(
        refusal(data.clone(), none),
        "`score_functions` is empty, expected at least one"
    );
    let main = InformationRetrievalOptions {
        main_score_function: Some(SimilarityFn::Dot),
        ..Default::default()
    };
    assert_eq!(
        refusal(data.clone(), main),
        "`main_score_function` is dot, but `score_functions` does not have it"
    );

    let mut irrelevant = data.clone();
    irrelevant.relevant.values_mut().for_each(BTreeSet::clear);
    assert_eq!(
        refusal(irrelevant, Default::default()),
        "none of the 23 queries has a relevant document"
    );
    let mut twice = data.clone();
    twice.corpus.push(twice.corpus[0].clone());
    assert_eq!(
        refusal(twice, Default::default()),
        "the document id `d0` occurs twice"
    );
    let mut empty = data;
    empty.corpus.clear();
    assert_eq!(
        refusal(empty, Default::default()),
        "the evaluation data has no documents"
    );
}
