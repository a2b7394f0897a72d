//! `matryo similarity`: one text against others, all against all, or row by row.

use std::{io::Write, num::NonZeroUsize, path::PathBuf};

use clap::Args;
use matryo_data::read_texts;
use matryo_model::{EncodeOptions, Role, SimilarityFn, pairwise_similarity, similarity};
use serde::Serialize;

use super::{Context, Outcome};
use crate::{
    args::{ModelArgs, PrecisionArgs, similarity_parser},
    error::CliError,
    model, stdout,
    texts::{self, TextArgs},
};
use matryo_ops::Mat;

/// Compare texts.
///
/// Of two texts the score is printed. Of more, the first is compared with each of the others: a line with score and
/// text each. With --against each text is compared with the texts of that file.
#[derive(Debug, Args)]
pub struct SimilarityArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    texts: TextArgs,
    /// File with the texts to compare with (formats as for --input)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Column of the file of --against that holds the texts [default: --column]
    #[arg(long, value_name = "NAME", requires = "against")]
    against_column: Option<String>,
    /// Compare all texts with each other: a line of scores for each
    #[arg(long, conflicts_with_all = ["against", "pairwise", "top"])]
    all: bool,
    /// Compare text by text with --against: a score a line
    #[arg(long, requires = "against", conflicts_with = "top")]
    pairwise: bool,
    /// Show the N best only, the best first
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// How to compare [default: what the model says, else cosine]
    #[arg(long, value_name = "NAME", value_parser = similarity_parser())]
    score: Option<SimilarityFn>,
    /// Compare the first N values of each embedding only
    #[arg(long, value_name = "N")]
    truncate_dim: Option<NonZeroUsize>,
    /// Give the first text the model's prompt for queries, and those it is compared with that for documents
    #[arg(long, conflicts_with = "all")]
    roles: bool,
}

/// Compares and prints.
pub fn run(args: &SimilarityArgs, context: &Context) -> Result<Outcome, CliError> {
    let (left, right) = sides(args)?;
    let model = model::open(&args.model, args.precision, &context.console)?;
    let function = args.score.unwrap_or_else(|| model.similarity_fn());
    let truncate_dim = args.truncate_dim.map(NonZeroUsize::get);
    let encode = |texts: &[String], role| {
        let role = if args.roles { role } else { Role::Plain };
        model::encode(
            &model,
            texts,
            EncodeOptions {
                role,
                truncate_dim,
                ..EncodeOptions::default()
            },
            &context.console,
        )
    };
    let a = encode(&left, Role::Query)?.embeddings;
    let b = match &right {
        Some(right) => encode(right, Role::Document)?.embeddings,
        None => a.clone(),
    };
    if args.pairwise {
        print_pairwise(
            function,
            &pairwise_similarity(function, a.view(), b.view()),
            context.json,
        )?;
    } else if args.all {
        print_matrix(
            function,
            &similarity(function, a.view(), b.view()),
            context.json,
        )?;
    } else {
        let right = right.as_deref().unwrap_or(&left);
        let rankings = rankings(
            &left,
            right,
            &similarity(function, a.view(), b.view()),
            args.top,
        );
        print_rankings(function, &rankings, args.against.is_some(), context.json)?;
    }
    Ok(Outcome::Done)
}

type Sides = (Vec<String>, Option<Vec<String>>);

/// The texts to compare, and those to compare with; `None` means with themselves.
fn sides(args: &SimilarityArgs) -> Result<Sides, CliError> {
    let mut left = texts::gather(&args.texts)?;
    if let Some(path) = &args.against {
        let right = read_texts(
            path,
            args.against_column
                .as_ref()
                .or(args.texts.column.as_ref())
                .map(String::as_str),
        )?;
        if args.pairwise && left.len() != right.len() {
            return Err(CliError::UnequalSides {
                left: left.len(),
                right: right.len(),
            });
        }
        return Ok((left, Some(right)));
    }
    if left.len() < 2 {
        return Err(CliError::OneText { found: left.len() });
    }
    let right = (!args.all).then(|| left.split_off(1));
    Ok((left, right))
}

/// JSON: a result with the function that it comes from.
#[derive(Serialize)]
struct Named<T> {
    similarity: &'static str,
    #[serde(flatten)]
    value: T,
}

#[derive(Serialize)]
struct Scores<T> {
    scores: T,
}

/// A text with what it was compared with.
#[derive(Serialize)]
struct Ranking<'a> {
    text: &'a str,
    results: Vec<Scored<'a>>,
}

#[derive(Serialize)]
struct Scored<'a> {
    text: &'a str,
    score: f32,
}

fn rankings<'a>(
    left: &'a [String],
    right: &'a [String],
    scores: &Mat,
    top: Option<usize>,
) -> Vec<Ranking<'a>> {
    let ranking = |(i, text): (usize, &'a String)| {
        let scored = right.iter().zip(scores.row(i));
        let mut results: Vec<_> = scored
            .map(|(text, &score)| Scored { text, score })
            .collect();
        if let Some(top) = top {
            // Stable: equal scores stay in the order given.
            results.sort_by(|a, b| b.score.total_cmp(&a.score));
            results.truncate(top);
        }
        Ranking { text, results }
    };
    left.iter().enumerate().map(ranking).collect()
}

fn print_rankings(
    function: SimilarityFn,
    rankings: &[Ranking<'_>],
    from_file: bool,
    json: bool,
) -> Result<(), CliError> {
    if json {
        return rankings
            .iter()
            .try_for_each(|ranking| stdout::print_json(&ranking.named(function)));
    }
    stdout::print(|out| match rankings {
        [Ranking { results, .. }] if results.len() == 1 && !from_file => {
            writeln!(out, "{:.6}", results[0].score)
        }
        [one] => one.write(out),
        several => several.iter().try_for_each(|ranking| {
            writeln!(out, "{}", ranking.text)?;
            ranking.write(out)
        }),
    })
}

impl Ranking<'_> {
    fn named(&self, function: SimilarityFn) -> Named<&Self> {
        Named {
            similarity: function.name(),
            value: self,
        }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        self.results
            .iter()
            .try_for_each(|Scored { text, score }| writeln!(out, "{score:.6}\t{text}"))
    }
}

fn print_matrix(function: SimilarityFn, scores: &Mat, json: bool) -> Result<(), CliError> {
    let rows = || (0..scores.rows()).map(|i| scores.row(i));
    if json {
        let rows: Vec<&[f32]> = rows().collect();
        return stdout::print_json(&Named {
            similarity: function.name(),
            value: Scores { scores: rows },
        });
    }
    stdout::print(|out| {
        rows().try_for_each(|row| {
            let scores: Vec<String> = row.iter().map(|score| format!("{score:.6}")).collect();
            writeln!(out, "{}", scores.join("\t"))
        })
    })
}

fn print_pairwise(function: SimilarityFn, scores: &[f32], json: bool) -> Result<(), CliError> {
    if json {
        return stdout::print_json(&Named {
            similarity: function.name(),
            value: Scores { scores },
        });
    }
    stdout::print(|out| {
        scores
            .iter()
            .try_for_each(|score| writeln!(out, "{score:.6}"))
    })
}
