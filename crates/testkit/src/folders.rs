//! Copies of model folders that a test may change.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::{read_json, tiny_bert};

/// A copy of the tiny model in a folder of its own.
pub fn copy_of_tiny() -> TempDir {
    copy_of(&tiny_bert())
}

/// A copy of a folder, gone when it is dropped.
pub fn copy_of(folder: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_folder(folder, dir.path());
    dir
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Reads a JSON file of a folder.
pub fn json(folder: &Path, file: &str) -> Value {
    read_json(folder.join(file))
}

/// Changes a JSON file of a folder.
pub fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let mut value = json(folder, file);
    change(&mut value);
    fs::write(folder.join(file), value.to_string()).unwrap();
}

/// Writes a JSON file of a folder.
pub fn put(folder: &Path, file: &str, value: &Value) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}
