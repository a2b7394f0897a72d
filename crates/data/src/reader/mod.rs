//! Files of rows, read one row at a time, so that memory is bounded by the longest row (in Parquet, a batch of rows).

mod delimited;
mod format;
mod json;
mod json_lines;
mod lines;
mod parquet;
mod source;

use std::borrow::Cow;
use std::path::Path;

use serde_json::Number;

use crate::columns::Selection;
use crate::error::DataError;
use crate::location::{Location, Place};

pub(crate) use format::{Codec, Format, detect};
pub(crate) use json_lines::parse as parse_line;
pub(crate) use lines::{Lines, utf8};
pub(crate) use parquet::batches as parquet_batches;
pub(crate) use source::Source;

/// The name given to the only column of a file whose rows are bare texts.
pub(crate) const BARE_COLUMN: &str = "text";

/// A value of a row.
#[derive(Debug)]
pub(crate) enum Cell<'a> {
    Text(&'a str),
    Number(Number),
    Null,
    /// An optional column that the row does not have.
    Missing,
    /// Something else, said in words: `a number`.
    Other(&'static str),
}

impl<'a> Cell<'a> {
    /// The text; null and other types are errors.
    pub(crate) fn text(
        &self,
        path: &Path,
        place: Place,
        column: &str,
    ) -> Result<&'a str, DataError> {
        let (at, column) = (|| Location::at(path, place), || column.to_owned());
        match self {
            Self::Text(text) => Ok(text),
            Self::Null | Self::Missing => Err(DataError::Null {
                at: at(),
                column: column(),
            }),
            other => Err(DataError::WrongType {
                at: at(),
                column: column(),
                found: other.kind().to_owned(),
            }),
        }
    }

    /// The number, also where a text spells one (CSV has nothing else).
    pub(crate) fn number(&self, path: &Path, place: Place, column: &str) -> Result<f64, DataError> {
        let number = match self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| {
            let found = if let Self::Text(text) = self {
                format!("`{text}`")
            } else {
                self.kind().to_owned()
            };
            DataError::NotANumber {
                at: Location::at(path, place),
                column: column.to_owned(),
                found,
            }
        })
    }

    /// The name of a class: a text, or a number as it is written.
    pub(crate) fn label(
        &self,
        path: &Path,
        place: Place,
        column: &str,
    ) -> Result<Cow<'a, str>, DataError> {
        match self {
            Self::Number(number) => Ok(Cow::Owned(number.to_string())),
            _ => self.text(path, place, column).map(Cow::Borrowed),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Null | Self::Missing => "null",
            Self::Other(kind) => kind,
        }
    }
}

/// Takes what a file holds.
pub(crate) trait Visitor {
    /// Called once, with the file's columns, before any row: what is wanted.
    fn select(&mut self, found: &[String]) -> Result<Selection, DataError>;

    /// Called for each row, with the cells of the columns wanted, in the order of [`Selection::taken`].
    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError>;
}

/// Reads a file of rows, in the format that its name tells.
pub(crate) fn read(path: &Path, visitor: &mut dyn Visitor) -> Result<(), DataError> {
    let (format, codec) = detect(path)?;
    match format {
        Format::JsonLines => json_lines::read(&mut Lines::new(Source::open(path, codec)?), visitor),
        Format::Delimited(separator) => {
            delimited::read(Source::open(path, codec)?, separator, visitor)
        }
        Format::Parquet => parquet::read(path, visitor),
        Format::Text => text(&mut Lines::new(Source::open(path, codec)?), visitor),
    }
}

/// One text a line, empty lines too.
fn text(lines: &mut Lines<'_>, visitor: &mut dyn Visitor) -> Result<(), DataError> {
    let path = lines.path().to_path_buf();
    let found = [BARE_COLUMN.to_owned()];
    visitor
        .select(&found)?
        .check(&Location::file(&path), &found)?;
    while let Some((place, line)) = lines.next()? {
        visitor.row(place, &[Cell::Text(line)])?;
    }
    Ok(())
}
