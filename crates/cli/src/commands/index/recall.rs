//! `matryo index recall`: what the index misses.

use std::path::PathBuf;

use clap::Args;
use matryo_data::read_texts;
use serde_json::json;

use super::{CollectionModelArgs, PlaceArgs};
use crate::{
    commands::{Context, Outcome, search::HowArgs},
    error::CliError,
    stdout, table,
};

/// Compare the answers of the index with those of comparing every vector.
#[derive(Debug, Args)]
pub struct RecallArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    model: CollectionModelArgs,
    /// File of questions [default: texts of the collection itself]
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Column of the file that holds the questions [default: the only one, else text or sentence]
    #[arg(long, value_name = "NAME", requires = "queries")]
    column: Option<String>,
    /// Texts of the collection to ask for
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        conflicts_with = "queries"
    )]
    sample: usize,
    #[command(flatten)]
    how: HowArgs,
}

/// Asks and tells.
pub fn run(args: &RecallArgs, context: &Context) -> Result<Outcome, CliError> {
    let options = args.how.options()?;
    let queries = args
        .queries
        .as_ref()
        .map(|path| read_texts(path, args.column.as_deref()))
        .transpose()?;
    let collection = args.place.open()?;
    let model = args.model.open(&collection, &context.console)?;
    let searcher = collection.searcher(&model)?;
    let queries = queries.map_or_else(|| collection.sample(args.sample), Ok)?;
    let recall = searcher.recall(&queries, &options)?;
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let (indexed, exact) = (milliseconds(recall.indexed), milliseconds(recall.exact));
    if context.json {
        stdout::print_json(&json!({
            "queries": recall.queries, "top": recall.k, "recall": recall.recall, "p50_ms": indexed, "exact_p50_ms": exact,
        }))?;
    } else {
        let text = table::pairs(&[
            (
                format!("recall@{}", recall.k),
                format!("{:.4} of {} questions", recall.recall, recall.queries),
            ),
            (
                "median time".to_owned(),
                format!("{indexed:.2} ms, exactly {exact:.2} ms (with encoding the question)"),
            ),
        ]);
        stdout::print(|out| std::io::Write::write_all(out, text.as_bytes()))?;
    }
    Ok(Outcome::Done)
}
