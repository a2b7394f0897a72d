//! `matryo classify train`: from a model and labelled texts to a folder with a classifier.

use std::{io::Write, num::NonZeroUsize, path::PathBuf};

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser};
use matryo_base::Progress;
use matryo_classify::{
    Classifier, Examples, FewShotOptions, Listeners, LogisticOptions, Method, SamplingStrategy,
    Trained, Training, evaluate, train,
};
use matryo_data::{LabelledTexts, read_labelled_texts};
use matryo_ops::cpu_in;
use serde_json::{Value, json};

use super::{ColumnArgs, predict, report, tuning::TuningBar};
use crate::{
    args::{ModelArgs, PrecisionArgs},
    commands::{Context, Outcome, save::check_empty},
    error::CliError,
    model::ENCODING,
    progress::{self, download::DownloadBar, grouped},
    stdout,
    watched::warn_truncated,
};

/// Train a classifier on labelled texts.
///
/// Few-shot training (the default) tunes the model's embeddings on pairs of the texts first, in SetFit's way; the names and
/// defaults of its flags are setfit's. --probe leaves the embeddings as they are, which takes seconds; which of both is
/// better depends on model and data, so measure. The folder written is a complete sentence-transformers model with
/// classifier.json and classifier.safetensors beside it. Its path goes to standard output; with --eval a report does, and
/// with --json an object: output_dir, method, labels, examples, positive_pairs, negative_pairs, steps, iterations,
/// converged, tuning_seconds, encoding_seconds, fitting_seconds, and eval (as of `classify eval`).
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Labelled texts: .jsonl, .csv, .tsv or .parquet, also .gz and .zst
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Folder to write; it must be new or empty
    #[arg(long = "output_dir", alias = "output-dir", value_name = "DIR")]
    output_dir: PathBuf,
    /// Labelled texts to measure the classifier with when it is trained
    #[arg(long, value_name = "FILE")]
    eval: Option<PathBuf>,
    /// Train on N examples of each class, drawn at random [default: all]
    #[arg(long, alias = "examples_per_class", value_name = "N")]
    examples_per_class: Option<NonZeroUsize>,
    /// Leave the embeddings as they are
    #[arg(long)]
    probe: bool,
    /// Tune the embeddings on pairs of the examples first; the default
    #[arg(long, alias = "few_shot", conflicts_with = "probe")]
    few_shot: bool,
    #[command(flatten)]
    tuning: TuningArgs,
    #[command(flatten)]
    head: HeadArgs,
    /// Scale embeddings to length 1 before the head
    #[arg(long)]
    normalize: bool,
    /// Seed of the examples drawn and of the tuning
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// Settings of the tuning; what is not given has setfit's default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Few-shot training")]
struct TuningArgs {
    /// Passes over the pairs [default: 1]
    #[arg(long, aliases = ["num_epochs", "num-epochs"], value_name = "X", value_parser = positive, conflicts_with = "probe")]
    epochs: Option<f64>,
    /// Pairs in a batch [default: 16]
    #[arg(
        long = "batch_size",
        alias = "batch-size",
        value_name = "N",
        conflicts_with = "probe"
    )]
    batch_size: Option<NonZeroUsize>,
    /// Highest learning rate [default: 2e-5]
    #[arg(
        long = "learning_rate",
        aliases = ["learning-rate", "body_learning_rate"],
        value_name = "X",
        value_parser = positive,
        conflicts_with = "probe"
    )]
    learning_rate: Option<f64>,
    /// Share of the steps over which the learning rate rises [default: 0.1]
    #[arg(long = "warmup_proportion", alias = "warmup-proportion", value_name = "X", value_parser = share, conflicts_with = "probe")]
    warmup_proportion: Option<f64>,
    /// AdamW's weight decay [default: 0.01]
    #[arg(long = "l2_weight", alias = "l2-weight", value_name = "X", value_parser = not_negative, conflicts_with = "probe")]
    l2_weight: Option<f64>,
    /// How many pairs: as many of each kind as there are of the more or the less frequent kind, or each once [default:
    /// oversampling]
    #[arg(
        long = "sampling_strategy",
        alias = "sampling-strategy",
        value_name = "NAME",
        value_parser = strategy_parser(),
        conflicts_with = "probe"
    )]
    sampling_strategy: Option<SamplingStrategy>,
    /// So many pairs of each kind for every example, whatever the strategy
    #[arg(
        long = "num_iterations",
        alias = "num-iterations",
        value_name = "N",
        conflicts_with = "probe"
    )]
    num_iterations: Option<NonZeroUsize>,
    /// Optimizer steps, instead of epochs
    #[arg(
        long = "max_steps",
        alias = "max-steps",
        value_name = "N",
        conflicts_with = "probe"
    )]
    max_steps: Option<NonZeroUsize>,
}

