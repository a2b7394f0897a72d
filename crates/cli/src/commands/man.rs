//! `matryo man`: manual pages.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;
use matryo_base::{FileError, write_folder};

use super::Outcome;
use crate::{args::Cli, error::CliError, stdout};

/// Print the manual page, or write one for each command.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder to write matryo.1, matryo-train.1 and so on into; without it matryo.1 is printed
    dir: Option<PathBuf>,
}

/// Prints or writes the pages.
pub fn run(args: &ManArgs) -> Result<Outcome, CliError> {
    let command = Cli::command();
    match &args.dir {
        None => stdout::print(|out| Man::new(command).render(out))?,
        Some(dir) => write_all(command, dir)?,
    }
    Ok(Outcome::Done)
}

fn write_all(command: clap::Command, dir: &Path) -> Result<(), CliError> {
    write_folder(dir, |pages| {
        let written = clap_mangen::generate_to(command, pages);
        Ok(written.map_err(FileError::new("write into", dir))?)
    })
}
