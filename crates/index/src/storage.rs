//! How an index keeps its rows.

use std::{fmt, str::FromStr};

use crate::IndexError;

/// What a value of a row becomes; names of sentence-transformers' precisions of embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Left as it is: 4 bytes a value.
    #[default]
    Float32,
    /// A byte a value and one scale a row.
    Int8,
    /// A bit a value, set where it is above 0.
    Ubinary,
}

impl Storage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Float32, Self::Int8, Self::Ubinary];

    /// `float32`, `int8` or `ubinary`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int8 => "int8",
            Self::Ubinary => "ubinary",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Storage {
    type Err = IndexError;

    fn from_str(name: &str) -> Result<Self, IndexError> {
        let unknown = || IndexError::UnknownStorage {
            found: name.to_owned(),
        };
        Self::ALL
            .into_iter()
            .find(|storage| storage.name() == name)
            .ok_or_else(unknown)
    }
}
