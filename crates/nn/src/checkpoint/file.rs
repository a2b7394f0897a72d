//! One safetensors file, mapped into memory and checked against its header.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
};

use matryo_base::{StandIn, files::FileError};
use matryo_kernels::{MappedFile, map_file};
use safetensors::{SafeTensorError, SafeTensors, tensor::TensorInfo};
use serde_json::Value;

use crate::NnError;

/// Bytes of the header's own length at the start of a file.
const LENGTH_BYTES: usize = 8;

/// A mapped file and where its tensors lie.
#[derive(Debug)]
pub(super) struct ShardFile {
    pub(super) path: PathBuf,
    map: MappedFile,
    /// Where the tensors' bytes begin.
    start: usize,
    pub(super) tensors: HashMap<String, TensorInfo>,
}

impl ShardFile {
    /// Maps a file; every offset of its header is checked here, so that reading cannot go wrong later.
    pub(super) fn open(path: &Path) -> Result<Self, NnError> {
        let file = File::open(path).map_err(FileError::new("open", path))?;
        let length = file.metadata().map_err(FileError::new("read", path))?.len();
        if length < LENGTH_BYTES as u64 {
            return Err(NnError::FileLength {
                path: path.to_owned(),
                found: length,
                expected: LENGTH_BYTES as u64,
            });
        }
        let map = map_file(&file).map_err(FileError::new("map", path))?;
        let (header, metadata) =
            SafeTensors::read_metadata(&map).map_err(|source| explain(path, &map, source))?;
        let tensors = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| (name, info.clone()))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            map,
            start: LENGTH_BYTES + header,
            tensors,
        })
    }

    /// The bytes of a tensor of this file.
    pub(super) fn bytes(&self, info: &TensorInfo) -> &[u8] {
        let (from, to) = info.data_offsets;
        &self.map[self.start + from..self.start + to]
    }

    pub(super) fn release(&self) {
        self.map.release();
    }
}

/// A file of the wrong length gets both lengths into its message, what lies in its place is named; anything else keeps the
/// library's reason.
fn explain(path: &Path, bytes: &[u8], source: SafeTensorError) -> NnError {
    let (path, length) = (path.to_owned(), bytes.len() as u64);
    if let Some(found) = StandIn::of(bytes) {
        return NnError::StandIn { path, found };
    }
    match promised_length(bytes) {
        Some(expected) if expected != length => NnError::FileLength {
            path,
            found: length,
            expected,
        },
        _ => NnError::Safetensors { path, source },
    }
}

/// The length that the header promises, `None` if the header makes no sense.
fn promised_length(bytes: &[u8]) -> Option<u64> {
    const LARGEST_HEADER: u64 = 100_000_000;
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    if length > LARGEST_HEADER {
        return None;
    }
    let start = length + LENGTH_BYTES as u64;
    let Some(header) = bytes.get(LENGTH_BYTES..usize::try_from(start).ok()?) else {
        return Some(start);
    };
    let Value::Object(header) = serde_json::from_slice(header).ok()? else {
        return None;
    };
    let ends = header
        .values()
        .filter_map(|info| info.get("data_offsets")?.get(1)?.as_u64());
    start.checked_add(ends.max().unwrap_or(0))
}
