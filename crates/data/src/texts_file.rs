//! The texts of one column of a file: what to encode.

use std::io::BufRead;
use std::path::Path;

use crate::columns::Selection;
use crate::error::DataError;
use crate::location::Place;
use crate::reader::{BARE_COLUMN, Cell, Lines, Source, Visitor, read};

/// Names that say that a column holds the texts.
const TEXT_COLUMNS: [&str; 2] = [BARE_COLUMN, "sentence"];

/// Reads the texts of a file: one a line (`.txt`, empty lines are empty texts), or a column of JSONL, CSV, TSV or
/// Parquet; `.gz` and `.zst` as in [`Dataset::open`](crate::Dataset::open). A JSONL file may hold bare strings.
///
/// Without `column`, the file's only column is meant, else the one called `text` or `sentence`.
///
/// # Errors
/// As [`Dataset::open`](crate::Dataset::open), and when no column was named and there are several.
pub fn read_texts(path: &Path, column: Option<&str>) -> Result<Vec<String>, DataError> {
    let mut collecting = Collecting {
        path,
        wanted: column,
        column: String::new(),
        texts: Vec::new(),
    };
    read(path, &mut collecting)?;
    if collecting.texts.is_empty() {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    Ok(collecting.texts)
}

/// Reads one text a line; `name` stands for the file in messages, as `stdin`.
///
/// # Errors
/// When a line is not UTF-8, or reading fails.
pub fn read_text_lines(reader: impl BufRead, name: &str) -> Result<Vec<String>, DataError> {
    let mut lines = Lines::new(Source::new(reader, Path::new(name)));
    let mut texts = Vec::new();
    while let Some((_, line)) = lines.next()? {
        texts.push(line.to_owned());
    }
    Ok(texts)
}

struct Collecting<'a> {
    path: &'a Path,
    wanted: Option<&'a str>,
    column: String,
    texts: Vec<String>,
}

impl Collecting<'_> {
    fn choose(&self, found: &[String]) -> Result<String, DataError> {
        if let Some(column) = self.wanted {
            return Ok(column.to_owned());
        }
        let named: Vec<_> = found
            .iter()
            .filter(|name| TEXT_COLUMNS.contains(&name.as_str()))
            .collect();
        match (found, named.as_slice()) {
            ([only], _) => Ok(only.clone()),
            (_, [named]) => Ok((*named).clone()),
            _ => Err(DataError::AmbiguousColumn {
                path: self.path.to_path_buf(),
                found: found.to_vec(),
            }),
        }
    }
}

impl Visitor for Collecting<'_> {
    fn select(&mut self, found: &[String]) -> Result<Selection, DataError> {
        self.column = self.choose(found)?;
        Ok(Selection::among_others(&[&self.column], &[]))
    }

    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError> {
        self.texts
            .push(cells[0].text(self.path, place, &self.column)?.to_owned());
        Ok(())
    }
}
