//! Texts to a file: .txt (one a line), or the column `text` of a .csv, .jsonl or .parquet file.

use std::{io::Write, path::Path};

use super::{
    check_folder,
    records::{Column, Records, Target},
    write_whole,
};
use crate::error::CliError;

/// Checks all that can be known before any work.
///
/// # Errors
/// [`CliError::TextFormat`], [`CliError::NoOutputFolder`].
pub fn check(path: &Path) -> Result<(), CliError> {
    if is_lines(path) {
        return check_folder(path);
    }
    match Target::of(path) {
        Err(CliError::RecordFormat { path }) => Err(CliError::TextFormat { path }),
        other => other.map(drop),
    }
}

/// Writes texts. The file appears whole or not at all.
///
/// # Errors
/// [`CliError::LineBreak`] for a text of several lines in a .txt file.
pub fn write(path: &Path, texts: &[&str]) -> Result<(), CliError> {
    if !is_lines(path) {
        return Target::of(path)?.write(&Records(vec![("text", Column::Text(texts.to_vec()))]));
    }
    if let Some(place) = texts.iter().position(|text| text.contains(['\n', '\r'])) {
        return Err(CliError::LineBreak {
            path: path.to_owned(),
            number: place + 1,
        });
    }
    write_whole(path, |out| {
        texts.iter().try_for_each(|text| writeln!(out, "{text}"))
    })
}

fn is_lines(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("txt"))
}
