//! Embeddings to a file, whose extension says the format.

pub mod jsonl;
mod npy;
mod parquet;
pub mod records;
mod safetensors;
pub mod texts;
pub mod values;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use matryo_base::{FileError, write_atomic};
use matryo_model::Quantized;

use crate::error::CliError;

/// File formats of embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// NumPy.
    Npy,
    /// A JSON object a line.
    Jsonl,
    /// Parquet.
    Parquet,
    /// safetensors.
    Safetensors,
}

/// Extension and format.
const FORMATS: [(&str, Format); 4] = [
    ("npy", Format::Npy),
    ("jsonl", Format::Jsonl),
    ("parquet", Format::Parquet),
    ("safetensors", Format::Safetensors),
];

impl Format {
    /// The format of a file name.
    ///
    /// # Errors
    /// [`CliError::OutputFormat`] for another extension; asked before any work is done.
    pub fn of(path: &Path) -> Result<Self, CliError> {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_ascii_lowercase);
        let found = FORMATS
            .iter()
            .find(|(name, _)| Some(*name) == extension.as_deref());
        found
            .map(|(_, format)| *format)
            .ok_or_else(|| CliError::OutputFormat {
                path: path.to_owned(),
            })
    }
}

/// Checks that the folder of `path` is there, before work is done for a file that could not be written.
///
/// # Errors
/// [`CliError::NoOutputFolder`].
pub fn check_folder(path: &Path) -> Result<(), CliError> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if folder.is_dir() {
        Ok(())
    } else {
        Err(CliError::NoOutputFolder {
            path: path.to_owned(),
        })
    }
}

/// Writes texts and embeddings. A file appears whole or not at all.
pub fn write(
    path: &Path,
    format: Format,
    texts: &[String],
    embeddings: &Quantized,
) -> Result<(), CliError> {
    write_whole(path, |out| match format {
        Format::Npy => npy::write(out, embeddings),
        Format::Jsonl => jsonl::write_objects(out, texts, embeddings),
        Format::Parquet => parquet::write(out, texts, embeddings),
        Format::Safetensors => safetensors::write(out, embeddings),
    })
}

/// Writes a file atomically. What is there and no file, a pipe or a device, is written to and not replaced.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), CliError> {
    let special = path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir());
    if !special {
        return Ok(write_atomic(path, write)?);
    }
    let through = File::options().write(true).open(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.flush()
    });
    Ok(through.map_err(FileError::new("write", path))?)
}
