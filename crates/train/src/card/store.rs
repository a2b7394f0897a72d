//! The record beside the card, so that the card can be rendered again.

use std::{
    io::{ErrorKind, Write},
    path::Path,
};

use matryo_base::{FileError, write_atomic};

use super::{CardData, CardError};

/// File name of the record in a model folder.
pub const RECORD_FILE: &str = "matryo_card.json";

/// Writes the record into a model folder, whole or not at all.
///
/// # Errors
/// [`CardError::File`] if the folder cannot be written.
pub fn save_record(folder: &Path, card: &CardData) -> Result<(), CardError> {
    let path = folder.join(RECORD_FILE);
    let json = serde_json::to_vec_pretty(card).map_err(|source| CardError::Record {
        path: path.clone(),
        source,
    })?;
    Ok(write_atomic(&path, |writer| writer.write_all(&json))?)
}

/// Reads the record of a model folder; `None` if it has none.
///
/// # Errors
/// [`CardError::File`] and [`CardError::Record`] for a record that is there but unreadable.
pub fn load_record(folder: &Path) -> Result<Option<CardData>, CardError> {
    let path = folder.join(RECORD_FILE);
    match std::fs::read(&path) {
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::new("read", &path)(source).into()),
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(|source| CardError::Record { path, source }),
    }
}
