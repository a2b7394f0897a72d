//! What can be wrong with a file of embeddings.

use std::path::PathBuf;

use matryo_base::FileError;

/// Everything that reading embeddings can report. Rows and lines are counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("not a readable .npy file: {reason}\n  in {}", path.display())]
    Npy { path: PathBuf, reason: &'static str },
    #[error("not a readable safetensors file: {source}\n  in {}", path.display())]
    Safetensors {
        path: PathBuf,
        source: safetensors::SafeTensorError,
    },
    #[error("not a readable Parquet file: {source}\n  in {}", path.display())]
    Parquet {
        path: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("line {line} is neither a list of numbers nor an object with one as `embedding`: {source}\n  in {}", path.display())]
    Json {
        path: PathBuf,
        line: usize,
        source: serde_json::Error,
    },
    #[error("the file has {found} bytes, its header promises {expected}\n  in {}", path.display())]
    Length {
        path: PathBuf,
        found: usize,
        expected: usize,
    },
    #[error("the values are {found}, expected float32 or float64\n  in {}", path.display())]
    Type { path: PathBuf, found: String },
    #[error("the shape is {found:?}, expected rows and columns\n  in {}", path.display())]
    Shape { path: PathBuf, found: Vec<usize> },
    #[error("no {kind} `{name}`, found {}\n  in {}", quoted(found), path.display())]
    Missing {
        path: PathBuf,
        kind: &'static str,
        name: &'static str,
        found: Vec<String>,
    },
    #[error("row {row} has no {what}\n  in {}", path.display())]
    Null {
        path: PathBuf,
        row: usize,
        what: &'static str,
    },
    #[error("row {row} has {found} values, the first has {expected}\n  in {}", path.display())]
    Width {
        path: PathBuf,
        row: usize,
        found: usize,
        expected: usize,
    },
    #[error("row {row} holds {value}, expected finite numbers\n  in {}", path.display())]
    NotFinite {
        path: PathBuf,
        row: usize,
        value: f32,
    },
    #[error("no embeddings\n  in {}", path.display())]
    Empty { path: PathBuf },
}

impl InputError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Length { .. } => {
                "the file was cut short, or belongs to an unfinished run: encode again"
            }
            Self::Type { .. } => "`matryo encode` writes float32 unless --quantize says otherwise",
            Self::Npy { .. }
            | Self::Safetensors { .. }
            | Self::Parquet { .. }
            | Self::Json { .. } => "expected is what `matryo encode --output FILE` writes",
            Self::Missing { .. } | Self::Shape { .. } | Self::Width { .. } => {
                "was the file written by `matryo encode`?"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
