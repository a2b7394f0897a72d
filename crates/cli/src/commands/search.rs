//! `matryo search`: questions to a collection.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    num::NonZeroUsize,
};

use clap::Args;
use matryo_collection::{Found, SearchOptions, Searcher};
use matryo_index::Stages;
use serde_json::json;

use super::{
    Context, Outcome,
    index::{CollectionModelArgs, PlaceArgs, filter},
};
use crate::{error::CliError, stdout};

/// Find the documents of a collection that are nearest to a question.
///
/// Without a question, each line of standard input is one; on a terminal a prompt asks for them.
#[derive(Debug, Args)]
pub struct SearchArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Question
    #[arg(value_name = "QUESTION")]
    question: Option<String>,
    #[command(flatten)]
    model: CollectionModelArgs,
    #[command(flatten)]
    how: HowArgs,
}

/// How to search.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Search")]
pub struct HowArgs {
    /// Documents to find
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Documents that count, such as 'year >= 2020 and region = "EU"'
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Look for the words of the question too, and fuse both orders by rank
    #[arg(long)]
    hybrid: bool,
    /// Search a short prefix of the vectors first, then look again at fewer with more: DIM:KEEP,DIM:KEEP...
    #[arg(long, value_name = "STAGES")]
    stages: Option<Stages>,
    /// Candidates that the index follows at once; more find more and take longer [default: 256]
    #[arg(long, value_name = "N")]
    effort: Option<NonZeroUsize>,
    /// Compare with every vector instead of asking the index
    #[arg(long, conflicts_with_all = ["stages", "effort"])]
    exact: bool,
}

impl HowArgs {
    /// What the library takes.
    pub fn options(&self) -> Result<SearchOptions, CliError> {
        Ok(SearchOptions {
            limit: self.top,
            filter: self.filter.as_deref().map(filter).transpose()?,
            hybrid: self.hybrid,
            stages: self.stages.clone(),
            effort: self.effort.map(NonZeroUsize::get),
            exact: self.exact,
        })
    }
}

/// Answers one question, or all that come.
pub fn run(args: &SearchArgs, context: &Context) -> Result<Outcome, CliError> {
    let options = args.how.options()?;
    let collection = args.place.open()?;
    let model = args.model.open(&collection, &context.console)?;
    let searcher = collection.searcher(&model)?;
    match &args.question {
        Some(question) => answer(&searcher, question, &options, context)?,
        None => converse(&searcher, &options, context)?,
    }
    Ok(Outcome::Done)
}

/// A question a line, until there are no more.
fn converse(
    searcher: &Searcher<'_>,
    options: &SearchOptions,
    context: &Context,
) -> Result<(), CliError> {
    let asks = io::stdin().is_terminal();
    let mut lines = io::stdin().lock();
    let mut line = String::new();
    loop {
        if asks {
            // Nothing is lost when there is nowhere to ask.
            let _ = write!(io::stderr(), "? ").and_then(|()| io::stderr().flush());
        }
        line.clear();
        if lines.read_line(&mut line).map_err(CliError::Stdin)? == 0 {
            return Ok(());
        }
        if !line.trim().is_empty() {
            answer(searcher, line.trim_end(), options, context)?;
        }
    }
}

fn answer(
    searcher: &Searcher<'_>,
    question: &str,
    options: &SearchOptions,
    context: &Context,
) -> Result<(), CliError> {
    let found = searcher.search(question, options)?;
    if context.json {
        let results: Vec<_> = found.iter().map(as_json).collect();
        return stdout::print_json(&json!({ "query": question, "results": results }));
    }
    stdout::print(|out| {
        found.iter().try_for_each(|found| {
            writeln!(
                out,
                "{:.6}\t{}\t{}",
                found.score,
                found.id,
                one_line(&found.text)
            )
        })
    })
}

fn as_json(found: &Found) -> serde_json::Value {
    json!({
        "id": found.id, "score": found.score, "text": found.text, "chunk": found.chunk, "fields": found.fields,
    })
}

/// A text of several lines would look like several results.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
