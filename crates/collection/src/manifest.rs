//! What a collection says of itself: its model, and how vectors are stored. Chosen once, when it is made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{CollectionError, ModelIdentity};

/// The newest format that this version reads and writes.
pub(crate) const FORMAT: u32 = 1;

/// The description of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout.
    pub format: u32,
    /// Whose vectors these are.
    pub model: ModelIdentity,
    /// Prefixes of the vectors that are stored, ascending; the last is the whole vector.
    pub dims: Vec<usize>,
    /// How vectors are kept for the first look.
    pub storage: VectorStorage,
    /// Whether words are stored besides, for hybrid search.
    pub hybrid: bool,
    /// The language of the words: stop words and stems.
    pub language: String,
    /// How long documents are cut; `None` leaves them whole.
    pub chunking: Option<Chunking>,
}

/// How vectors are kept in memory for the first look; the answer is always rescored with the whole values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VectorStorage {
    /// As they are.
    #[default]
    Float32,
    /// A byte a value.
    Int8,
    /// A bit a value.
    Binary,
}

/// Pieces of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunking {
    /// Tokens of a chunk at most, without special tokens.
    pub tokens: usize,
    /// Tokens that two neighbours share, about.
    pub overlap: usize,
}

/// What can be chosen when a collection is made.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// Prefixes to store; the whole vector always is.
    pub dims: Vec<usize>,
    /// How vectors are kept for the first look.
    pub storage: VectorStorage,
    /// Whether words are stored besides.
    pub hybrid: bool,
    /// The language of the words; English by default.
    pub language: Option<String>,
    /// How long documents are cut.
    pub chunking: Option<Chunking>,
}

impl Manifest {
    /// The description of a new collection.
    pub(crate) fn new(
        model: ModelIdentity,
        options: &CreateOptions,
    ) -> Result<Self, CollectionError> {
        let mut dims = options.dims.clone();
        if let Some(&dim) = dims.iter().find(|&&dim| dim == 0 || dim > model.dim) {
            return Err(CollectionError::UnknownDimension {
                dim,
                known: vec![format!("1 to {}", model.dim)],
            });
        }
        dims.push(model.dim);
        dims.sort_unstable();
        dims.dedup();
        if let Some(Chunking { tokens, overlap }) = options.chunking
            && (tokens == 0 || overlap * 2 >= tokens)
        {
            return Err(CollectionError::Chunking { tokens, overlap });
        }
        Ok(Self {
            format: FORMAT,
            dims,
            storage: options.storage,
            hybrid: options.hybrid,
            language: options
                .language
                .clone()
                .unwrap_or_else(|| "english".to_owned()),
            chunking: options.chunking,
            model,
        })
    }

    /// Reads a description; `place` is for messages.
    pub(crate) fn read(json: &str, place: impl Fn() -> String) -> Result<Self, CollectionError> {
        let manifest: Self =
            serde_json::from_str(json).map_err(|source| CollectionError::Manifest {
                place: place(),
                source,
            })?;
        if manifest.format > FORMAT {
            return Err(CollectionError::Format {
                place: place(),
                found: manifest.format,
                expected: FORMAT,
            });
        }
        Ok(manifest)
    }

    /// Width of the whole vector.
    pub(crate) fn dim(&self) -> usize {
        self.model.dim
    }

    /// Fails if `asked` chooses something that the collection was not made with.
    ///
    /// # Errors
    /// [`CollectionError::Settings`].
    pub fn check_settings(&self, asked: &CreateOptions) -> Result<(), CollectionError> {
        let differs = |what, found: String, asked: String| {
            Err(CollectionError::Settings { what, found, asked })
        };
        if !asked.dims.iter().all(|dim| self.dims.contains(dim)) {
            return differs(
                "dimensions",
                format!("{:?}", self.dims),
                format!("{:?}", asked.dims),
            );
        }
        if asked.storage != VectorStorage::default() && asked.storage != self.storage {
            return differs(
                "vectors stored as",
                self.storage.to_string(),
                asked.storage.to_string(),
            );
        }
        if asked.hybrid && !self.hybrid {
            return differs("words", "none".to_owned(), "some".to_owned());
        }
        if asked
            .language
            .as_ref()
            .is_some_and(|language| *language != self.language)
        {
            return differs(
                "language",
                self.language.clone(),
                asked.language.clone().unwrap_or_default(),
            );
        }
        if asked.chunking.is_some() && asked.chunking != self.chunking {
            let told = |it: Option<Chunking>| {
                it.map_or("none".to_owned(), |c| format!("{}/{}", c.tokens, c.overlap))
            };
            return differs(
                "chunks of tokens/overlap",
                told(self.chunking),
                told(asked.chunking),
            );
        }
        Ok(())
    }
}

impl VectorStorage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Float32, Self::Int8, Self::Binary];

    /// As in [`Quantization`](matryo_model::Quantization).
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int8 => "int8",
            Self::Binary => "binary",
        }
    }

    /// How many times as many candidates are rescored as are wanted, so that what rounding hides is found again.
    pub(crate) fn oversampling(self) -> f64 {
        match self {
            Self::Float32 => 1.0,
            Self::Int8 => 2.0,
            Self::Binary => 4.0,
        }
    }
}

impl fmt::Display for VectorStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for VectorStorage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| "expected float32, int8 or binary".to_owned())
    }
}
