//! `matryo sts`: scores of sentence pairs, and how well they follow given ones.

use std::{io::Write, num::NonZeroUsize, path::PathBuf};

use clap::Args;
use matryo_data::{PairColumns, SentencePairs};
use matryo_eval::{EmbeddingSimilarityEvaluator, EmbeddingSimilarityOptions, Report};
use matryo_model::{EncodeOptions, SentenceEncoder, SimilarityFn, pairwise_similarity};
use matryo_ops::Mat;
use serde_json::{Map, Value, json};

use super::{Context, Outcome, eval::judge};
use crate::{
    args::{ModelArgs, PrecisionArgs, similarity_parser},
    error::CliError,
    model,
    output::records::{Column, Records, Target},
    requirement::Requirement,
    stdout, table,
};

/// Score pairs of sentences (semantic textual similarity).
///
/// The file holds the columns sentence1, sentence2 and, if it is there, score. With scores, Pearson's and Spearman's
/// correlation with them are printed, with --json under the keys of sentence-transformers' EmbeddingSimilarityEvaluator:
/// {"pearson_cosine": 0.81, "spearman_cosine": 0.80, ..., "pearson_max": 0.81, "spearman_max": 0.80}. Without, a
/// line a pair: a score for each of --score, sentence, sentence; with --json {"pairs": [{"sentence1": ..., "sentence2": ...,
/// "cosine": 0.7}, ...]}.
#[derive(Debug, Args)]
pub struct StsArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// File of sentence pairs: .jsonl, .csv, .tsv or .parquet
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Columns of the sentences and, if there is one, of the score [default: sentence1,sentence2 and score]
    #[arg(long, value_name = "NAME,NAME[,NAME]", value_parser = read_columns)]
    columns: Option<Columns>,
    /// How to compare [default: with scores all, else what the model says, else cosine]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = similarity_parser())]
    score: Option<Vec<SimilarityFn>>,
    /// Compare the first N values of each embedding only
    #[arg(long, value_name = "N")]
    truncate_dim: Option<NonZeroUsize>,
    /// File to write the pairs and their scores to: .csv, .jsonl or .parquet
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Least value of a metric, as spearman_cosine=0.8; may be repeated
    #[arg(long, value_name = "METRIC=VALUE")]
    require: Vec<Requirement>,
}

/// Names of columns.
#[derive(Clone, Debug)]
struct Columns(PairColumns);

fn read_columns(names: &str) -> Result<Columns, String> {
    let names: Vec<String> = names
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    match &names[..] {
        [first, second, score @ ..] if score.len() < 2 => {
            let (sentences, score) = ([first.clone(), second.clone()], score.first().cloned());
            Ok(Columns(PairColumns { sentences, score }))
        }
        _ => Err("expected two or three names".to_owned()),
    }
}

/// Scores and prints.
pub fn run(args: &StsArgs, context: &Context) -> Result<Outcome, CliError> {
    let target = args.output.as_deref().map(Target::of).transpose()?;
    let pairs = SentencePairs::open(&args.data, args.columns.as_ref().map(|columns| &columns.0))?;
    let model = model::open(&args.model, args.precision, &context.console)?;
    let functions = functions(args, &pairs, &model);
    let evaluator = evaluator(&pairs, &functions)?;
    let keys = evaluator
        .as_ref()
        .map_or_else(Vec::new, |_| keys(&functions));
    args.require
        .iter()
        .try_for_each(|requirement| requirement.check(&keys))?;
    let embeddings = [
        encode(&model, &pairs.sentences1, args, context)?,
        encode(&model, &pairs.sentences2, args, context)?,
    ];
    let [first, second] = embeddings.each_ref().map(Mat::view);
    let scores = functions
        .iter()
        .map(|&function| (function, pairwise_similarity(function, first, second)));
    let records = records(&pairs, &scores.collect::<Vec<_>>());
    if let Some(target) = target {
        target.write(&records)?;
        context
            .console
            .say(&format!("wrote {}", target.path().display()));
    }
    match evaluator {
        Some(evaluator) => {
            let report = evaluator.measure(first, second);
            print_report(&functions, &report, context.json)?;
            return Ok(judge(&args.require, &[report], context));
        }
        None if context.json => stdout::print_json(&json!({"pairs": records}))?,
        None if target.is_none() => print_pairs(&records, functions.len())?,
        None => (),
    }
    Ok(Outcome::Done)
}

