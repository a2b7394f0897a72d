//! `matryo cluster`: groups of texts about the same, with their most typical texts.

mod method;

use std::{io::Write, path::PathBuf};

use clap::Args;
use matryo_mining::most_central;
use serde_json::{Map, Value, json};

use super::{Context, Outcome};
use crate::{
    embedded::{Source, SourceArgs},
    error::CliError,
    output::records::{Column, Records, Target},
    progress::grouped,
    stdout,
};
use method::{Clusters, MethodArgs};

/// Group texts by what they say.
///
/// kmeans makes -k clusters around centres on the unit sphere, the best of --n-init starts. agglomerative merges the
/// nearest clusters down to -k of them, or while their distance is below 1 - --threshold; it needs memory for all pairs of texts.
/// communities finds dense groups: texts with a cosine of at least --threshold to a central one; the others stay without a
/// cluster. Prints the largest cluster first: a line with its label, its size and its most typical text (the nearest to the
/// middle of the cluster), then a line that begins with two tabs for each further one. With --output each text goes to a file with
/// the columns text and label (-1: none). With --json: {"method": "kmeans", "texts": 100, "unclustered": 0, "clusters": [{"label": 0,
/// "size": 12, "typical": [...]}, ...]}, of kmeans also "inertia" and "n_iter".
#[derive(Debug, Args)]
pub struct ClusterArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    method: MethodArgs,
    /// Typical texts to show of each cluster
    #[arg(long, value_name = "N", default_value_t = 3)]
    typical: usize,
    /// File to write the labels to: .csv, .jsonl or .parquet
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Clusters and prints.
pub fn run(args: &ClusterArgs, context: &Context) -> Result<Outcome, CliError> {
    let target = args.output.as_deref().map(Target::of).transpose()?;
    args.method.check()?;
    let source = Source::gather(&args.source)?;
    args.method.check_rows(source.texts.len())?;
    let (texts, embeddings) = source.embed(&context.console)?;
    let clusters = args.method.cluster(embeddings.view(), &context.console)?;
    let typical = most_central(embeddings.view(), &clusters.groups, args.typical)?;
    let found = Found {
        method: args.method.name(),
        texts,
        clusters,
        typical,
    };
    context.console.say(&found.summary());
    if let Some(target) = target {
        target.write(&found.records())?;
        context
            .console
            .say(&format!("wrote {}", target.path().display()));
    }
    found.print(context.json)?;
    Ok(Outcome::Done)
}

struct Found {
    method: &'static str,
    texts: Vec<String>,
    clusters: Clusters,
    /// Places of the most typical texts of each cluster.
    typical: Vec<Vec<usize>>,
}

impl Found {
    fn unclustered(&self) -> usize {
        self.texts.len() - self.clusters.groups.iter().map(Vec::len).sum::<usize>()
    }

    fn summary(&self) -> String {
        let clusters = grouped(self.clusters.groups.len() as u64);
        let mut text = format!(
            "{clusters} clusters of {} texts",
            grouped(self.texts.len() as u64)
        );
        if self.unclustered() > 0 {
            text.push_str(&format!(", {} in none", grouped(self.unclustered() as u64)));
        }
        if let Some((inertia, n_iter)) = self.clusters.converged {
            text.push_str(&format!(", inertia {inertia:.6} after {n_iter} iterations"));
        }
        text
    }

    fn records(&self) -> Records<'_> {
        let mut labels = vec![-1; self.texts.len()];
        for (label, members) in (0..).zip(&self.clusters.groups) {
            members.iter().for_each(|&member| labels[member] = label);
        }
        let texts = self.texts.iter().map(String::as_str).collect();
        Records(vec![
            ("text", Column::Text(texts)),
            ("label", Column::Integer(labels)),
        ])
    }

    fn print(&self, json: bool) -> Result<(), CliError> {
        if json {
            return stdout::print_json(&self.json());
        }
        stdout::print(|out| {
            for (label, (members, typical)) in
                self.clusters.groups.iter().zip(&self.typical).enumerate()
            {
                let mut texts = typical.iter().map(|&place| &self.texts[place]);
                let first = texts.next().map_or("", |text| text);
                writeln!(out, "{label}\t{}\t{first}", members.len())?;
                texts.try_for_each(|text| writeln!(out, "\t\t{text}"))?;
            }
            Ok(())
        })
    }

    fn json(&self) -> Value {
        let cluster = |(label, (members, typical)): (usize, (&Vec<usize>, &Vec<usize>))| {
            let typical: Vec<&String> = typical.iter().map(|&place| &self.texts[place]).collect();
            json!({"label": label, "size": members.len(), "typical": typical})
        };
        let clusters = self
            .clusters
            .groups
            .iter()
            .zip(&self.typical)
            .enumerate()
            .map(cluster);
        let mut report = Map::new();
        report.insert("method".to_owned(), self.method.into());
        report.insert("texts".to_owned(), self.texts.len().into());
        report.insert("unclustered".to_owned(), self.unclustered().into());
        if let Some((inertia, n_iter)) = self.clusters.converged {
            report.insert("inertia".to_owned(), inertia.into());
            report.insert("n_iter".to_owned(), n_iter.into());
        }
        report.insert("clusters".to_owned(), clusters.collect());
        Value::Object(report)
    }
}
