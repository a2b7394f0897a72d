//! `matryo index push`: a collection from a folder to a Qdrant server.

use clap::Args;
use matryo_base::Progress;
use matryo_collection::{Place, Spread};
use serde_json::json;

use super::{PlaceArgs, on_server};
use crate::{
    commands::{Context, Outcome},
    error::CliError,
    progress::{self, grouped},
    stdout,
};

const TEMPLATE: &str = "copying {bar:24} {pos}/{len} points, {per_sec}, {eta} left";

/// Copy a collection to a Qdrant server or cluster, and compare what the copy answers.
///
/// May be repeated after an interruption. QDRANT_API_KEY lets in.
#[derive(Debug, Args)]
pub struct PushArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Server to copy to, such as http://localhost:6333
    #[arg(value_name = "SERVER")]
    target: String,
    /// Name of the collection there [default: that of the folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Parts over which the server spreads the collection
    #[arg(long, value_name = "N")]
    shards: Option<u32>,
    /// Copies of each part that a cluster keeps
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
}

/// Copies, compares, and tells how much.
pub fn run(args: &PushArgs, context: &Context) -> Result<Outcome, CliError> {
    let collection = args.place.open()?;
    let target = args.target();
    let total = collection.info()?.points;
    let bar = progress::bar(&context.console, total as u64, TEMPLATE);
    let advance = |done: usize, _total: usize| bar.set_position(done as u64);
    let report = collection.push(&target, Progress::new(&advance))?;
    bar.finish_and_clear();
    if context.json {
        stdout::print_json(&json!({ "points": report.points, "compared": report.compared }))?;
    } else {
        let points = grouped(report.points as u64);
        let compared = report.compared;
        context.console.say(&format!(
            "{points} points copied to {target}; {compared} answers compared, all the same"
        ));
    }
    Ok(Outcome::Done)
}

impl PushArgs {
    fn target(&self) -> Place {
        let folder = self
            .place
            .collection
            .file_name()
            .unwrap_or(self.place.collection.as_os_str());
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| folder.to_string_lossy().into_owned());
        on_server(
            &self.target,
            &name,
            Spread {
                shards: self.shards,
                replicas: self.replicas,
            },
        )
    }
}