fn functions(args: &StsArgs, pairs: &SentencePairs, model: &SentenceEncoder) -> Vec<SimilarityFn> {
    match (&args.score, &pairs.scores) {
        (Some(functions), _) => functions.clone(),
        (None, Some(_)) => SimilarityFn::ALL.to_vec(),
        (None, None) => vec![model.similarity_fn()],
    }
}

/// The metrics that are measured.
fn keys(functions: &[SimilarityFn]) -> Vec<String> {
    let names = functions
        .iter()
        .map(|function| function.name())
        .chain(["max"]);
    names
        .flat_map(|name| [format!("pearson_{name}"), format!("spearman_{name}")])
        .collect()
}

/// Only with scores to compare with.
fn evaluator(
    pairs: &SentencePairs,
    functions: &[SimilarityFn],
) -> Result<Option<EmbeddingSimilarityEvaluator>, CliError> {
    let options = EmbeddingSimilarityOptions {
        similarity_fn_names: functions.to_vec(),
        ..EmbeddingSimilarityOptions::default()
    };
    let scored = pairs.scores.is_some();
    Ok(scored
        .then(|| EmbeddingSimilarityEvaluator::new(pairs.clone(), options))
        .transpose()?)
}

fn encode(
    model: &SentenceEncoder,
    texts: &[String],
    args: &StsArgs,
    context: &Context,
) -> Result<Mat, CliError> {
    let truncate_dim = args.truncate_dim.map(NonZeroUsize::get);
    let options = EncodeOptions {
        truncate_dim,
        ..EncodeOptions::default()
    };
    Ok(model::encode(model, texts, options, &context.console)?.embeddings)
}

/// The pairs, their score if there is one, and what each function says.
fn records<'a>(pairs: &'a SentencePairs, scores: &[(SimilarityFn, Vec<f32>)]) -> Records<'a> {
    let texts = |texts: &'a [String]| Column::Text(texts.iter().map(String::as_str).collect());
    let mut columns = vec![
        ("sentence1", texts(&pairs.sentences1)),
        ("sentence2", texts(&pairs.sentences2)),
    ];
    columns.extend(
        pairs
            .scores
            .iter()
            .map(|scores| ("score", Column::Double(scores.clone()))),
    );
    columns.extend(
        scores
            .iter()
            .map(|(function, scores)| (function.name(), Column::Float(scores.clone()))),
    );
    Records(columns)
}

fn print_pairs(records: &Records<'_>, functions: usize) -> Result<(), CliError> {
    let (sentences, scores) = records.0.split_at(records.0.len() - functions);
    stdout::print(|out| {
        (0..records.len()).try_for_each(|row| {
            let score = |column: &Column<'_>| match column {
                Column::Float(values) => format!("{:.6}", values[row]),
                other => other.text(row),
            };
            let cells: Vec<String> = scores
                .iter()
                .chain(sentences)
                .map(|(_, column)| score(column))
                .collect();
            writeln!(out, "{}", cells.join("\t"))
        })
    })
}

fn print_report(functions: &[SimilarityFn], report: &Report, json: bool) -> Result<(), CliError> {
    if json {
        let metrics = report
            .metrics
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(*value)));
        return stdout::print_json(&metrics.collect::<Map<_, _>>());
    }
    let header = ["similarity", "pearson", "spearman"].map(str::to_owned);
    let cell = |key: String| {
        report
            .get(&key)
            .map_or_else(String::new, |value| format!("{value:.4}"))
    };
    let row = |name: &str| {
        vec![
            name.to_owned(),
            cell(format!("pearson_{name}")),
            cell(format!("spearman_{name}")),
        ]
    };
    let rows: Vec<_> = functions
        .iter()
        .map(|function| row(function.name()))
        .collect();
    stdout::print(|out| writeln!(out, "{}", table::render(&header, &rows)))
}
