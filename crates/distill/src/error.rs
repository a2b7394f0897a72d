//! What can go wrong while a static model is made.

use std::path::PathBuf;

use matryo_base::files::FileError;
use matryo_model::ModelError;

/// Everything that distilling can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistillError {
    /// From the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No component to keep.
    #[error("cannot keep 0 main components, expected at least 1")]
    Dims,
    /// A factor by rank that is none.
    #[error("the SIF coefficient is {found}, expected a number from 1e-12 to below 1")]
    Sif {
        /// What was asked for.
        found: f64,
    },
    /// A model whose first module writes sentence embeddings at once.
    #[error("the model has no token embeddings\n  in {}", folder.display())]
    NoTokens {
        /// The model.
        folder: PathBuf,
    },
    /// A tokenizer.json of a form that is not understood.
    #[error("{reason}\n  in {}", path.display())]
    Tokenizer {
        /// tokenizer.json.
        path: PathBuf,
        /// What about it.
        reason: String,
    },
    /// No token is left.
    #[error("no token is left of the tokenizer's vocabulary")]
    Empty,
}

impl DistillError {
    /// What to try, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::NoTokens { .. } => Some("a static model is made from an encoder".into()),
            _ => None,
        }
    }
}
