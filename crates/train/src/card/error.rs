//! What can go wrong with a model card.

use std::path::PathBuf;

/// Everything that rendering a card or reading its record can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// A template of this crate does not fit its data: a bug, reported instead of a half card.
    #[error("cannot render section `{section}` of the model card: {source}")]
    Template {
        /// File name of the template.
        section: &'static str,
        /// The template engine's reason.
        source: minijinja::Error,
    },
    /// The record could not be read or written.
    #[error(transparent)]
    File(#[from] matryo_base::FileError),
    /// The record is no record.
    #[error("{} is not a card record: {source}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
}

impl CardError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Record { path, .. } => Some(format!(
                "without {} the card is made from what the folder itself tells",
                path.display()
            )),
            Self::File(error) => error.hint(),
            _ => None,
        }
    }
}