/// How the head is fitted; what is not given has scikit-learn's default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Head")]
struct HeadArgs {
    /// Inverse strength of the regularisation [default: 1]
    #[arg(long = "C", value_name = "X", value_parser = positive)]
    c: Option<f64>,
    /// Most iterations [default: 100]
    #[arg(long = "max_iter", alias = "max-iter", value_name = "N")]
    max_iter: Option<NonZeroUsize>,
    /// Largest component of the gradient at which the optimum counts as found [default: 1e-4]
    #[arg(long, value_name = "X", value_parser = positive)]
    tol: Option<f64>,
}

/// Trains, measures if asked to, and prints.
pub fn run(args: &TrainArgs, context: &Context) -> Result<Outcome, CliError> {
    check_empty(&args.output_dir)?;
    let examples = examples(args)?;
    let held_out = args
        .eval
        .as_ref()
        .map(|path| read(path, &args.columns))
        .transpose()?;
    let facts = (grouped(examples.len() as u64), examples.classes.len());
    context
        .console
        .say(&format!("{} examples of {} classes", facts.0, facts.1));
    let trained = train_under_bars(args, &examples, context)?;
    tell(&trained, context);
    let report = held_out
        .map(|held_out| measure(args, &held_out, context))
        .transpose()?;
    print(args, &trained, report.as_ref(), context)?;
    Ok(Outcome::Done)
}

fn examples(args: &TrainArgs) -> Result<Examples, CliError> {
    let all = Examples::open(
        &args.data,
        &args.columns.text_column,
        &args.columns.label_column,
    )?;
    match args.examples_per_class {
        Some(wanted) => Ok(all.per_class(wanted.get(), args.seed)?),
        None => Ok(all),
    }
}

fn read(path: &std::path::Path, columns: &ColumnArgs) -> Result<LabelledTexts, CliError> {
    Ok(read_labelled_texts(
        path,
        &columns.text_column,
        &columns.label_column,
    )?)
}

fn train_under_bars(
    args: &TrainArgs,
    examples: &Examples,
    context: &Context,
) -> Result<Trained, CliError> {
    let console = &context.console;
    let training = Training {
        model: &args.model.model,
        revision: args.model.revision.as_deref(),
        precision: args.precision.precision,
        data: &args.data,
        examples,
        method: if args.probe {
            Method::Probe
        } else {
            Method::FewShot(args.tuning.options())
        },
        head: args.head.options(),
        normalize_embeddings: args.normalize,
        seed: args.seed,
    };
    let bar = progress::bar(console, examples.len() as u64, ENCODING);
    let encoding = |done: usize, _total: usize| bar.set_position(done as u64);
    let mut listeners = Listeners {
        downloads: &DownloadBar::new(*console),
        tuning: &mut TuningBar::new(*console),
        encoding: Progress::new(&encoding),
    };
    let trained = train(&training, &args.output_dir, &mut listeners);
    bar.finish_and_clear();
    Ok(trained?)
}

