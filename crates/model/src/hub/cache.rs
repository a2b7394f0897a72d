//! The cache as Python's huggingface_hub lays it out, so that both share what either downloads.
//!
//! `models--org--name/refs/<revision>` holds a commit; `snapshots/<commit>/<file>` links to `blobs/<etag>`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::id::{ModelId, is_commit};
use matryo_base::files::{FileError, put_atomic, write_atomic};

use crate::ModelError;

/// One model's part of the cache.
pub(super) struct ModelCache {
    root: PathBuf,
    locks: PathBuf,
}

impl ModelCache {
    pub(super) fn new(cache: &Path, id: &ModelId) -> Self {
        Self {
            root: cache.join(id.folder()),
            locks: cache.join(".locks").join(id.folder()),
        }
    }

    /// The snapshot that a revision stood for when it was last looked up.
    pub(super) fn snapshot_of(&self, revision: &str) -> Option<PathBuf> {
        let commit = match is_commit(revision) {
            true => revision.to_owned(),
            false => fs::read_to_string(self.root.join("refs").join(revision))
                .ok()?
                .trim()
                .to_owned(),
        };
        let snapshot = self.snapshot(&commit);
        let has = |file: &str| snapshot.join(file).exists();
        let usable = is_commit(&commit) && (has("config.json") || has("modules.json"));
        usable.then_some(snapshot)
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Remembers which commit a revision stands for.
    pub(super) fn set_revision(&self, revision: &str, commit: &str) -> Result<(), ModelError> {
        let path = self.root.join("refs").join(revision);
        if is_commit(revision)
            || fs::read_to_string(&path).is_ok_and(|known| known.trim() == commit)
        {
            return Ok(());
        }
        create_parent(&path)?;
        Ok(write_atomic(&path, |file| {
            std::io::Write::write_all(file, commit.as_bytes())
        })?)
    }

    /// Holds other processes, Python's among them, off a blob until the file is dropped.
    pub(super) fn lock(&self, etag: &str) -> Result<File, ModelError> {
        let path = self.locks.join(format!("{etag}.lock"));
        create_parent(&path)?;
        create_parent(&self.blob(etag))?;
        let file = File::create(&path).map_err(FileError::new("create", &path))?;
        file.lock().map_err(FileError::new("lock", &path))?;
        Ok(file)
    }

    /// Links a file of a snapshot to its blob; one that is there already stays until then, for other processes that read it.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), ModelError> {
        let path = self.snapshot(commit).join(file);
        create_parent(&path)?;
        let up = "../".repeat(2 + file.matches('/').count());
        let relative = PathBuf::from(format!("{up}blobs/{etag}"));
        let blob = self.blob(etag);
        put_atomic(&path, |path| link_or_copy(&relative, &blob, path))
            .map_err(FileError::new("link", &path))
            .map_err(ModelError::from)
    }
}

#[cfg(unix)]
fn link_or_copy(relative: &Path, _blob: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(relative, path)
}

/// Links need a privilege on Windows that users rarely have.
#[cfg(not(unix))]
fn link_or_copy(_relative: &Path, blob: &Path, path: &Path) -> std::io::Result<()> {
    fs::copy(blob, path).map(|_| ())
}

fn create_parent(path: &Path) -> Result<(), ModelError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    Ok(fs::create_dir_all(parent).map_err(FileError::new("create", parent))?)
}
