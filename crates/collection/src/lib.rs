//! Collections of documents: added with their embeddings, found by meaning, words and fields, moved between a folder and a
//! Qdrant server.
//!
//! A collection lies in a folder, kept by Qdrant Edge (the engine of Qdrant within this process), or on a Qdrant server or
//! cluster. It remembers which model made its vectors, and refuses to be searched with another.

mod backend;
mod chunk;
mod collection;
mod contents;
mod embed;
mod error;
mod filter;
mod identity;
mod ingest;
mod manifest;
mod place;
mod point;
mod push;
mod recall;
mod search;
mod words;

pub use backend::edge::is_reported;
pub use collection::{Collection, Info};
pub use contents::Chunk;
pub use embed::{EmbedOptions, EmbedReport, embed_documents};
pub use error::CollectionError;
pub use filter::{Filter, FilterError};
pub use identity::ModelIdentity;
pub use ingest::{AddOptions, AddReport};
pub use manifest::{Chunking, CreateOptions, Manifest, VectorStorage};
pub use place::{Place, Spread};
pub use push::PushReport;
pub use recall::Recall;
pub use search::{Found, SearchOptions, Searcher};