fn tell(trained: &Trained, context: &Context) {
    let console = &context.console;
    warn_truncated(trained.truncated, trained.examples, console);
    if let Some(expected) = &trained.missing_prompts {
        console.warn(&format!(
            "{}, and none is put before texts to be classified: write it before them, or name it as \
             `default_prompt_name` in config_sentence_transformers.json",
            expected.wish()
        ));
    }
    if !trained.converged {
        console.warn(&format!(
            "the head was not at its optimum after {} iterations (largest gradient {:.1e}): raise --max_iter",
            trained.iterations, trained.gradient
        ));
    }
    console.say(&format!(
        "tuned in {:.1} s, encoded in {:.1} s, fitted in {:.1} s ({} iterations)",
        trained.tuning_seconds,
        trained.encoding_seconds,
        trained.fitting_seconds,
        trained.iterations
    ));
}

/// Measures the classifier as it lies in its folder.
fn measure(
    args: &TrainArgs,
    held_out: &LabelledTexts,
    context: &Context,
) -> Result<Value, CliError> {
    let classifier = Classifier::open(&args.output_dir, cpu_in(args.precision.precision))?;
    let predictions = predict(&classifier, &held_out.texts, &context.console)?;
    let report = evaluate(&predictions, classifier.labels(), &held_out.labels);
    report::warn_unknown(&report, &context.console);
    if !context.json {
        report::print(&report)?;
    }
    Ok(json!(report))
}

fn print(
    args: &TrainArgs,
    trained: &Trained,
    report: Option<&Value>,
    context: &Context,
) -> Result<(), CliError> {
    if context.json {
        return stdout::print_json(&to_json(args, trained, report));
    }
    context
        .console
        .say(&format!("saved {}", args.output_dir.display()));
    match report {
        Some(_) => Ok(()),
        None => stdout::print(|out| writeln!(out, "{}", args.output_dir.display())),
    }
}

fn to_json(args: &TrainArgs, trained: &Trained, report: Option<&Value>) -> Value {
    let pairs = trained.tuned.map(|(pairs, _)| pairs);
    json!({
        "output_dir": args.output_dir,
        "method": if trained.tuned.is_some() { "few-shot" } else { "probe" },
        "labels": trained.labels,
        "examples": trained.examples,
        "positive_pairs": pairs.map(|pairs| pairs.positive),
        "negative_pairs": pairs.map(|pairs| pairs.negative),
        "steps": trained.tuned.map(|(_, steps)| steps),
        "iterations": trained.iterations,
        "converged": trained.converged,
        "tuning_seconds": trained.tuning_seconds,
        "encoding_seconds": trained.encoding_seconds,
        "fitting_seconds": trained.fitting_seconds,
        "eval": report,
    })
}

impl TuningArgs {
    fn options(&self) -> FewShotOptions {
        let default = FewShotOptions::default();
        FewShotOptions {
            num_epochs: self.epochs.unwrap_or(default.num_epochs),
            batch_size: self
                .batch_size
                .map_or(default.batch_size, NonZeroUsize::get),
            body_learning_rate: self.learning_rate.unwrap_or(default.body_learning_rate),
            warmup_proportion: self.warmup_proportion.unwrap_or(default.warmup_proportion),
            l2_weight: self.l2_weight.unwrap_or(default.l2_weight),
            sampling_strategy: self.sampling_strategy.unwrap_or(default.sampling_strategy),
            num_iterations: self.num_iterations.map(NonZeroUsize::get),
            max_steps: self.max_steps.map(NonZeroUsize::get),
        }
    }
}

impl HeadArgs {
    fn options(&self) -> LogisticOptions {
        let default = LogisticOptions::default();
        LogisticOptions {
            c: self.c.unwrap_or(default.c),
            max_iter: self.max_iter.map_or(default.max_iter, NonZeroUsize::get),
            tol: self.tol.unwrap_or(default.tol),
        }
    }
}

fn strategy_parser() -> impl TypedValueParser<Value = SamplingStrategy> {
    PossibleValuesParser::new(SamplingStrategy::ALL.map(SamplingStrategy::name))
        .try_map(|name| name.parse::<SamplingStrategy>())
}

fn number(text: &str, expected: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && fits(*number))
        .ok_or_else(|| format!("expected {expected}"))
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, "a number above 0", |number| number > 0.0)
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, "a number of at least 0", |number| number >= 0.0)
}

fn share(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 to 1", |number| {
        (0.0..=1.0).contains(&number)
    })
}
