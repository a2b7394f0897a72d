//! Comparison of a run with a recorded one.

use std::path::Path;

use matryo_model::{Checkpoint, EncodeOptions, SentenceEncoder};
use matryo_testkit::{Tolerance, assert_close, assert_value};
use matryo_train::TrainOutcome;

use super::{Recorder, Trace, golden};

/// Steps, order, rates, losses, norms and metrics.
pub fn course(trace: &Trace, recorder: &Recorder) {
    let found: Vec<u64> = recorder
        .steps
        .iter()
        .map(|step| step.micro_batches)
        .collect();
    let expected: Vec<u64> = trace.steps.iter().map(|step| step.micro_batches).collect();
    assert_eq!(found, expected, "micro-batches after which a step is taken");
    let order = |batches: &[(Vec<u32>, f64, f64)]| {
        batches
            .iter()
            .map(|batch| batch.0.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        order(&recorder.batches),
        order(&trace.micro),
        "rows of the micro-batches"
    );
    for (i, (found, expected)) in recorder.batches.iter().zip(&trace.micro).enumerate() {
        assert_value(
            found.1,
            expected.1,
            loss_tolerance(expected.1),
            &format!("loss of micro-batch {i}"),
        );
        assert_value(
            found.2,
            expected.2,
            loss_tolerance(expected.2),
            &format!("scaled loss of micro-batch {i}"),
        );
    }
    for (i, (found, expected)) in recorder.steps.iter().zip(&trace.steps).enumerate() {
        let rate = expected.learning_rate;
        assert!(
            (found.learning_rate - rate).abs() <= 1e-15 * rate,
            "rate of step {i}: {} {rate}",
            found.learning_rate
        );
        assert_value(
            found.grad_norm,
            expected.grad_norm,
            Tolerance::Relative(1e-3),
            &format!("norm of step {i}"),
        );
    }
    metrics(trace, recorder);
}

/// 1e-4 relative, but not below what f32 gives: PyTorch takes logarithms of softmax over scores up to 20, whose last place is
/// 2e-6. A recorded loss of 0.0055115 for a batch of 4 is 0.0055108 in f64, and here.
fn loss_tolerance(expected: f64) -> Tolerance {
    Tolerance::Absolute(1e-4 * expected.abs() + 1e-6)
}

/// Metrics to 4 decimals.
fn metrics(trace: &Trace, recorder: &Recorder) {
    assert_eq!(
        recorder.evaluations.len(),
        trace.epochs.len(),
        "evaluations"
    );
    for ((epoch, step, reports), (expected_epoch, expected_step, expected)) in
        recorder.evaluations.iter().zip(&trace.epochs)
    {
        assert_eq!((epoch, step), (expected_epoch, expected_step));
        let metrics = matryo_eval::flatten(reports);
        for (key, value) in &metrics {
            let expected = expected[format!("eval_{key}")]
                .as_f64()
                .unwrap_or_else(|| panic!("no metric {key}"));
            assert!(
                (value - expected).abs() < 5e-5,
                "epoch {epoch}, {key}: {value}, expected {expected}"
            );
        }
        let count = expected
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| key.starts_with("eval_dim_"))
            .count();
        assert_eq!(
            metrics
                .iter()
                .filter(|(key, _)| key.starts_with("dim_"))
                .count(),
            count
        );
    }
}

/// The best checkpoint, the mean loss, and the folder that was written.
pub fn result(trace: &Trace, outcome: &TrainOutcome) {
    assert_eq!(outcome.saved_step, trace.best.0, "best checkpoint");
    assert_value(
        outcome.best.as_ref().unwrap().value,
        trace.best.1,
        Tolerance::Absolute(5e-5),
        "best metric",
    );
    assert_value(
        outcome.train_loss,
        trace.train_loss,
        Tolerance::Relative(1e-4),
        "train_loss",
    );
    probes(trace, "final", &outcome.output_dir);
}

/// Embeddings of the probe sentences by the model in `folder`.
pub fn probes(trace: &Trace, name: &str, folder: &Path) {
    probes_with(trace, name, folder, None);
}

/// As [`probes`], with a task of the sentences.
pub fn probes_with(trace: &Trace, name: &str, folder: &Path, task: Option<String>) {
    let options = EncodeOptions {
        task,
        ..EncodeOptions::default()
    };
    let text = std::fs::read_to_string(golden("probe16.txt")).unwrap();
    let sentences: Vec<&str> = text.lines().collect();
    let found = SentenceEncoder::open(folder)
        .unwrap()
        .encode_with(&sentences, &options)
        .unwrap()
        .embeddings;
    assert_close(
        found.data(),
        &trace.probes[name].data,
        Tolerance::Absolute(1e-4),
        &format!("probe embeddings, {name}"),
    );
}

/// Final weights of the model that started as `base`. The true gradient of attention key biases without rotary positions is 0,
/// since softmax does not see them; what moves them is rounding, which Adam blows up to full steps, so those of which `is_zero`
/// says so are left out.
pub fn weights(trace: &Trace, folder: &Path, base: &Path, is_zero: impl Fn(&str) -> bool) {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let base = Checkpoint::open(base).unwrap();
    let (mut compared, mut left_out) = (0, 0);
    for (key, expected) in trace
        .weights
        .iter()
        .filter_map(|(key, t)| Some((key.strip_prefix("weights.")?, t)))
    {
        if is_zero(key) {
            left_out += 1;
            continue;
        }
        let mut found = read(&checkpoint, key);
        if let Some(rows) = trace.weights.get(&format!("rows.{key}")) {
            let width = checkpoint.shape(key).unwrap()[1];
            found = only_rows(&found, &read(&base, key), width, &rows.data, key);
        }
        assert_close(&found, &expected.data, Tolerance::Absolute(1e-4), key);
        compared += 1;
    }
    let tensors = checkpoint.names().len();
    assert_eq!(compared + left_out, tensors, "every tensor");
}

fn read(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let shape = checkpoint.shape(name).unwrap().to_vec();
    let mut values = vec![0.0; shape.iter().product()];
    checkpoint.read(name, &shape, &mut values).unwrap();
    values
}

/// The given rows; all others must be as they were.
fn only_rows(found: &[f32], base: &[f32], width: usize, rows: &[f32], name: &str) -> Vec<f32> {
    let mut kept = Vec::new();
    for (row, (now, before)) in found.chunks(width).zip(base.chunks(width)).enumerate() {
        if rows.contains(&(row as f32)) {
            kept.extend_from_slice(now);
        } else {
            assert_eq!(
                now, before,
                "{name}: row {row} has no gradient and no decay"
            );
        }
    }
    kept
}
