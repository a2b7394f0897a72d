//! Evaluators: a model in, named metrics out.
//!
//! A new evaluator is one file (or folder) here that implements [`Evaluator`].

mod embedding_similarity;
mod error;
mod information_retrieval;
mod python_float;
mod report;

pub use embedding_similarity::{
    EmbeddingSimilarityEvaluator, EmbeddingSimilarityOptions, pearson, spearman,
};
pub use error::EvalError;
pub use information_retrieval::{
    Evaluation, InformationRetrievalEvaluator, InformationRetrievalOptions, Metric, PerQuery,
    PrimaryMetric, Ranking, write_csv, write_predictions,
};
pub use matryo_index::Hit;
pub use python_float::python_float;
pub use report::{Evaluator, Report, flatten};
