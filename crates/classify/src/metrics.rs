//! How good a classifier is on labelled texts.

use serde::Serialize;

use crate::{
    CalibrationBin, ClassReport, Predictions,
    calibration::{bins, expected_error},
    per_class::class_reports,
};

/// Measures of a classifier, with the names of scikit-learn where it has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassificationReport {
    /// Texts measured on.
    pub examples: usize,
    /// `accuracy_score`.
    pub accuracy: f64,
    /// `f1_score(average="macro")`: over the classes that occur as truth or as prediction.
    pub f1_macro: f64,
    /// `log_loss`.
    pub log_loss: f64,
    /// `brier_score_loss`: the mean squared distance of probabilities and truth, halved for two classes.
    pub brier_score: f64,
    /// The mean distance of confidence and accuracy over 15 bins (Guo et al. 2017).
    pub expected_calibration_error: f64,
    /// The bins.
    pub calibration: Vec<CalibrationBin>,
    /// Every class that occurs.
    pub classes: Vec<ClassReport>,
    /// Labels of the data that the classifier does not know, with the number of their texts, which count as wrong.
    pub unknown_labels: Vec<(String, usize)>,
}

impl ClassificationReport {
    /// Names of the measures.
    pub const METRICS: [&'static str; 5] = [
        "accuracy",
        "f1_macro",
        "log_loss",
        "brier_score",
        "expected_calibration_error",
    ];

    /// The measures by name.
    pub fn metrics(&self) -> [(&'static str, f64); 5] {
        let values = [
            self.accuracy,
            self.f1_macro,
            self.log_loss,
            self.brier_score,
            self.expected_calibration_error,
        ];
        std::array::from_fn(|i| (Self::METRICS[i], values[i]))
    }

    /// Whether more of a measure is better: of accuracy and F1, and not of losses and errors.
    pub fn more_is_better(metric: &str) -> bool {
        matches!(metric, "accuracy" | "f1_macro")
    }
}

/// Compares predictions over the classes `labels` with the label of each text. A label that is none of `labels` is a class of
/// probability 0.
///
/// # Panics
/// Unless there are a truth for each prediction, and as many labels as classes.
pub fn evaluate(
    predictions: &Predictions,
    labels: &[String],
    truth: &[String],
) -> ClassificationReport {
    assert_eq!(
        (predictions.len(), predictions.classes()),
        (truth.len(), labels.len()),
        "texts and classes"
    );
    let unknown = unknown(labels, truth);
    let names: Vec<&str> = labels
        .iter()
        .chain(unknown.iter().map(|(label, _)| label))
        .map(String::as_str)
        .collect();
    let place = |label: &String| {
        names
            .iter()
            .position(|name| name == label)
            .expect("known, or listed as unknown")
    };
    let truths: Vec<usize> = truth.iter().map(place).collect();
    let outcomes: Vec<(usize, usize)> = truths
        .iter()
        .enumerate()
        .map(|(i, &t)| (t, predictions.best(i)))
        .collect();
    let confidences: Vec<(f64, bool)> = outcomes
        .iter()
        .enumerate()
        .map(|(i, &(t, best))| (predictions.row(i)[best], t == best))
        .collect();
    let calibration = bins(&confidences);
    let classes = class_reports(&names, &outcomes);
    ClassificationReport {
        examples: truth.len(),
        accuracy: mean(
            confidences
                .iter()
                .map(|(_, right)| f64::from(u8::from(*right))),
        ),
        f1_macro: mean(classes.iter().map(|class| class.f1)),
        log_loss: mean(
            truths
                .iter()
                .enumerate()
                .map(|(i, &t)| surprise(predictions.row(i), t)),
        ),
        brier_score: mean(
            truths
                .iter()
                .enumerate()
                .map(|(i, &t)| squared_distance(predictions.row(i), t)),
        ),
        expected_calibration_error: expected_error(&calibration),
        calibration,
        classes,
        unknown_labels: unknown,
    }
}

/// Labels that are not among those of the classifier, sorted, with their texts.
fn unknown(labels: &[String], truth: &[String]) -> Vec<(String, usize)> {
    let mut strange: Vec<&String> = truth
        .iter()
        .filter(|label| !labels.contains(label))
        .collect();
    strange.sort_unstable();
    strange
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0].clone(), same.len()))
        .collect()
}

/// Minus the logarithm of the truth's probability, which is kept off 0 and 1 by the precision of a double.
fn surprise(probabilities: &[f64], truth: usize) -> f64 {
    let p = probabilities.get(truth).copied().unwrap_or(0.0);
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

fn squared_distance(probabilities: &[f64], truth: usize) -> f64 {
    let missed = if truth < probabilities.len() {
        0.0
    } else {
        1.0
    };
    let one = |class| if class == truth { 1.0 } else { 0.0 };
    let squares = probabilities
        .iter()
        .enumerate()
        .map(|(class, p)| (p - one(class)).powi(2));
    let total = missed + squares.sum::<f64>();
    if probabilities.len() == 2 {
        total / 2.0
    } else {
        total
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}
