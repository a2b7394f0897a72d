//! `matryo index delete`: documents out of a collection.

use clap::Args;
use matryo_collection::Filter;
use serde_json::json;

use super::PlaceArgs;
use crate::{
    commands::{Context, Outcome},
    error::CliError,
    progress::grouped,
    stdout,
};

/// Delete documents by their ids, or those that a filter matches.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Ids of documents; if one is not there, nothing is deleted
    #[arg(
        value_name = "ID",
        required_unless_present = "filter",
        conflicts_with = "filter"
    )]
    ids: Vec<String>,
    /// Documents that match, such as 'year < 2000 or region = "EU"'
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
}

/// Deletes and tells how much.
pub fn run(args: &DeleteArgs, context: &Context) -> Result<Outcome, CliError> {
    let filter: Option<Filter> = args.filter.as_deref().map(super::filter).transpose()?;
    let collection = args.place.open()?;
    let (what, count) = match filter {
        Some(filter) => ("chunks", collection.delete_where(&filter)?),
        None => ("documents", collection.delete(&args.ids)?),
    };
    if context.json {
        stdout::print_json(&json!({ "deleted": count }))?;
    } else {
        context
            .console
            .say(&format!("{} {what} deleted", grouped(count as u64)));
    }
    Ok(Outcome::Done)
}
