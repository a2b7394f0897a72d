//! A data file in memory: rows of texts in named columns, with a label each if the file has one.

use std::path::{Path, PathBuf};

use crate::Rows;
use crate::columns::{Columns, Selection};
use crate::digest::TextDigest;
use crate::error::DataError;
use crate::location::Place;
use crate::randperm::MOST;
use crate::reader::{Cell, Visitor, read};
use crate::text_column::TextColumn;

/// More could not be shuffled as PyTorch does.
const MOST_ROWS: u64 = MOST as u64;

/// Rows of texts, checked: every row has a text in every column. Memory is the texts plus 8 bytes per text and row.
///
/// A column called `label`, `labels`, `score` or `scores` is none of the columns: it holds a number for each row (semantics of
/// sentence-transformers, whatever the loss).
#[derive(Debug, Clone)]
pub struct Dataset {
    path: Option<PathBuf>,
    names: Vec<String>,
    columns: Vec<TextColumn>,
    labels: Option<Labels>,
    places: Vec<Place>,
}

/// The label of each row.
#[derive(Debug, Clone)]
struct Labels {
    column: String,
    values: Vec<f32>,
}

impl Dataset {
    /// Reads a file: JSONL (`.jsonl`, `.ndjson`, `.json`), CSV or TSV (with a header), each also `.gz` or `.zst`, or
    /// Parquet.
    ///
    /// # Errors
    /// Anything that is not a text in a column that was asked for, or not a number where the label stands, with its file and
    /// line; an empty file.
    pub fn open(path: &Path, columns: &Columns) -> Result<Self, DataError> {
        let mut loading = Loading {
            path,
            wanted: columns,
            names: Vec::new(),
            texts: Vec::new(),
            labels: None,
            places: Vec::new(),
        };
        read(path, &mut loading)?;
        loading.finish()
    }

    /// Rows that are in memory already.
    ///
    /// # Panics
    /// If the columns are not of one length, or there is not a name for each.
    pub fn from_columns(names: Vec<String>, columns: Vec<Vec<String>>) -> Self {
        assert_eq!(names.len(), columns.len(), "a name for each column");
        let rows = columns.first().map_or(0, Vec::len);
        assert!(
            columns.iter().all(|column| column.len() == rows),
            "columns of one length"
        );
        let mut texts = vec![TextColumn::default(); columns.len()];
        for (target, source) in texts.iter_mut().zip(&columns) {
            source.iter().for_each(|text| target.push(text));
        }
        Self {
            path: None,
            names,
            columns: texts,
            labels: None,
            places: (1..=rows as u64).map(Place::Row).collect(),
        }
    }

    /// The same rows with a label each.
    ///
    /// # Panics
    /// If there is not a label for each row.
    pub fn with_labels(self, column: String, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), self.places.len(), "a label for each row");
        Self {
            labels: Some(Labels { column, values }),
            ..self
        }
    }

    /// The file, when it was read from one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where in its file a row stands.
    pub fn place(&self, row: usize) -> Place {
        self.places[row]
    }

    /// SHA-256 in hexadecimal over: the number of columns, each name, the number of rows, and the texts row by row.
    /// Numbers are u64 little-endian; a name or text is its length in bytes, then its UTF-8. Labels follow, if there are any:
    /// the name of their column, then the bits of each as an f32. It does not depend on the file's format.
    pub fn fingerprint(&self) -> String {
        let mut digest = TextDigest::default();
        digest.number(self.names.len());
        self.names.iter().for_each(|name| digest.text(name));
        digest.number(self.len());
        for row in 0..self.len() {
            self.columns
                .iter()
                .for_each(|column| digest.text(column.get(row)));
        }
        if let Some(labels) = &self.labels {
            digest.text(&labels.column);
            labels
                .values
                .iter()
                .for_each(|value| digest.number(value.to_bits() as usize));
        }
        digest.hex()
    }
}

impl Rows for Dataset {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn columns(&self) -> &[String] {
        &self.names
    }

    fn text(&self, row: usize, column: usize) -> &str {
        self.columns[column].get(row)
    }

    fn label_column(&self) -> Option<&str> {
        self.labels.as_ref().map(|labels| labels.column.as_str())
    }

    fn label(&self, row: usize) -> Option<f32> {
        self.labels.as_ref().map(|labels| labels.values[row])
    }
}

/// A data set while its file is read.
struct Loading<'a> {
    path: &'a Path,
    wanted: &'a Columns,
    names: Vec<String>,
    texts: Vec<TextColumn>,
    labels: Option<Labels>,
    places: Vec<Place>,
}

impl Loading<'_> {
    fn finish(mut self) -> Result<Dataset, DataError> {
        let path = self.path.to_path_buf();
        if self.places.is_empty() {
            return Err(DataError::Empty { path });
        }
        self.texts.iter_mut().for_each(TextColumn::shrink);
        self.places.shrink_to_fit();
        Ok(Dataset {
            path: Some(path),
            names: self.names,
            columns: self.texts,
            labels: self.labels,
            places: self.places,
        })
    }
}

impl Visitor for Loading<'_> {
    fn select(&mut self, found: &[String]) -> Result<Selection, DataError> {
        let mut selection = self.wanted.select(found);
        let label = selection.set_label_aside();
        self.names = selection
            .required
            .iter()
            .filter(|name| Some(*name) != label.as_ref())
            .cloned()
            .collect();
        self.labels = label.map(|column| Labels {
            column,
            values: Vec::new(),
        });
        self.texts = vec![TextColumn::default(); self.names.len()];
        Ok(selection)
    }

    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError> {
        if self.places.len() as u64 == MOST_ROWS {
            return Err(DataError::TooManyRows {
                path: self.path.to_path_buf(),
                limit: MOST_ROWS,
            });
        }
        for ((texts, cell), name) in self.texts.iter_mut().zip(cells).zip(&self.names) {
            texts.push(cell.text(self.path, place, name)?);
        }
        if let (Some(labels), Some(cell)) = (&mut self.labels, cells.last()) {
            labels
                .values
                .push(cell.number(self.path, place, &labels.column)? as f32);
        }
        self.places.push(place);
        Ok(())
    }
}
