//! Every registered loss against sentence-transformers, and against finite differences of itself.

use std::{collections::BTreeMap, path::PathBuf};

use matryo_losses::{LOSSES, Loss, LossBatch, LossOutput, build};
use matryo_ops::{Mat, MatRef};
use matryo_testkit::{
    Tensor, Tolerance, assert_close, assert_value, directional_derivative, pseudo_random,
    read_json, read_safetensors,
};
use serde_json::Value;

struct Case {
    name: String,
    loss: Box<dyn Loss>,
    inputs: Vec<Mat>,
    labels: Option<Vec<f32>>,
    gradients: Vec<Tensor>,
    value: f64,
    config: Value,
    registered: String,
}

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

/// The first `rows` rows of a tensor.
fn rows_of(tensor: &Tensor, rows: usize) -> Mat {
    let (_, dim) = tensor.rows_cols();
    Mat::from_vec(rows, dim, tensor.data[..rows * dim].to_vec())
}

fn case(entry: &Value, tensors: &BTreeMap<String, Tensor>) -> Case {
    let name = entry["case"].as_str().unwrap().to_owned();
    let registered = entry["loss"].as_str().unwrap().to_owned();
    let columns: Vec<_> = entry["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_str().unwrap())
        .collect();
    let rows = entry["rows"].as_u64().unwrap() as usize;
    Case {
        loss: build(&registered, &entry["parameters"]).unwrap(),
        inputs: columns
            .iter()
            .map(|c| rows_of(&tensors[&format!("in.{c}")], rows))
            .collect(),
        labels: entry["label"]
            .as_str()
            .map(|name| tensors[&format!("label.{name}")].data[..rows].to_vec()),
        gradients: columns
            .iter()
            .map(|c| tensors[&format!("{name}.grad.{c}")].clone())
            .collect(),
        value: entry["value"].as_f64().unwrap(),
        config: entry["config"].clone(),
        name,
        registered,
    }
}

fn cases() -> Vec<Case> {
    let tensors = read_safetensors(golden("losses.safetensors"));
    read_json(golden("losses.json"))
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| case(entry, &tensors))
        .collect()
}

fn eval(case: &Case, columns: &[Mat]) -> LossOutput {
    let columns: Vec<MatRef<'_>> = columns.iter().map(Mat::view).collect();
    let batch = LossBatch {
        columns: &columns,
        labels: case.labels.as_deref(),
        seed: 1,
    };
    case.loss.eval(&*matryo_ops::cpu(), &batch)
}

#[test]
fn every_registered_loss_has_a_case() {
    let cases = cases();
    for entry in LOSSES {
        assert!(
            cases.iter().any(|case| case.registered == entry.name),
            "{} has no golden case",
            entry.name
        );
    }
}

#[test]
fn values_and_gradients_equal_upstream() {
    for case in cases() {
        let output = eval(&case, &case.inputs);
        let what = format!("value of {}", case.name);
        // A value near 0 is the difference of scores around 20, which f32 knows to 1e-6.
        assert_value(
            output.value,
            case.value,
            Tolerance::Absolute(1e-5 * case.value.abs().max(0.1)),
            &what,
        );
        assert_eq!(output.d_columns.len(), case.gradients.len());
        for (i, (d, expected)) in output.d_columns.iter().zip(&case.gradients).enumerate() {
            let what = format!("gradient {i} of {}", case.name);
            assert_eq!(expected.rows_cols(), (d.rows(), d.cols()), "{what}");
            assert_close(d.data(), &expected.data, Tolerance::Relative(1e-5), &what);
        }
    }
}

#[test]
fn configurations_equal_upstream() {
    for case in cases() {
        assert_eq!(
            case.loss.config().to_string(),
            case.config.to_string(),
            "{}",
            case.name
        );
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for case in cases() {
        let output = eval(&case, &case.inputs);
        for (i, d) in output.d_columns.iter().enumerate() {
            let direction = pseudo_random(d.data().len(), 31 + i as u64);
            let slope: f64 = d
                .data()
                .iter()
                .zip(&direction)
                .map(|(d, v)| f64::from(*d) * f64::from(*v))
                .sum();
            let value = |x: &[f32]| {
                let mut moved = case.inputs.clone();
                moved[i] = Mat::from_vec(d.rows(), d.cols(), x.to_vec());
                eval(&case, &moved).value
            };
            let difference = directional_derivative(value, case.inputs[i].data(), &direction, 3e-3);
            let tolerance = Tolerance::Absolute(2e-3 * slope.abs().max(0.1));
            assert_value(
                difference,
                slope,
                tolerance,
                &format!("slope of {} along column {i}", case.name),
            );
        }
    }
}
