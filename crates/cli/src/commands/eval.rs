//! `matryo eval`: retrieval quality of a model at every dimension.

use std::{
    io::Write,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::Args;
use matryo_data::RetrievalData;
use matryo_eval::{
    Evaluator, InformationRetrievalEvaluator, InformationRetrievalOptions, Report, flatten,
    write_csv,
};
use matryo_model::{Embed, SentenceEncoder, SimilarityFn};
use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::{
    args::{ModelArgs, PrecisionArgs, similarity_parser},
    error::CliError,
    metrics, model, output,
    requirement::Requirement,
    stdout,
    watched::Watched,
};

/// Measure how well a model retrieves, at every dimension.
///
/// Accuracy, precision, recall, NDCG, MRR and MAP at k, with the keys of sentence-transformers'
/// InformationRetrievalEvaluator. With --json: {"dim_768": {"cosine_accuracy@1": 0.71, ...}, ...}, an entry for each
/// dimension; without --dims there is one, of the model's own width. With --baseline there are two such objects, under
/// "baseline" and "model". Exit code 1 says that a required quality was missed.
#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// BEIR folder (corpus.jsonl, queries.jsonl, qrels), or file of question/passage pairs
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Dimensions to measure at: the first N values of each embedding [default: all values]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    dims: Option<Vec<NonZeroUsize>>,
    /// How to compare [default: what the model says, else cosine]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = similarity_parser())]
    score: Option<Vec<SimilarityFn>>,
    /// Another model to measure first and show beside
    #[arg(long, value_name = "MODEL")]
    baseline: Option<String>,
    /// Least value of a metric, as dim_128_cosine_ndcg@10=0.7; may be repeated
    #[arg(long, value_name = "METRIC=VALUE")]
    require: Vec<Requirement>,
    /// Write the JSON to this file as well
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Folder for CSV files as sentence-transformers writes them; lines are added to files that are there
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Tokens that go through the model at once; bounds memory
    #[arg(long, value_name = "TOKENS")]
    batch: Option<NonZeroUsize>,
}

/// Reports of the model, and of the baseline if there is one.
struct Measured {
    baseline: Option<Vec<Report>>,
    model: Vec<Report>,
}

/// Measures and prints.
pub fn run(args: &EvalArgs, context: &Context) -> Result<Outcome, CliError> {
    args.save.as_deref().map_or(Ok(()), output::check_folder)?;
    let data = RetrievalData::open(&args.data)?;
    let model = model::open(&args.model, args.precision, &context.console)?;
    let baseline = args
        .baseline
        .as_ref()
        .map(|name| open_baseline(name, args.precision, context))
        .transpose()?;
    let options = options(args, &model);
    let keys = keys(&options);
    args.require
        .iter()
        .try_for_each(|requirement| requirement.check(&keys))?;
    let evaluator = InformationRetrievalEvaluator::new(data, options)?;
    for model in baseline.iter().chain([&model]) {
        evaluator.check(Embed::dim(model))?;
    }
    let baseline = baseline
        .map(|model| measure(&evaluator, &model, "baseline", args, context))
        .transpose()?;
    let measured = Measured {
        baseline,
        model: measure(&evaluator, &model, "evaluating", args, context)?,
    };
    measured.write(args)?;
    measured.print(context)?;
    Ok(judge(&args.require, &measured.model, context))
}

fn open_baseline(
    name: &str,
    precision: PrecisionArgs,
    context: &Context,
) -> Result<SentenceEncoder, CliError> {
    model::open(
        &ModelArgs {
            model: name.to_owned(),
            revision: None,
        },
        precision,
        &context.console,
    )
}

fn options(args: &EvalArgs, model: &SentenceEncoder) -> InformationRetrievalOptions {
    let dims = args.dims.as_ref().map_or_else(
        || vec![Embed::dim(model)],
        |dims| dims.iter().map(|d| d.get()).collect(),
    );
    let own = || vec![model.similarity_fn()];
    InformationRetrievalOptions {
        dims: Some(dims),
        score_functions: args.score.clone().unwrap_or_else(own),
        ..InformationRetrievalOptions::default()
    }
}

fn measure(
    evaluator: &InformationRetrievalEvaluator,
    model: &SentenceEncoder,
    what: &'static str,
    args: &EvalArgs,
    context: &Context,
) -> Result<Vec<Report>, CliError> {
    let texts = evaluator.query_ids().len() + evaluator.documents();
    let watched = Watched::new(model, args.batch, texts, what, &context.console);
    let reports = evaluator.run(&watched);
    watched.finish();
    Ok(reports?)
}

impl Measured {
    fn json(&self) -> Value {
        let model = metrics::json(&self.model);
        match &self.baseline {
            Some(baseline) => json!({"baseline": metrics::json(baseline), "model": model}),
            None => model,
        }
    }

    fn print(&self, context: &Context) -> Result<(), CliError> {
        if context.json {
            return stdout::print_json(&self.json());
        }
        let table = match &self.baseline {
            Some(baseline) => metrics::comparison(baseline, &self.model),
            None => metrics::table(&self.model),
        };
        stdout::print(|out| writeln!(out, "{table}"))
    }

    fn write(&self, args: &EvalArgs) -> Result<(), CliError> {
        if let Some(path) = &args.save {
            output::write_whole(path, |out| writeln!(out, "{:#}", self.json()))?;
        }
        args.output_dir
            .as_deref()
            .map_or(Ok(()), |dir| self.write_csv(dir))
    }

    /// Epoch and step 0: no training goes on.
    fn write_csv(&self, dir: &Path) -> Result<(), CliError> {
        self.model
            .iter()
            .try_for_each(|report| Ok(write_csv(dir, report, 0.0, 0)?))
    }
}

/// Keys of all metrics that will be measured, with the dimension in front.
fn keys(options: &InformationRetrievalOptions) -> Vec<String> {
    let metrics = [
        ("accuracy", &options.accuracy_at_k),
        ("precision", &options.precision_recall_at_k),
        ("recall", &options.precision_recall_at_k),
        ("ndcg", &options.ndcg_at_k),
        ("mrr", &options.mrr_at_k),
        ("map", &options.map_at_k),
    ];
    let at = metrics
        .iter()
        .flat_map(|(name, ks)| ks.iter().map(move |k| format!("{name}@{k}")));
    let at: Vec<String> = at.collect();
    let of_function = |dim: usize, function: SimilarityFn| {
        at.iter().map(move |m| format!("dim_{dim}_{function}_{m}"))
    };
    let of_dim = |dim: usize| {
        options
            .score_functions
            .iter()
            .flat_map(move |function| of_function(dim, *function))
    };
    options
        .dims
        .iter()
        .flatten()
        .flat_map(|dim| of_dim(*dim))
        .collect()
}

/// A missed requirement is a warning each, and a negative answer.
pub fn judge(requirements: &[Requirement], reports: &[Report], context: &Context) -> Outcome {
    let found = flatten(reports);
    let missed: Vec<String> = requirements
        .iter()
        .filter_map(|requirement| requirement.missed(&found))
        .collect();
    missed
        .iter()
        .for_each(|missed| context.console.warn(missed));
    if missed.is_empty() {
        Outcome::Done
    } else {
        Outcome::Negative
    }
}
