//! Rows of named columns to a .csv, .jsonl or .parquet file.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use matryo_data::parquet_io_error;
use parquet::arrow::ArrowWriter;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{check_folder, write_whole};
use crate::error::CliError;

/// Values of a column, one a row.
#[derive(Clone, Debug)]
pub enum Column<'a> {
    Text(Vec<&'a str>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Integer(Vec<i64>),
}

/// Columns of one length, in the order of the file. As JSON a list of objects.
#[derive(Clone, Debug)]
pub struct Records<'a>(pub Vec<(&'static str, Column<'a>)>);

/// A file to write records to.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    path: &'a Path,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Jsonl,
    Parquet,
}

impl<'a> Target<'a> {
    /// Checks all that can be known before any work.
    ///
    /// # Errors
    /// [`CliError::RecordFormat`], [`CliError::NoOutputFolder`].
    pub fn of(path: &'a Path) -> Result<Self, CliError> {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_ascii_lowercase);
        let format = match extension.as_deref() {
            Some("csv") => Format::Csv,
            Some("jsonl") => Format::Jsonl,
            Some("parquet") => Format::Parquet,
            _ => {
                return Err(CliError::RecordFormat {
                    path: path.to_owned(),
                });
            }
        };
        check_folder(path)?;
        Ok(Self { path, format })
    }

    /// The file.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// Writes all rows. The file appears whole or not at all.
    pub fn write(&self, records: &Records<'_>) -> Result<(), CliError> {
        write_whole(self.path, |out| match self.format {
            Format::Csv => records.write_csv(out),
            Format::Jsonl => records.write_jsonl(out),
            Format::Parquet => records.write_parquet(out),
        })
    }
}

impl Column<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Integer(values) => values.len(),
        }
    }

    /// The shortest digits that read back the same.
    pub fn text(&self, row: usize) -> String {
        match self {
            Self::Text(values) => values[row].to_owned(),
            Self::Float(values) => values[row].to_string(),
            Self::Double(values) => values[row].to_string(),
            Self::Integer(values) => values[row].to_string(),
        }
    }

    fn array(&self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(StringArray::from_iter_values(values)),
            Self::Float(values) => Arc::new(Float32Array::from(values.clone())),
            Self::Double(values) => Arc::new(Float64Array::from(values.clone())),
            Self::Integer(values) => Arc::new(Int64Array::from(values.clone())),
        }
    }
}

impl Records<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.first().map_or(0, |(_, column)| column.len())
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|row| Row { records: self, row })
    }

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer
            .write_record(self.0.iter().map(|(name, _)| *name))
            .map_err(csv_error)?;
        for row in 0..self.len() {
            writer
                .write_record(self.0.iter().map(|(_, column)| column.text(row)))
                .map_err(csv_error)?;
        }
        writer.flush()
    }

    fn write_jsonl(&self, out: &mut impl Write) -> io::Result<()> {
        self.rows().try_for_each(|row| {
            serde_json::to_writer(&mut *out, &row)?;
            out.write_all(b"\n")
        })
    }

    fn write_parquet(&self, out: &mut (impl Write + Send)) -> io::Result<()> {
        let columns = self.0.iter().map(|(name, column)| (*name, column.array()));
        let batch = RecordBatch::try_from_iter(columns).map_err(io::Error::other)?;
        let write = || {
            let mut writer = ArrowWriter::try_new(out, batch.schema(), None)?;
            writer.write(&batch)?;
            writer.close()
        };
        write().map(drop).map_err(parquet_io_error)
    }
}

fn csv_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// A row as a JSON object.
struct Row<'a> {
    records: &'a Records<'a>,
    row: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.records.0.len()))?;
        for (name, column) in &self.records.0 {
            match column {
                Column::Text(values) => map.serialize_entry(name, values[self.row])?,
                Column::Float(values) => map.serialize_entry(name, &values[self.row])?,
                Column::Double(values) => map.serialize_entry(name, &values[self.row])?,
                Column::Integer(values) => map.serialize_entry(name, &values[self.row])?,
            }
        }
        map.end()
    }
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        self.rows()
            .try_for_each(|row| list.serialize_element(&row))?;
        list.end()
    }
}
