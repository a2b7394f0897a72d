//! `matryo classify eval`: how good a classifier is, and whether its probabilities can be believed.

use std::path::PathBuf;

use clap::Args;
use matryo_classify::{ClassificationReport, evaluate};
use matryo_data::read_labelled_texts;

use super::{ColumnArgs, open, predict, report};
use crate::{
    args::PrecisionArgs,
    commands::{Context, Outcome},
    error::CliError,
    requirement::Requirement,
    stdout,
};

/// Measure a classifier on labelled texts.
///
/// Accuracy, macro F1, log loss and Brier score as scikit-learn has them, the expected calibration error (15 bins), a
/// reliability table, and the worst classes with what they are taken for. With --json: examples, accuracy, f1_macro,
/// log_loss, brier_score, expected_calibration_error, calibration, classes, unknown_labels. A label that the classifier does
/// not know counts as wrong. Exit code 1 says that a required quality was missed.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Folder that `matryo classify train` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Labelled texts: .jsonl, .csv, .tsv or .parquet, also .gz and .zst
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Least accuracy or f1_macro, or greatest log_loss, brier_score or expected_calibration_error, as accuracy=0.8; may be
    /// repeated
    #[arg(long, value_name = "METRIC=VALUE")]
    require: Vec<Requirement>,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// Measures and prints.
pub fn run(args: &EvalArgs, context: &Context) -> Result<Outcome, CliError> {
    let keys = ClassificationReport::METRICS.map(str::to_owned);
    args.require
        .iter()
        .try_for_each(|requirement| requirement.check(&keys))?;
    let data = read_labelled_texts(
        &args.data,
        &args.columns.text_column,
        &args.columns.label_column,
    )?;
    let classifier = open(&args.folder, args.precision, &context.console)?;
    let predictions = predict(&classifier, &data.texts, &context.console)?;
    let report = evaluate(&predictions, classifier.labels(), &data.labels);
    report::warn_unknown(&report, &context.console);
    if context.json {
        stdout::print_json(&report)?;
    } else {
        report::print(&report)?;
    }
    Ok(judge(&args.require, &report, context))
}

/// A missed requirement is a warning each, and a negative answer.
fn judge(
    requirements: &[Requirement],
    report: &ClassificationReport,
    context: &Context,
) -> Outcome {
    let metrics = report.metrics().map(|(key, value)| (key.to_owned(), value));
    let missed =
        |requirement: &Requirement| match ClassificationReport::more_is_better(requirement.key()) {
            true => requirement.missed(&metrics),
            false => requirement.exceeded(&metrics),
        };
    let missed: Vec<String> = requirements.iter().filter_map(missed).collect();
    missed
        .iter()
        .for_each(|missed| context.console.warn(missed));
    if missed.is_empty() {
        Outcome::Done
    } else {
        Outcome::Negative
    }
}
