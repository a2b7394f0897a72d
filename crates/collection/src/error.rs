//! What can go wrong with a collection.

use std::{io, path::PathBuf};

use matryo_base::FileError;
use matryo_data::DataError;
use matryo_model::ModelError;

use crate::FilterError;

/// Everything that work on a collection can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// From the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// From a file of documents.
    #[error(transparent)]
    Data(#[from] DataError),
    /// From a filter's text.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A file or folder could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing of that name.
    #[error("no collection at {place}")]
    Missing {
        /// Folder, or URL and name.
        place: String,
    },
    /// Something else lies where the collection is to be made.
    #[error("the folder {} is not empty and no collection", path.display())]
    NotACollection {
        /// The folder.
        path: PathBuf,
    },
    /// The file that describes a collection is damaged.
    #[error("cannot understand the description of the collection: {source}\n  in {place}")]
    Manifest {
        /// File, or URL and name.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A collection on a server that was not made by matryo.
    #[error(
        "the collection at {place} was not made by matryo: it does not say which model its vectors come from"
    )]
    Foreign {
        /// URL and name.
        place: String,
    },
    /// Written by a later version.
    #[error("the collection has format {found}, expected {expected} at most\n  in {place}")]
    Format {
        /// File, or URL and name.
        place: String,
        /// As written.
        found: u32,
        /// What this version understands.
        expected: u32,
    },
    /// Vectors of another model mean something else.
    #[error("the collection was made with another model: its {what} is {expected}, that of {} is {found}", model.display())]
    OtherModel {
        /// The model given.
        model: PathBuf,
        /// `dimension`, `weights`...
        what: &'static str,
        /// The collection's.
        expected: String,
        /// The model's.
        found: String,
    },
    /// Settings of a collection are chosen when it is made.
    #[error("the collection has {what} {found}, not {asked}")]
    Settings {
        /// `dimensions`, `chunks`...
        what: &'static str,
        /// What it has.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// Another process has it open.
    #[error("the collection {} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The engine failed.
    #[error("cannot {action} the collection {}: {reason}", path.display())]
    Engine {
        /// `open`, `search`...
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// What it says.
        reason: EngineFailure,
    },
    /// Too little room for what comes next.
    #[error("too little room on the disk: {available} MB left, {needed} MB needed\n  in {}", path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// MB that are left.
        available: u64,
        /// MB that may be written.
        needed: u64,
    },
    /// The server cannot be reached.
    #[error("cannot reach {url}: {source}")]
    Network {
        /// What was asked for.
        url: String,
        /// Why not.
        source: Box<ureq::Error>,
    },
    /// The server said no.
    #[error("the server answers {status} to {url}: {message}")]
    Server {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The server's answer is not what Qdrant answers.
    #[error("unexpected answer from {url}: {problem}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is missing.
        problem: String,
    },
    /// A field that no document has.
    #[error("no document has the field `{field}`; there are {}", listed(known))]
    UnknownField {
        /// As asked for.
        field: String,
        /// Some that there are.
        known: Vec<String>,
    },
    /// A field with a name that the collection needs.
    #[error("document `{id}` has a field called `{field}`, which the collection keeps for itself")]
    ReservedField {
        /// The document.
        id: String,
        /// The field.
        field: String,
    },
    /// A vector among the fields.
    #[error("document `{id}` has a field called `{field}` that is a long list of numbers")]
    VectorField {
        /// The document.
        id: String,
        /// The field.
        field: String,
    },
    /// A prefix that is not stored.
    #[error(
        "no vectors of {dim} dimensions are stored; there are {}",
        listed(known)
    )]
    UnknownDimension {
        /// As asked for.
        dim: usize,
        /// What is stored.
        known: Vec<String>,
    },
    /// A search by words in a collection without them.
    #[error("the collection holds no words to search by")]
    NoWords,
    /// A language without stop words and stems.
    #[error("cannot make words of language `{language}`: {reason}")]
    Language {
        /// As asked for.
        language: String,
        /// What the engine says.
        reason: EngineFailure,
    },
    /// Nothing to search for.
    #[error("the query is empty")]
    EmptyQuery,
    /// Documents to be updated or deleted that are not there.
    #[error("{} of {} documents are not in the collection, the first is `{}`", ids.len(), of, ids[0])]
    UnknownDocuments {
        /// Those missing, at least one.
        ids: Vec<String>,
        /// Documents asked for.
        of: usize,
    },
    /// An embedding that came with a document and does not fit the collection.
    #[error("the embedding of document `{id}` has {found} values, expected {expected}")]
    EmbeddingWidth {
        /// The document.
        id: String,
        /// Values of its embedding.
        found: usize,
        /// Those of the collection's vectors.
        expected: usize,
    },
    /// An embedding that came with a document and is not the model's.
    #[error(
        "the embedding of document `{id}` is not what the model makes of its text: their cosine is {cosine:.4}"
    )]
    OtherEmbedding {
        /// The document.
        id: String,
        /// Cosine of the two.
        cosine: f64,
    },
    /// A Parquet file that other work left.
    #[error("the file holds embeddings {of}\n  in {}", path.display())]
    OtherShard {
        /// The file.
        path: PathBuf,
        /// Of what.
        of: &'static str,
    },
    /// A field that has the name of something else.
    #[error(
        "document `{id}` has a field called `{field}`, which is the name of another column of the files to write"
    )]
    TakenColumn {
        /// The document.
        id: String,
        /// The field.
        field: String,
    },
    /// A Parquet file that cannot be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    Parquet {
        /// `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: parquet::errors::ParquetError,
    },
    /// A chunk so short that nothing fits beside the overlap.
    #[error(
        "chunks of {tokens} tokens that overlap by {overlap}: expected an overlap of less than half a chunk"
    )]
    Chunking {
        /// Tokens of a chunk.
        tokens: usize,
        /// Tokens that two neighbours share.
        overlap: usize,
    },
    /// A copy that does not hold what the original holds.
    #[error("the copy differs: {what} is {found}, expected {expected}")]
    Copy {
        /// `number of points`, ...
        what: String,
        /// In the copy.
        found: String,
        /// In the original.
        expected: String,
    },
}

