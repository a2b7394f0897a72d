//! Where in a file something was found.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A line of a text file; of a record over several lines, the first.
    Line(u64),
    /// A row of a file that has no lines.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// A file, and the place in it when there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub path: PathBuf,
    /// The place; `None` when the whole file is meant.
    pub place: Option<Place>,
}

impl Location {
    /// The whole file.
    pub fn file(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            place: None,
        }
    }

    /// A place in the file.
    pub fn at(path: &Path, place: Place) -> Self {
        Self {
            path: path.to_path_buf(),
            place: Some(place),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{}, {place}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}
