//! `matryo classify predict`: texts to classes with their probabilities.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::Args;
use matryo_classify::Predictions;
use serde::Serialize;

use super::{open, predict};
use crate::{
    args::PrecisionArgs,
    commands::{Context, Outcome},
    error::CliError,
    output, stdout,
    texts::{self, TextArgs},
};

/// Tell the class of texts.
///
/// A line a text: probability, class, and the text if there are several. With --top N there are N lines a text, the most
/// probable class first. With --json, and in --output, an object a line: text, label, probability, and with --top the list
/// top of label and probability.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Folder that `matryo classify train` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    texts: TextArgs,
    /// File to write: .jsonl
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The N most probable classes of each text
    #[arg(long, value_name = "N")]
    top: Option<NonZeroUsize>,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// Predicts and writes.
pub fn run(args: &PredictArgs, context: &Context) -> Result<Outcome, CliError> {
    args.output.as_deref().map_or(Ok(()), check_target)?;
    let texts = texts::gather(&args.texts)?;
    let classifier = open(&args.folder, args.precision, &context.console)?;
    let predictions = predict(&classifier, &texts, &context.console)?;
    let table = Table {
        texts: &texts,
        labels: classifier.labels(),
        predictions: &predictions,
        top: args.top,
    };
    match &args.output {
        Some(path) => {
            output::write_whole(path, |out| table.write_json(out))?;
            context.console.say(&format!("wrote {}", path.display()));
        }
        None if context.json => stdout::print(|out| table.write_json(out))?,
        None => stdout::print(|out| table.write_lines(out))?,
    }
    Ok(Outcome::Done)
}

fn check_target(path: &Path) -> Result<(), CliError> {
    let is_jsonl = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl"));
    if is_jsonl {
        output::check_folder(path)
    } else {
        Err(CliError::ClassesFormat {
            path: path.to_owned(),
        })
    }
}

/// What is written.
struct Table<'a> {
    texts: &'a [String],
    labels: &'a [String],
    predictions: &'a Predictions,
    top: Option<NonZeroUsize>,
}

#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    #[serde(flatten)]
    best: Class<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<Vec<Class<'a>>>,
}

#[derive(Clone, Copy, Serialize)]
struct Class<'a> {
    label: &'a str,
    probability: f64,
}

impl Table<'_> {
    /// The most probable classes of a text, best first.
    fn classes(&self, text: usize) -> Vec<Class<'_>> {
        let top = self
            .predictions
            .top(text, self.top.map_or(1, NonZeroUsize::get));
        top.into_iter()
            .map(|(class, probability)| Class {
                label: &self.labels[class],
                probability,
            })
            .collect()
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        self.texts.iter().enumerate().try_for_each(|(i, text)| {
            let classes = self.classes(i);
            let line = Line {
                text,
                best: classes[0],
                top: self.top.map(|_| classes),
            };
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")
        })
    }

    fn write_lines(&self, out: &mut impl Write) -> io::Result<()> {
        let several = self.texts.len() > 1;
        self.texts.iter().enumerate().try_for_each(|(i, text)| {
            self.classes(i)
                .iter()
                .try_for_each(|Class { label, probability }| match several {
                    true => writeln!(out, "{probability:.6}\t{label}\t{text}"),
                    false => writeln!(out, "{probability:.6}\t{label}"),
                })
        })
    }
}
