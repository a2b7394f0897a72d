//! What can go wrong with a model: files, shapes, names, the network.

use std::path::PathBuf;

/// Everything that opening, saving, downloading or running a model can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `create`...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl ModelError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        None
    }
}
