//! Heads and measures against scikit-learn, pairs against setfit.

use std::path::PathBuf;

use matryo_classify::{
    LogisticHead, LogisticOptions, PairOptions, Predictions, contrastive_pairs, evaluate,
};
use matryo_ops::Mat;
use matryo_testkit::{Tolerance, assert_close, assert_value, read_json};
use serde_json::Value;

fn golden(part: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/golden.json");
    read_json(path)[part].as_array().unwrap().clone()
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| item(value).unwrap())
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value, Value::as_f64)
}

fn sizes(value: &Value) -> Vec<usize> {
    list(value, |v| v.as_u64().map(|n| n as usize))
}

/// Rows laid end to end.
fn flat(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(numbers).collect()
}

struct Case {
    name: String,
    x: Mat,
    y: Vec<usize>,
    classes: usize,
    c: f64,
}

fn case(value: &Value) -> Case {
    let rows = value["x"].as_array().unwrap().len();
    let x: Vec<f32> = flat(&value["x"]).into_iter().map(|v| v as f32).collect();
    Case {
        name: value["name"].as_str().unwrap().to_owned(),
        x: Mat::from_vec(rows, x.len() / rows, x),
        y: sizes(&value["y"]),
        classes: value["probabilities"][0].as_array().unwrap().len(),
        c: value["C"].as_f64().unwrap(),
    }
}

fn values(predictions: &Predictions) -> Vec<f64> {
    (0..predictions.len())
        .flat_map(|i| predictions.row(i).to_vec())
        .collect()
}

#[test]
fn the_optimum_is_scikit_learns() {
    for golden in golden("heads") {
        let case = case(&golden);
        let options = LogisticOptions {
            c: case.c,
            max_iter: 1000,
            tol: 1e-9,
        };
        let fit = LogisticHead::fit(case.x.view(), &case.y, case.classes, &options);
        assert!(fit.converged, "{}", case.name);
        let what = |part: &str| format!("{part} of {}", case.name);
        let expected = flat(&golden["coef"]);
        assert_close(
            fit.head.coef(),
            &expected,
            Tolerance::Relative(1e-6),
            &what("coefficients"),
        );
        assert_close(
            fit.head.intercept(),
            &numbers(&golden["intercept"]),
            Tolerance::Absolute(1e-6),
            &what("intercepts"),
        );
        let predictions = fit.head.probabilities(case.x.view());
        let expected = flat(&golden["probabilities"]);
        assert_close(
            &values(&predictions),
            &expected,
            Tolerance::Absolute(1e-7),
            &what("probabilities"),
        );
        let best: Vec<usize> = (0..predictions.len())
            .map(|i| predictions.best(i))
            .collect();
        assert_eq!(best, sizes(&golden["predictions"]), "{}", case.name);
    }
}

/// Both stop a little before the optimum, and not at the same point.
#[test]
fn defaults_end_as_near_as_scikit_learns() {
    for golden in golden("heads") {
        let case = case(&golden);
        let options = LogisticOptions {
            c: case.c,
            ..LogisticOptions::default()
        };
        let fit = LogisticHead::fit(case.x.view(), &case.y, case.classes, &options);
        assert!(
            fit.converged && fit.iterations <= 100,
            "{}: {}",
            case.name,
            fit.iterations
        );
        let found = values(&fit.head.probabilities(case.x.view()));
        let what = format!("probabilities of {}", case.name);
        assert_close(
            &found,
            &flat(&golden["default_probabilities"]),
            Tolerance::Absolute(5e-3),
            &what,
        );
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let x = Mat::from_vec(1000, 16, matryo_testkit::pseudo_random(16_000, 9));
    let y: Vec<usize> = (0..1000).map(|i| i % 5).collect();
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let head = LogisticHead::fit(x.view(), &y, 5, &LogisticOptions::default()).head;
            (head.probabilities(x.view()), head)
        })
    };
    assert_eq!(fit(1), fit(3));
}

#[test]
fn measures_are_scikit_learns() {
    for golden in golden("measures") {
        let texts = |value: &Value| list(value, |v| v.as_str().map(str::to_owned));
        let (labels, truth) = (texts(&golden["labels"]), texts(&golden["truth"]));
        let predictions = Predictions::new(labels.len(), flat(&golden["probabilities"]));
        let report = evaluate(&predictions, &labels, &truth);
        for (metric, value) in report.metrics() {
            let what = format!("{metric} of {}", golden["name"]);
            assert_value(
                value,
                golden[metric].as_f64().unwrap(),
                Tolerance::Absolute(1e-12),
                &what,
            );
        }
        let unknown: Vec<_> = report
            .unknown_labels
            .iter()
            .map(|(label, _)| label.as_str())
            .collect();
        let expected: &[&str] = if golden["name"] == "unknown labels" {
            &["y", "z"]
        } else {
            &[]
        };
        assert_eq!(unknown, expected);
        assert_eq!(
            report
                .calibration
                .iter()
                .map(|bin| bin.count)
                .sum::<usize>(),
            truth.len()
        );
    }
}

#[test]
fn pairs_are_setfits_in_its_order() {
    for golden in golden("pairs") {
        let size = |key: &str| golden.get(key).and_then(Value::as_u64).map(|n| n as usize);
        let strategy = golden
            .get("sampling_strategy")
            .and_then(Value::as_str)
            .map(|name| name.parse().unwrap());
        let options = PairOptions {
            sampling_strategy: strategy.unwrap_or_default(),
            num_iterations: size("num_iterations"),
            max_pairs: size("max_pairs"),
        };
        let pairs = contrastive_pairs(&sizes(&golden["classes"]), &options);
        let found: Vec<f64> = pairs
            .iter()
            .flat_map(|p| {
                [
                    f64::from(p.first),
                    f64::from(p.second),
                    f64::from(u8::from(p.positive)),
                ]
            })
            .collect();
        assert_eq!(found, flat(&golden["pairs"]), "{options:?}");
    }
}
