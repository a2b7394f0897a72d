//! `matryo convert`: weights of torch's pickles as safetensors.

use std::path::PathBuf;

use clap::Args;
use matryo_model::convert;
use serde_json::json;

use super::{Context, Outcome};
use crate::{error::CliError, stdout};

/// Write model.safetensors beside each pytorch_model.bin of a model folder.
///
/// A pickle is a program; this reads the tensors in it and runs none of it, and refuses a file that calls for anything else by
/// name. Modules' folders are converted too, those of a Router's routes among them; shards stay shards, types stay, and so do
/// the pickles. With --json: [{"path": FILE, "tensors": 201}, ...].
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Folder of the model
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Entry that holds the tensors, in a file that holds more: `state_dict`
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
}

/// Converts in place.
pub fn run(args: &ConvertArgs, context: &Context) -> Result<Outcome, CliError> {
    let written = convert(&args.folder, args.key.as_deref())?;
    if context.json {
        let files = written.iter();
        let files: Vec<_> = files
            .map(|file| json!({"path": file.path, "tensors": file.tensors}))
            .collect();
        stdout::print_json(&files)?;
    }
    for file in &written {
        let (path, tensors) = (file.path.display(), file.tensors);
        context
            .console
            .say(&format!("wrote {path}: {tensors} tensors"));
    }
    Ok(Outcome::Done)
}
