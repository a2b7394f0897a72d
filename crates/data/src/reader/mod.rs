//! Files of rows, read one row at a time, so that memory is bounded by the longest row (in Parquet, a batch of rows).

mod delimited;
mod format;
mod json;
mod json_lines;
mod lines;
mod parquet;
mod source;

use std::path::Path;

use crate::columns::Selection;
use crate::error::DataError;
use crate::location::{Location, Place};

pub(crate) use format::{Format, detect};
pub(crate) use lines::Lines;
pub(crate) use source::Source;

/// The name given to the only column of a file whose rows are bare texts.
pub(crate) const BARE_COLUMN: &str = "text";

/// A value of a row.
#[derive(Debug)]
pub(crate) enum Cell<'a> {
    Text(&'a str),
    Null,
    Number(f64),
    /// An optional column that the row does not have.
    Missing,
    /// Something else, said in words: `a list`.
    Other(&'static str),
}

impl<'a> Cell<'a> {
    /// The text; null and other types are errors.
    pub(crate) fn text(&self, path: &Path, place: Place, column: &str) -> Result<&'a str, DataError> {
        let (at, column) = (|| Location::at(path, place), || column.to_owned());
        match self {
            Self::Text(text) => Ok(text),
            Self::Null | Self::Missing => Err(DataError::Null { at: at(), column: column() }),
            Self::Number(_) => Err(DataError::WrongType { at: at(), column: column(), found: "a number".to_owned() }),
            Self::Other(found) => Err(DataError::WrongType { at: at(), column: column(), found: (*found).to_owned() }),
        }
    }

    /// The finite number, which a text may spell out; anything else is an error.
    pub(crate) fn number(&self, path: &Path, place: Place) -> Result<f64, DataError> {
        let (number, found) = match self {
            Self::Number(number) => (Some(*number), number.to_string()),
            Self::Text(text) => (text.trim().parse().ok(), (*text).to_owned()),
            Self::Null | Self::Missing => (None, "null".to_owned()),
            Self::Other(found) => (None, (*found).to_owned()),
        };
        let finite = number.filter(|number: &f64| number.is_finite());
        finite.ok_or_else(|| DataError::BadScore { at: Location::at(path, place), found })
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
        Format::Delimited(separator) => delimited::read(Source::open(path, codec)?, separator, visitor),
        Format::Parquet => parquet::read(path, visitor),
        Format::Text => text(&mut Lines::new(Source::open(path, codec)?), visitor),
    }
}

/// One text a line, empty lines too.
fn text(lines: &mut Lines<'_>, visitor: &mut dyn Visitor) -> Result<(), DataError> {
    let path = lines.path().to_path_buf();
    let found = [BARE_COLUMN.to_owned()];
    visitor.select(&found)?.check(&Location::file(&path), &found)?;
    while let Some((place, line)) = lines.next()? {
        visitor.row(place, &[Cell::Text(line)])?;
    }
    Ok(())
}
