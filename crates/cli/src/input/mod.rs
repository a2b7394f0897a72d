//! Embeddings from a file that `matryo encode` wrote, whose extension says the format.

mod error;
mod jsonl;
mod npy;
mod parquet;
mod safetensors;

use std::{fs, path::Path};

use matryo_base::FileError;
use matryo_ops::Mat;

pub use error::InputError;

use crate::{error::CliError, output::Format};

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The texts, where the format has them.
    pub texts: Option<Vec<String>>,
    /// `[rows, dim]`, at least one row.
    pub embeddings: Mat,
}

/// Reads embeddings as float32 (float64 is rounded).
///
/// # Errors
/// [`CliError::OutputFormat`] for an unknown extension, else an [`InputError`] for whatever is wrong with the file.
pub fn read(path: &Path) -> Result<Stored, CliError> {
    let format = Format::of(path)?;
    let stored = match format {
        Format::Npy => npy::parse(path, &bytes(path)?)?.stored(path, None),
        Format::Safetensors => safetensors::parse(path, &bytes(path)?)?.stored(path, None),
        Format::Jsonl => jsonl::read(path),
        Format::Parquet => parquet::read(path),
    };
    Ok(stored?)
}

fn bytes(path: &Path) -> Result<Vec<u8>, InputError> {
    Ok(fs::read(path).map_err(FileError::new("read", path))?)
}

/// Rows as they are read.
#[derive(Debug, Default)]
struct Rows {
    rows: usize,
    cols: usize,
    values: Vec<f32>,
}

impl Rows {
    /// All rows at once.
    fn of(path: &Path, shape: &[usize], values: Vec<f32>) -> Result<Self, InputError> {
        let &[rows, cols] = shape else {
            return Err(InputError::Shape {
                path: path.to_owned(),
                found: shape.to_vec(),
            });
        };
        Ok(Self { rows, cols, values })
    }

    /// One more row, as wide as the first.
    fn push(&mut self, path: &Path, values: &[f32]) -> Result<(), InputError> {
        if self.rows == 0 {
            self.cols = values.len();
        }
        self.rows += 1;
        if values.len() != self.cols {
            let (row, found, expected) = (self.rows, values.len(), self.cols);
            return Err(InputError::Width {
                path: path.to_owned(),
                row,
                found,
                expected,
            });
        }
        self.values.extend_from_slice(values);
        Ok(())
    }

    /// The matrix, once it is known to be sound.
    fn stored(self, path: &Path, texts: Option<Vec<String>>) -> Result<Stored, InputError> {
        if self.values.is_empty() {
            return Err(InputError::Empty {
                path: path.to_owned(),
            });
        }
        if let Some(place) = self.values.iter().position(|value| !value.is_finite()) {
            let (row, value) = (place / self.cols + 1, self.values[place]);
            return Err(InputError::NotFinite {
                path: path.to_owned(),
                row,
                value,
            });
        }
        Ok(Stored {
            texts,
            embeddings: Mat::from_vec(self.rows, self.cols, self.values),
        })
    }
}

/// Types of values that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Float {
    Single,
    Double,
}

impl Float {
    fn size(self) -> usize {
        match self {
            Self::Single => size_of::<f32>(),
            Self::Double => size_of::<f64>(),
        }
    }

    /// Little-endian values.
    fn values(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::Single => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect(),
            Self::Double => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| f64::from_le_bytes(bytes) as f32)
                .collect(),
        }
    }
}
