//! A folder of text files, each a document.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Map;

use super::{Document, EachDocument};
use crate::error::DataError;
use crate::location::Location;
use crate::reader::utf8;

const EXTENSIONS: [&str; 2] = ["txt", "md"];

/// In the order of their paths. Hidden files and folders are passed over.
pub(super) fn read(folder: &Path, each: &mut EachDocument<'_>) -> Result<(), DataError> {
    for path in files(folder)? {
        let at = Location::file(&path);
        let bytes = fs::read(&path).map_err(|source| DataError::Read { path: path.clone(), source })?;
        let text = utf8(&bytes, || (at.clone(), "the file".to_owned()))?;
        let id = identifier(folder, &path);
        each(at.clone(), Document { id, text: text.trim_start_matches('\u{feff}').to_owned(), fields: Map::new() })?;
    }
    Ok(())
}

/// The path from the folder on, with `/` on every system.
fn identifier(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Read { path: folder.to_path_buf(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|it| EXTENSIONS.iter().any(|wanted| it.eq_ignore_ascii_case(wanted))) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
