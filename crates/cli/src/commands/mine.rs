//! `matryo mine`: the pairs of texts that are most alike.

use std::{io::Write, path::PathBuf};

use clap::Args;
use matryo_base::Progress;
use matryo_mining::{Pair, ParaphraseOptions, cosines, paraphrase_mining};
use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::{
    args::read_cosine,
    embedded::{Source, SourceArgs},
    error::CliError,
    output::records::{Column, Records, Target},
    progress::{self, grouped},
    stdout,
};

/// Find the pairs of texts that are most alike (paraphrase mining).
///
/// Prints a line a pair, the most alike first: cosine, text, text. With --output they go to a file with the columns
/// score, id1, id2 (places in the input, from 0), sentence1 and sentence2. With --json: {"texts": 100, "count": 2, "pairs":
/// [{"score": 0.98, "id1": 3, ...}, ...]}, or "output" instead of "pairs".
#[derive(Debug, Args)]
pub struct MineArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Pairs to consider of each text, its most alike ones
    #[arg(long, value_name = "N", default_value_t = 100)]
    top_k: usize,
    /// Most pairs to give, the most alike of all
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    max_pairs: usize,
    /// Least cosine of a pair, -1 to 1
    #[arg(long, value_name = "T", value_parser = read_cosine, allow_negative_numbers = true)]
    min_score: Option<f32>,
    /// File to write: .csv, .jsonl or .parquet
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Mines and prints.
pub fn run(args: &MineArgs, context: &Context) -> Result<Outcome, CliError> {
    let target = args.output.as_deref().map(Target::of).transpose()?;
    let source = Source::gather(&args.source)?;
    if source.texts.len() < 2 {
        return Err(CliError::OneText {
            found: source.texts.len(),
        });
    }
    let (texts, embeddings) = source.embed(&context.console)?;
    let bar = progress::share(&context.console, "comparing");
    let advance = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    // Upstream counts both directions of a pair and gives one fewer.
    let max_pairs = args.max_pairs.saturating_mul(2).saturating_add(1);
    let options = ParaphraseOptions {
        max_pairs,
        top_k: args.top_k,
        progress: Progress::new(&advance),
        ..Default::default()
    };
    let mut pairs = paraphrase_mining(embeddings.view(), &options, cosines)?;
    bar.finish_and_clear();
    pairs.truncate(args.max_pairs);
    pairs.retain(|pair| args.min_score.is_none_or(|least| pair.score >= least));
    context.console.say(&format!(
        "{} pairs of {} texts",
        grouped(pairs.len() as u64),
        grouped(texts.len() as u64)
    ));
    give(&texts, &pairs, target, context)?;
    Ok(Outcome::Done)
}

fn give(
    texts: &[String],
    pairs: &[Pair],
    target: Option<Target<'_>>,
    context: &Context,
) -> Result<(), CliError> {
    let records = records(texts, pairs);
    let mut report = json!({"texts": texts.len(), "count": pairs.len()});
    match target {
        Some(target) => {
            target.write(&records)?;
            context
                .console
                .say(&format!("wrote {}", target.path().display()));
            report["output"] = json!(target.path());
        }
        None if context.json => {
            report["pairs"] = serde_json::to_value(&records).unwrap_or(Value::Null)
        }
        None => return print(texts, pairs),
    }
    if context.json {
        stdout::print_json(&report)
    } else {
        Ok(())
    }
}

fn print(texts: &[String], pairs: &[Pair]) -> Result<(), CliError> {
    stdout::print(|out| {
        pairs.iter().try_for_each(
            |Pair {
                 score,
                 first,
                 second,
             }| { writeln!(out, "{score:.6}\t{}\t{}", texts[*first], texts[*second]) },
        )
    })
}

fn records<'a>(texts: &'a [String], pairs: &[Pair]) -> Records<'a> {
    let text = |of: fn(&Pair) -> usize| {
        Column::Text(pairs.iter().map(|pair| texts[of(pair)].as_str()).collect())
    };
    let id = |of: fn(&Pair) -> usize| {
        Column::Integer(pairs.iter().map(|pair| of(pair) as i64).collect())
    };
    Records(vec![
        (
            "score",
            Column::Float(pairs.iter().map(|pair| pair.score).collect()),
        ),
        ("id1", id(|pair| pair.first)),
        ("id2", id(|pair| pair.second)),
        ("sentence1", text(|pair| pair.first)),
        ("sentence2", text(|pair| pair.second)),
    ])
}
