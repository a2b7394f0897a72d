//! `matryo save`: a model folder copied into another, in the old or the new layout.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use matryo_model::{FolderLayout, SaveOptions, SentenceEncoder, save};
use serde_json::json;

use super::{Context, Outcome};
use crate::{args::ModelArgs, error::CliError, model, stdout};

/// Copy a model into another folder, in the old or the new layout.
#[derive(Debug, Args)]
pub struct SaveArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder to write; it must be new or empty
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Form of the folder: old loads everywhere, new needs sentence-transformers 5.4
    #[arg(long, value_enum, default_value_t = LayoutName::Old)]
    layout: LayoutName,
}

/// Names of the layouts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutName {
    Old,
    New,
}

/// Reads the model whole, checks it, and writes it again.
pub fn run(args: &SaveArgs, context: &Context) -> Result<Outcome, CliError> {
    check_empty(&args.target)?;
    let path = model::resolve(&args.model, &context.console)?;
    let source = SentenceEncoder::open_for_training(&path, matryo_ops::cpu(), &[])?;
    let notes = source.folder().notes.iter();
    notes.for_each(|note| context.console.note(note));
    let params = source.network().params();
    let card = std::fs::read_to_string(path.join("README.md")).ok();
    let layout = match args.layout {
        LayoutName::Old => FolderLayout::Old,
        LayoutName::New => FolderLayout::New,
    };
    let options = SaveOptions {
        layout,
        card: card.as_deref(),
        ..SaveOptions::default()
    };
    save(&args.target, source.folder(), params, &options)?;
    if context.json {
        stdout::print_json(&json!({"path": args.target}))?;
    } else {
        context
            .console
            .say(&format!("saved {}", args.target.display()));
    }
    Ok(Outcome::Done)
}

/// Fails if something lies in the target, which saving would mix with the model, or if no folder can be there.
pub(super) fn check_empty(target: &Path) -> Result<(), CliError> {
    let is_link = target.symlink_metadata().is_ok();
    let ancestor = target.ancestors().skip(1).find(|path| path.exists());
    let under_a_file = ancestor.is_some_and(|path| !path.is_dir());
    // `..` names no folder that could be made.
    if is_link && !target.is_dir() || under_a_file || target.ends_with("..") {
        return Err(CliError::NoFolder {
            path: target.to_owned(),
        });
    }
    let occupied = match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => target.exists(),
    };
    if occupied {
        Err(CliError::NotEmpty {
            path: target.to_owned(),
        })
    } else {
        Ok(())
    }
}
