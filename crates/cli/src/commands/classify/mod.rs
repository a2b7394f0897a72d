//! `matryo classify`: a classifier on a model's embeddings: trained, used, measured.

mod eval;
mod predict;
mod report;
mod train;
mod tuning;

use std::path::Path;

use clap::{Args, Subcommand};
use matryo_base::Progress;
use matryo_classify::{Classifier, Predictions};
use matryo_ops::cpu_in;

use super::{Context, Outcome};
use crate::{
    args::PrecisionArgs, console::Console, error::CliError, model::ENCODING, progress,
    watched::warn_truncated,
};

/// Train a classifier on a model, use it, measure it.
///
/// A head of logistic regression on the embeddings, after the embeddings were tuned on a few labelled texts (SetFit), or as
/// they are (--probe).
#[derive(Debug, Args)]
pub struct ClassifyArgs {
    #[command(subcommand)]
    command: ClassifyCommand,
}

// The text of each command's help stands at its arguments.
#[derive(Debug, Subcommand)]
enum ClassifyCommand {
    Train(Box<train::TrainArgs>),
    Predict(predict::PredictArgs),
    Eval(eval::EvalArgs),
}

/// Which columns of a file hold what.
#[derive(Debug, Args)]
struct ColumnArgs {
    /// Column of the file that holds the texts
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_column: String,
    /// Column of the file that holds the labels, texts or numbers
    #[arg(long, value_name = "NAME", default_value = "label")]
    label_column: String,
}

/// Runs the command under `classify`.
pub fn run(args: &ClassifyArgs, context: &Context) -> Result<Outcome, CliError> {
    match &args.command {
        ClassifyCommand::Train(args) => train::run(args, context),
        ClassifyCommand::Predict(args) => predict::run(args, context),
        ClassifyCommand::Eval(args) => eval::run(args, context),
    }
}

fn open(
    folder: &Path,
    precision: PrecisionArgs,
    console: &Console,
) -> Result<Classifier, CliError> {
    let mut classifier = Classifier::open(folder, cpu_in(precision.precision))?;
    classifier
        .model()
        .folder()
        .notes
        .iter()
        .for_each(|note| console.note(note));
    let console = *console;
    classifier.on_missing_prompt(move |expected| {
        console.warn(&format!(
            "{}, and none is put before texts to be classified: write before them what the training's texts had",
            expected.wish()
        ));
    });
    Ok(classifier)
}

/// Predicts under a bar, and tells how many texts were cut.
fn predict(
    classifier: &Classifier,
    texts: &[String],
    console: &Console,
) -> Result<Predictions, CliError> {
    let bar = progress::bar(console, texts.len() as u64, ENCODING);
    let predicted = classifier.predict_with(
        texts,
        Progress::new(&|done, _| bar.set_position(done as u64)),
    );
    bar.finish_and_clear();
    let (predictions, encoded) = predicted?;
    warn_truncated(encoded.truncated, texts.len(), console);
    Ok(predictions)
}
