//! A folder of text files, each a document, and of Parquet files with a document a row.

use std::fs;
use std::path::{Path, PathBuf};

use matryo_base::FileError;
use serde_json::Map;

use super::{Document, DocumentColumns, EachDocument, read_rows};
use crate::error::DataError;
use crate::location::Location;
use crate::reader::utf8;

const ROWS: &str = "parquet";
const EXTENSIONS: [&str; 3] = ["txt", "md", ROWS];

/// In the order of their paths. Hidden files and folders are passed over.
pub(super) fn read(
    folder: &Path,
    columns: &DocumentColumns,
    each: &mut EachDocument<'_>,
) -> Result<(), DataError> {
    for path in files(folder)? {
        if has_extension(&path, ROWS) {
            read_rows(&path, columns, each)?;
        } else {
            let at = Location::file(&path);
            if let Some(column) = columns.embedding.clone() {
                return Err(DataError::MissingColumn {
                    at,
                    column,
                    found: Vec::new(),
                });
            }
            each(at, text_file(folder, &path)?)?;
        }
    }
    Ok(())
}

fn text_file(folder: &Path, path: &Path) -> Result<Document, DataError> {
    let bytes = fs::read(path).map_err(FileError::new("read", path))?;
    let text = utf8(&bytes, || (Location::file(path), "the file".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}').to_owned();
    Ok(Document {
        id: identifier(folder, path),
        text,
        fields: Map::new(),
        embedding: None,
    })
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// The path from the folder on, with `/` on every system.
fn identifier(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = FileError::new("read", folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'))
        {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if EXTENSIONS.iter().any(|wanted| has_extension(&path, wanted)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
