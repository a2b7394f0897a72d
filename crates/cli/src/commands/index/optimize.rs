//! `matryo index optimize`: merge, clean and index.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::PlaceArgs;
use crate::{
    commands::{Context, Outcome},
    error::CliError,
    progress::grouped,
    stdout,
};

/// Merge what was added in pieces, drop what was deleted, and build the index that makes large collections fast.
///
/// Until then every vector is compared, which is exact. Takes up to twice the disk of the collection besides while it works; if it is
/// interrupted the collection stays as it was. A server does this by itself.
#[derive(Debug, Args)]
pub struct OptimizeArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Optimizes and tells how long it took.
pub fn run(args: &OptimizeArgs, context: &Context) -> Result<Outcome, CliError> {
    let mut collection = args.place.open()?;
    let started = Instant::now();
    collection.optimize()?;
    let seconds = started.elapsed().as_secs_f64();
    let info = collection.info()?;
    if context.json {
        stdout::print_json(
            &json!({ "seconds": seconds, "indexed_vectors": info.indexed_vectors, "segments": info.segments }),
        )?;
    } else {
        let indexed = grouped(info.indexed_vectors as u64);
        context.console.say(&format!(
            "{indexed} vectors indexed, {} segments, {seconds:.1} s",
            info.segments
        ));
    }
    Ok(Outcome::Done)
}
