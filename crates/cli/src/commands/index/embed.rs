//! `matryo index embed`: documents of files or folders to Parquet files with their embeddings.

use std::{num::NonZeroUsize, path::PathBuf, time::Instant};

use clap::Args;
use matryo_base::Progress;
use matryo_collection::{EmbedOptions, EmbedReport, embed_documents};
use serde_json::json;

use super::{add::DocumentArgs, watch::Watch};
use crate::{
    args::{ModelArgs, PrecisionArgs},
    commands::{Context, Outcome},
    error::CliError,
    model,
    progress::grouped,
    stdout,
    watched::warn_truncated,
};

/// Embed documents into Parquet files, to be added to a collection elsewhere: `matryo index add --embedding-column embedding`.
///
/// Writes FOLDER/part-00000.parquet and so on with the columns _id, content, embedding and every field. A call that was interrupted can be
/// repeated: files that are complete stay as they are.
#[derive(Debug, Args)]
pub struct EmbedArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder to write to
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
    /// Documents of a file
    #[arg(long, value_name = "N", default_value = "10000")]
    per_file: NonZeroUsize,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    documents: DocumentArgs,
}

/// Embeds and tells.
pub fn run(args: &EmbedArgs, context: &Context) -> Result<Outcome, CliError> {
    let columns = args.documents.columns();
    let count = args.documents.check(&columns)?;
    let model = model::open(&args.model, args.precision, &context.console)?;
    let started = Instant::now();
    let watch = Watch::new("embedding", count, context.console);
    let advance = |done: usize, _total: usize| watch.at(done);
    let options = EmbedOptions {
        documents_per_file: args.per_file.get(),
        tokens_per_batch: args.documents.tokens_per_batch(),
        progress: Progress::new(&advance),
    };
    let report = embed_documents(
        &model,
        &args.documents.files,
        &columns,
        &args.output,
        &options,
    )?;
    watch.finish();
    warn_truncated(report.truncated, report.documents, &context.console);
    tell(args, &report, started.elapsed().as_secs_f64(), context)
}

fn tell(
    args: &EmbedArgs,
    report: &EmbedReport,
    seconds: f64,
    context: &Context,
) -> Result<Outcome, CliError> {
    if context.json {
        stdout::print_json(&json!({
            "documents": report.documents,
            "files": report.files,
            "unchanged": report.unchanged,
            "truncated": report.truncated,
            "seconds": seconds,
            "output": args.output,
        }))?;
    } else {
        context.console.say(&format!(
            "{} documents in {} files in {}, {} of them embedded before; {seconds:.1} s",
            grouped(report.documents as u64),
            grouped(report.files as u64),
            args.output.display(),
            grouped(report.unchanged as u64),
        ));
    }
    Ok(Outcome::Done)
}
