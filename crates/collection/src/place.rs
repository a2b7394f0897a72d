//! Where a collection is: a folder, or a name on a server.

use std::{fmt, path::PathBuf};

pub use crate::backend::server::Spread;

/// A folder, or a collection of a Qdrant server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A name on a server.
    Server {
        /// `http://host:6333`
        url: String,
        /// The collection.
        name: String,
        /// What lets this program in.
        key: Option<String>,
        /// How a new collection is spread over a cluster.
        spread: Spread,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Server { url, name, .. } => write!(f, "{name} on {url}"),
        }
    }
}
