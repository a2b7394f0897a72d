//! `matryo card`: the model card of a folder.

use std::{io::Write, path::Path};

use clap::Args;
use matryo_base::write_atomic;
use matryo_classify::card_of_classifier;
use matryo_model::ModelFolder;
use matryo_train::card::{CardData, load_record, render};
use serde_json::json;

use super::{Context, Outcome};
use crate::{args::ModelArgs, error::CliError, model, stdout};

/// Print a model card, or write it.
///
/// A model that matryo trained keeps the record of its run, and gets the full card; of any other model the card says
/// what its folder tells.
#[derive(Debug, Args)]
pub struct CardArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Write the card to README.md in the model folder instead of printing it
    #[arg(long)]
    write: bool,
    /// With --write: replace a README.md that is there
    #[arg(long, requires = "write")]
    overwrite: bool,
}

/// Prints or writes the card; with `--json` prints the record it is made from.
pub fn run(args: &CardArgs, context: &Context) -> Result<Outcome, CliError> {
    let path = model::resolve(&args.model, &context.console)?;
    let data = record(&path)?;
    if args.write {
        write_card(
            &path.join("README.md"),
            &whole(&path, &data)?,
            args.overwrite,
            context,
        )?;
    } else if context.json {
        stdout::print_json(&json!(data))?;
    } else {
        let card = whole(&path, &data)?;
        stdout::print(|out| out.write_all(card.as_bytes()))?;
    }
    Ok(Outcome::Done)
}

/// The card of the model, and of the classifier on it if there is one.
fn whole(path: &Path, data: &CardData) -> Result<String, CliError> {
    Ok(card_of_classifier(path, &render(data)?)?)
}

fn record(path: &Path) -> Result<CardData, CliError> {
    if let Some(record) = load_record(path)? {
        return Ok(record);
    }
    Ok(CardData::untrained(&ModelFolder::open(path)?))
}

fn write_card(path: &Path, card: &str, overwrite: bool, context: &Context) -> Result<(), CliError> {
    if path.exists() && !overwrite {
        return Err(CliError::CardExists {
            path: path.to_owned(),
        });
    }
    write_atomic(path, |out| out.write_all(card.as_bytes()))?;
    context.console.say(&format!("wrote {}", path.display()));
    Ok(())
}
