//! The texts to work on: arguments, a file, or standard input.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::Args;
use matryo_data::{read_text_lines, read_texts};

use crate::error::CliError;

/// Where texts come from.
#[derive(Clone, Debug, Args)]
pub struct TextArgs {
    /// Texts
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// File with the texts: .txt (one a line), .jsonl, .csv, .tsv or .parquet; - is standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// Column of the file that holds the texts [default: the only one, else text or sentence]
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
}

/// The texts that the arguments name; without any, the lines of a pipe.
///
/// # Errors
/// [`CliError::NoText`] if there is no source, and whatever is wrong with the source.
pub fn gather(args: &TextArgs) -> Result<Vec<String>, CliError> {
    if args.input.is_none() && !args.texts.is_empty() {
        return Ok(args.texts.clone());
    }
    from_file(args.input.as_deref(), args.column.as_deref())
}

/// The texts of a file (`-` is standard input); without one, the lines of a pipe.
///
/// # Errors
/// As [`gather`].
pub fn from_file(input: Option<&Path>, column: Option<&str>) -> Result<Vec<String>, CliError> {
    match input {
        Some(path) if path.as_os_str() != "-" => Ok(read_texts(path, column)?),
        Some(_) => standard_input(),
        None if io::stdin().is_terminal() => Err(CliError::NoText),
        None => standard_input(),
    }
}

fn standard_input() -> Result<Vec<String>, CliError> {
    let texts = read_text_lines(io::stdin().lock(), "standard input")?;
    if texts.is_empty() {
        Err(CliError::NoText)
    } else {
        Ok(texts)
    }
}