/// The engine's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFailure(pub(crate) String);

impl std::fmt::Display for EngineFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl CollectionError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Model(error) => return error.hint(),
            Self::Data(error) => return error.hint(),
            Self::Filter(error) => error.hint(),
            Self::File(error) if error.source.kind() == io::ErrorKind::StorageFull => {
                "the disk is full; what was added before is safe: make room and run the same command again"
            }
            Self::File(error) => return error.hint(),
            Self::Missing { .. } => "`matryo index add` makes one",
            Self::NotACollection { .. } => "give a new folder; nothing was changed",
            Self::Manifest { .. } => {
                "was the file changed by hand? the collection has to be made again"
            }
            Self::Format { .. } => "use the version of matryo that made it, or a newer one",
            Self::OtherModel { .. } => {
                "search with the model it was made with (`matryo index info` names it), or make a new collection"
            }
            Self::Settings { .. } => {
                "settings are chosen when a collection is made; make a new one for others"
            }
            Self::InUse { .. } => "wait until it has ended",
            Self::DiskFull { .. } => {
                "what was added before is safe; make room and run the same command again"
            }
            Self::Network { .. } => {
                "is a Qdrant server running there? its REST interface listens on port 6333 by default"
            }
            Self::Server {
                status: 401 | 403, ..
            } => "set QDRANT_API_KEY to the server's key",
            Self::UnknownDimension { .. } => {
                "choose the dimensions when the collection is made, with `--dims`"
            }
            Self::NoWords => "make the collection with `--hybrid`",
            Self::VectorField { .. } => {
                "if these are embeddings by the same model, name the column with `--embedding-column`, else choose `--fields`"
            }
            Self::EmbeddingWidth { .. } => "a collection holds whole embeddings of its model",
            Self::OtherEmbedding { .. } => {
                "which model, prompt and text was it made of? without the column of embeddings the texts are encoded here"
            }
            Self::OtherShard { .. } => "give another folder, or remove the file",
            Self::TakenColumn { .. } => "choose the fields to keep",
            Self::UnknownDocuments { .. } => {
                "`matryo index add` adds new documents; nothing was changed"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
