//! `matryo distill`: a static model from any encoder.

use std::path::{Path, PathBuf};

use clap::Args;
use matryo_base::Progress;
use matryo_distill::{Options, distill};
use serde_json::json;

use super::{Context, Outcome, save::check_empty};
use crate::{
    args::{ModelArgs, PrecisionArgs},
    error::CliError,
    model,
    progress::{self, grouped},
    stdout, texts,
};

/// Make a static model: a table with a row for each token, hundreds of times faster than the model it is made from.
///
/// Each token goes through the model alone; main components of the results are kept, and common tokens count less. A text's
/// embedding is the mean of its tokens' rows. The folder loads in sentence-transformers and model2vec, and `matryo train` makes it better.
/// With --json: {"tokens": 29525, "dim": 256, "notes": [...], "path": DIR}.
#[derive(Debug, Args)]
pub struct DistillArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder to write; it must be new or empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Main components to keep: the width of the embeddings
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        conflicts_with = "no_pca"
    )]
    dims: usize,
    /// Keep the model's own values instead of main components
    #[arg(long)]
    no_pca: bool,
    /// How much common tokens lose, above 0 and below 1; less is more
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1e-4,
        conflicts_with = "no_sif"
    )]
    sif: f64,
    /// Let all tokens count alike
    #[arg(long)]
    no_sif: bool,
    /// File of words to add as tokens, one word on each line
    #[arg(long, value_name = "FILE")]
    vocabulary: Option<PathBuf>,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// Distils and saves.
pub fn run(args: &DistillArgs, context: &Context) -> Result<Outcome, CliError> {
    check_empty(&args.output)?;
    let options = Options {
        dims: Some(args.dims).filter(|_| !args.no_pca),
        sif: Some(args.sif).filter(|_| !args.no_sif),
        words: match &args.vocabulary {
            Some(path) => texts::from_file(Some(path), None)?,
            None => Vec::new(),
        },
    };
    let console = &context.console;
    let encoder = model::open(&args.model, args.precision, console)?;
    let bar = progress::share(console, "tokens");
    let advance = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let made = distill(&encoder, &options, Progress::new(&advance));
    bar.finish_and_clear();
    let mut made = made?;
    // The folder of a hub model in the cache is named after a commit.
    if !Path::new(&args.model.model).is_dir() {
        made.base = args.model.model.clone();
    }
    for note in &made.notes {
        console.note(note);
    }
    made.save(&args.output)?;
    let (tokens, dim) = (made.table.rows(), made.table.cols());
    if context.json {
        stdout::print_json(
            &json!({"tokens": tokens, "dim": dim, "notes": made.notes, "path": args.output}),
        )?;
    } else {
        let tokens = grouped(tokens as u64);
        let path = args.output.display();
        console.say(&format!("saved {path}: {tokens} tokens, {dim} dimensions"));
    }
    Ok(Outcome::Done)
}
