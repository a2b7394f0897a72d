//! Texts and the class of each: what a classifier is trained on and measured with.

use std::path::Path;

use crate::columns::Selection;
use crate::error::DataError;
use crate::location::{Location, Place};
use crate::reader::{Cell, Visitor, read};

/// Texts with a label each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledTexts {
    /// The texts.
    pub texts: Vec<String>,
    /// The name of each text's class; never blank.
    pub labels: Vec<String>,
}

/// Reads two columns of a file, in the formats of [`Dataset::open`](crate::Dataset::open); other columns may be there.
/// A label is a text, or a number, which is then taken as it is written: `7`.
///
/// # Errors
/// As [`Dataset::open`](crate::Dataset::open), and when a label is null, blank, or neither text nor number.
pub fn read_labelled_texts(
    path: &Path,
    text_column: &str,
    label_column: &str,
) -> Result<LabelledTexts, DataError> {
    let mut collecting = Collecting {
        path,
        columns: [text_column, label_column],
        found: LabelledTexts::default(),
    };
    read(path, &mut collecting)?;
    if collecting.found.texts.is_empty() {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    Ok(collecting.found)
}

struct Collecting<'a> {
    path: &'a Path,
    /// Of the text, of the label.
    columns: [&'a str; 2],
    found: LabelledTexts,
}

impl Visitor for Collecting<'_> {
    fn select(&mut self, _: &[String]) -> Result<Selection, DataError> {
        let numbers = vec![self.columns[1].to_owned()];
        Ok(Selection {
            numbers,
            ..Selection::among_others(&self.columns, &[])
        })
    }

    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError> {
        let [text, label] = self.columns;
        let name = cells[1].label(self.path, place, label)?;
        if name.trim().is_empty() {
            return Err(DataError::EmptyLabel {
                at: Location::at(self.path, place),
                column: label.to_owned(),
            });
        }
        self.found
            .texts
            .push(cells[0].text(self.path, place, text)?.to_owned());
        self.found.labels.push(name.into_owned());
        Ok(())
    }
}
