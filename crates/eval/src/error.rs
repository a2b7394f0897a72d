//! What can go wrong while measuring.

use std::path::PathBuf;

use matryo_base::FileError;
use matryo_model::{ModelError, SimilarityFn};

/// Everything that evaluating can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is nothing to search in.
    #[error("the evaluation data has no documents")]
    NoDocuments,
    /// No query could ever be answered.
    #[error("none of the {queries} queries has a relevant document")]
    NoQueries {
        /// Number of queries.
        queries: usize,
    },
    /// Two queries or two documents have one id.
    #[error("the {kind} id `{id}` occurs twice")]
    DuplicateId {
        /// `query` or `document`.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// A setting of the evaluator makes no sense.
    #[error("`{setting}` is {found}, expected {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What would.
        expected: &'static str,
    },
    /// The main score function is not among those that are computed.
    #[error("`main_score_function` is {main}, but `score_functions` does not have it")]
    MainScoreFunction {
        /// The main one.
        main: SimilarityFn,
    },
    /// Sentence pairs without scores to compare with.
    #[error("the sentence pairs have no scores")]
    NoScores,
    /// Too few sentence pairs.
    #[error("{pairs} {} no correlation, expected at least 2", if *pairs == 1 { "pair has" } else { "pairs have" })]
    TooFewPairs {
        /// Pairs there are.
        pairs: usize,
    },
    /// A dimension that the model's embeddings do not reach.
    #[error("`dims` names {dim}, but the model's embeddings have {model_dim} values")]
    DimTooLarge {
        /// The dimension.
        dim: usize,
        /// Width of an embedding.
        model_dim: usize,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A report whose metrics have no place in the file of retrieval results.
    #[error("`{key}` is not a metric of information retrieval")]
    NotRetrieval {
        /// The metric.
        key: String,
    },
    /// A file of results has other columns than those to be added.
    #[error("the columns are `{found}`, expected `{expected}`\n  in {}", path.display())]
    CsvColumns {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
        /// The first line that fits the results.
        expected: String,
    },
}

impl EvalError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::NoQueries { .. } => {
                Some("do the relevance judgements name the ids of the queries?".into())
            }
            Self::DimTooLarge { model_dim, .. } => {
                Some(format!("{model_dim} is the largest possible value"))
            }
            Self::CsvColumns { .. } => {
                Some("move the file away, or write the results to another folder".into())
            }
            _ => None,
        }
    }
}
