//! `matryo index map`: a collection as a page with a map of it.

mod groups;
mod page;

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use matryo_base::Progress;
use matryo_collection::{Chunk, Collection};
use matryo_mining::{MiningError, Point, TsneOptions, tsne};
use matryo_ops::Mat;
use serde_json::json;

use super::{PlaceArgs, filter};
use crate::{
    commands::{Context, Outcome},
    console::Console,
    error::CliError,
    output::{check_folder, write_whole},
    progress::{self, grouped},
    stdout,
};
use groups::{Groups, by_cluster, by_field};

/// Draw the documents on a map, those that say the like near each other: one HTML file that needs nothing else.
///
/// The map shows the text of what is pointed at, finds texts, and hides groups. Places are those of t-SNE; colours are clusters, named by
/// their most typical text, or the values of a field.
#[derive(Debug, Args)]
pub struct MapArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// File to write
    #[arg(long, short, value_name = "FILE.html")]
    output: PathBuf,
    /// Field whose values are colours [default: colours are clusters]
    #[arg(long, value_name = "FIELD", conflicts_with = "clusters")]
    color_by: Option<String>,
    /// Number of clusters [default: as many as half the texts' square root, 20 at most]
    #[arg(short = 'k', long, value_name = "N")]
    clusters: Option<NonZeroUsize>,
    /// Documents that count, such as 'year >= 2020 and region = "EU"'
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Texts to draw; of more, some are chosen as good as at random
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    limit: usize,
    /// About how many neighbours each text should be near
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(30).expect("not 0"))]
    perplexity: NonZeroUsize,
}

/// Reads, lays out, writes.
pub fn run(args: &MapArgs, context: &Context) -> Result<Outcome, CliError> {
    check_folder(&args.output)?;
    let filter = args.filter.as_deref().map(filter).transpose()?;
    let collection = args.place.open()?;
    let (chunks, vectors) = collection.contents(args.limit, filter.as_ref())?;
    if chunks.is_empty() {
        return Err(CliError::EmptyMap);
    }
    let groups = args.groups(&collection, &chunks, &vectors)?;
    let points = args.lay_out(&vectors, &context.console)?;
    let title = args.place.collection.display().to_string();
    write_whole(&args.output, |out| {
        page::write(out, &title, &chunks, &points, &groups)
    })?;
    if context.json {
        stdout::print_json(
            &json!({"texts": chunks.len(), "groups": groups.names, "output": args.output}),
        )?;
    } else {
        let (texts, output) = (grouped(chunks.len() as u64), args.output.display());
        context.console.say(&format!(
            "{texts} texts in {} groups: wrote {output}",
            groups.names.len()
        ));
    }
    Ok(Outcome::Done)
}

impl MapArgs {
    fn groups(
        &self,
        collection: &Collection,
        chunks: &[Chunk],
        vectors: &Mat,
    ) -> Result<Groups, CliError> {
        match &self.color_by {
            Some(field) => {
                collection.expect_field(field)?;
                Ok(by_field(chunks, field))
            }
            None => Ok(by_cluster(
                chunks,
                vectors.view(),
                self.clusters.map(NonZeroUsize::get),
            )?),
        }
    }

    fn lay_out(&self, vectors: &Mat, console: &Console) -> Result<Vec<Point>, MiningError> {
        let options = TsneOptions {
            perplexity: self.perplexity.get() as f64,
            ..TsneOptions::default()
        };
        let bar = progress::share(console, "laying out");
        let advance = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let points = tsne(vectors.view(), &options, Progress::new(&advance));
        bar.finish_and_clear();
        points
    }
}
