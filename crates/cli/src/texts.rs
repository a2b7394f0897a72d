//! The texts to work on: arguments, a file, or standard input.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
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
    match &args.input {
        Some(path) if path.as_os_str() != "-" => Ok(read_texts(path, args.column.as_deref())?),
        Some(_) => standard_input(),
        None if !args.texts.is_empty() => Ok(args.texts.clone()),
        None if io::stdin().is_terminal() => Err(CliError::NoText),
        None => standard_input(),
    }
}

fn standard_input() -> Result<Vec<String>, CliError> {
    let texts = read_text_lines(io::stdin().lock(), "standard input")?;
    if texts.is_empty() { Err(CliError::NoText) } else { Ok(texts) }
}
