//! Documents: an id, a text, and fields of any type, from a file of rows or a folder of text files.

mod columns;
mod delimited;
mod folder;
mod json_lines;
mod parquet;

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::digest::TextDigest;
use crate::error::DataError;
use crate::location::{Location, Place};
use crate::reader::{Format, detect};
use columns::Chosen;

/// Values of a row by name.
pub(crate) type Record = Map<String, Value>;

/// Takes rows one after the other.
pub(crate) type EachRecord<'a> = dyn FnMut(Place, Record) -> Result<(), DataError> + 'a;

/// Takes documents with the place that they come from.
type EachDocument<'a> = dyn FnMut(Location, Document) -> Result<(), DataError> + 'a;

/// One document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it is called; documents of one id replace each other.
    pub id: String,
    /// What is searched.
    pub text: String,
    /// Everything else that the row says; nulls are left out.
    pub fields: Map<String, Value>,
    /// What some model made of the text, where a column of embeddings was asked for.
    pub embedding: Option<Vec<f32>>,
}

/// Which columns a document is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentColumns {
    /// The column of the id; by default `_id` or `id`, and without one the id is a digest of the text.
    pub id: Option<String>,
    /// The columns of the text, joined by a space; by default `text`, with `title` before it, else `sentence`, `content`
    /// or `body`, else the only column of texts.
    pub text: Vec<String>,
    /// The columns to keep as fields; by default all others.
    pub fields: Option<Vec<String>>,
    /// The column of the embeddings, lists of finite numbers (in CSV and TSV as JSON writes them); by default there is none.
    pub embedding: Option<String>,
}

/// Hands each document of `path` to `each`, in order. A folder gives a document for each `.txt` and `.md` file in it or
/// below, whose id is its path from there, and those of each `.parquet` file; a file is JSONL, CSV, TSV, Parquet or text,
/// perhaps compressed, as in [`read_texts`](crate::read_texts). In CSV and TSV a value that JSON would read as a number, `true` or `false` is one,
/// and an empty one is left out.
///
/// # Errors
/// What [`Dataset::open`](crate::Dataset::open) reports; a column that is missing, an id, a text or an embedding that is
/// null or of another type; and whatever `each` returns, which ends the reading.
pub fn read_documents<E: From<DataError>>(
    path: &Path,
    columns: &DocumentColumns,
    mut each: impl FnMut(Document) -> Result<(), E>,
) -> Result<(), E> {
    let mut failure = None;
    let done = read(path, columns, &mut |_, document| {
        each(document).map_err(|error| {
            failure = Some(error);
            DataError::Stopped
        })
    });
    failure.map_or(done.map_err(E::from), Err)
}

/// Number of documents in `path`, once all of them have been read and every id was found to be there once; a text that a
/// file without ids holds twice counts once.
///
/// # Errors
/// As [`read_documents`]; an id that two documents share; embeddings of different widths; no document at all.
pub fn check_documents(path: &Path, columns: &DocumentColumns) -> Result<usize, DataError> {
    let mut seen: HashMap<[u8; 16], Place> = HashMap::new();
    let mut width = None;
    read(path, columns, &mut |at, document| {
        if let Some(found) = document.embedding.as_ref().map(Vec::len) {
            let expected = *width.get_or_insert(found);
            if found != expected {
                return Err(DataError::EmbeddingWidth {
                    at,
                    found,
                    expected,
                });
            }
        }
        let place = at.place.unwrap_or(Place::Row(1));
        match seen.insert(short_digest(&document.id), place) {
            Some(first) if document.id != digest_of(&document.text) => {
                Err(DataError::DuplicateId {
                    at,
                    id: document.id,
                    first,
                })
            }
            _ => Ok(()),
        }
    })?;
    if seen.is_empty() {
        Err(DataError::Empty {
            path: path.to_path_buf(),
        })
    } else {
        Ok(seen.len())
    }
}

fn read(
    path: &Path,
    columns: &DocumentColumns,
    each: &mut EachDocument<'_>,
) -> Result<(), DataError> {
    if path.is_dir() {
        folder::read(path, columns, each)
    } else {
        read_rows(path, columns, each)
    }
}

fn read_rows(
    path: &Path,
    columns: &DocumentColumns,
    each: &mut EachDocument<'_>,
) -> Result<(), DataError> {
    let (format, codec) = detect(path)?;
    let mut chosen = None;
    let mut take = |place, record| {
        let at = Location::at(path, place);
        let chosen = match &mut chosen {
            Some(chosen) => chosen,
            None => chosen.insert(Chosen::new(columns, &record, &at)?),
        };
        let mut document = chosen.document(record, &at)?;
        if matches!(format, Format::Delimited(_)) {
            delimited::type_fields(&mut document.fields);
        }
        each(at, document)
    };
    match format {
        Format::JsonLines => json_lines::read(path, codec, &mut take),
        Format::Delimited(_) | Format::Text => delimited::read(path, &mut take),
        Format::Parquet => parquet::read(path, &mut take),
    }
}

/// The id of a document that has none.
fn digest_of(text: &str) -> String {
    let mut hex = digest(text).hex();
    hex.truncate(32);
    hex
}

fn short_digest(text: &str) -> [u8; 16] {
    let bytes = digest(text).bytes();
    bytes[..16].try_into().expect("a SHA-256 has 32 bytes")
}

fn digest(text: &str) -> TextDigest {
    let mut digest = TextDigest::default();
    digest.text(text);
    digest
}
