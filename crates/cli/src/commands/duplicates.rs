//! `matryo duplicates`: groups of texts that say nearly the same, and the texts without them.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use matryo_base::Progress;
use matryo_mining::{DuplicateGroup, duplicates};
use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::{
    args::read_cosine,
    embedded::{Source, SourceArgs},
    error::CliError,
    output::{
        self,
        records::{Column, Records, Target},
    },
    progress::{self, grouped},
    stdout,
};

/// Find groups of near-duplicates.
///
/// Two texts are in one group if a chain of pairs with a cosine of at least --threshold connects them. Prints the
/// largest group first: a line with its size and its representative, the text nearest to the middle of the group, then a line that
/// begins with a tab for each other text. With --output a line for each text of a group goes to a file with the columns
/// group, id (place in the input, from 0), representative (1 or 0) and text. With --json: {"texts": 100,
/// "threshold": 0.9, "duplicates": 3, "groups": [{"representative": 7, "ids": [4, 7], "texts": [...]}, ...]}, where duplicates
/// are the texts that could go.
#[derive(Debug, Args)]
pub struct DuplicatesArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Least cosine of two near-duplicates, -1 to 1
    #[arg(long, value_name = "T", default_value = "0.9", value_parser = read_cosine, allow_negative_numbers = true)]
    threshold: f32,
    /// File to write the groups to: .csv, .jsonl or .parquet
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// File for the texts without duplicates, of each group only the first: .txt, .jsonl, .csv or .parquet
    #[arg(long, value_name = "FILE")]
    keep_first: Option<PathBuf>,
    /// File for the texts without duplicates, of each group only the representative
    #[arg(long, value_name = "FILE")]
    keep_central: Option<PathBuf>,
}

/// Finds and prints.
pub fn run(args: &DuplicatesArgs, context: &Context) -> Result<Outcome, CliError> {
    let target = args.output.as_deref().map(Target::of).transpose()?;
    args.keep_first
        .iter()
        .chain(&args.keep_central)
        .try_for_each(|path| output::texts::check(path))?;
    let source = Source::gather(&args.source)?;
    let (texts, embeddings) = source.embed(&context.console)?;
    let bar = progress::share(&context.console, "comparing");
    let advance = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let groups = duplicates(embeddings.view(), args.threshold, Progress::new(&advance))?;
    bar.finish_and_clear();
    let found = Found {
        texts,
        groups,
        threshold: args.threshold,
    };
    context.console.say(&found.summary());
    if let Some(target) = target {
        target.write(&found.records())?;
        context
            .console
            .say(&format!("wrote {}", target.path().display()));
    }
    if let Some(path) = &args.keep_first {
        found.keep(path, |group| group.members[0], context)?;
    }
    if let Some(path) = &args.keep_central {
        found.keep(path, |group| group.representative, context)?;
    }
    found.print(context, target.is_some())?;
    Ok(Outcome::Done)
}

struct Found {
    texts: Vec<String>,
    groups: Vec<DuplicateGroup>,
    threshold: f32,
}

impl Found {
    /// Texts that could go.
    fn duplicates(&self) -> usize {
        self.groups
            .iter()
            .map(|group| group.members.len() - 1)
            .sum()
    }

    fn summary(&self) -> String {
        format!(
            "{} duplicates in {} groups among {} texts",
            grouped(self.duplicates() as u64),
            grouped(self.groups.len() as u64),
            grouped(self.texts.len() as u64)
        )
    }

    /// Writes all texts but those of a group that are not `kept`.
    fn keep(
        &self,
        path: &Path,
        kept: fn(&DuplicateGroup) -> usize,
        context: &Context,
    ) -> Result<(), CliError> {
        let mut keep = vec![true; self.texts.len()];
        for group in &self.groups {
            group
                .members
                .iter()
                .for_each(|&member| keep[member] = member == kept(group));
        }
        let texts = self
            .texts
            .iter()
            .zip(keep)
            .filter(|(_, keep)| *keep)
            .map(|(text, _)| text.as_str());
        output::texts::write(path, &texts.collect::<Vec<_>>())?;
        context.console.say(&format!("wrote {}", path.display()));
        Ok(())
    }

    fn records(&self) -> Records<'_> {
        let members = || {
            self.groups
                .iter()
                .enumerate()
                .flat_map(|(i, g)| g.members.iter().map(move |&m| (i, g, m)))
        };
        let is_central = |(_, group, member): (usize, &DuplicateGroup, usize)| {
            (group.representative == member).into()
        };
        Records(vec![
            (
                "group",
                Column::Integer(members().map(|(group, ..)| group as i64).collect()),
            ),
            (
                "id",
                Column::Integer(members().map(|(.., member)| member as i64).collect()),
            ),
            (
                "representative",
                Column::Integer(members().map(is_central).collect()),
            ),
            (
                "text",
                Column::Text(
                    members()
                        .map(|(.., member)| self.texts[member].as_str())
                        .collect(),
                ),
            ),
        ])
    }

    fn print(&self, context: &Context, written: bool) -> Result<(), CliError> {
        if context.json {
            return stdout::print_json(&self.json());
        }
        if written {
            return Ok(());
        }
        stdout::print(|out| {
            self.groups.iter().try_for_each(|group| {
                writeln!(
                    out,
                    "{}\t{}",
                    group.members.len(),
                    self.texts[group.representative]
                )?;
                let mut others = group
                    .members
                    .iter()
                    .filter(|&&member| member != group.representative);
                others.try_for_each(|&member| writeln!(out, "\t{}", self.texts[member]))
            })
        })
    }

    fn json(&self) -> Value {
        let group = |group: &DuplicateGroup| {
            let texts: Vec<&String> = group
                .members
                .iter()
                .map(|&member| &self.texts[member])
                .collect();
            json!({"representative": group.representative, "ids": group.members, "texts": texts})
        };
        json!({
            "texts": self.texts.len(),
            "threshold": self.threshold,
            "duplicates": self.duplicates(),
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
        })
    }
}
