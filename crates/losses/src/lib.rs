//! Losses: embeddings in, value and gradient with respect to the embeddings out. A loss knows no encoder.
//!
//! A new loss is one file here and one row in [`LOSSES`].

mod cosine_similarity;
mod error;
mod loss;
mod matryoshka;
mod multiple_negatives_ranking;
mod parameters;
mod registry;
mod unit_rows;

pub use cosine_similarity::CosineSimilarityLoss;
pub use error::LossError;
pub use loss::{Loss, LossBatch, LossOutput, Needs};
pub use matryoshka::MatryoshkaLoss;
pub use multiple_negatives_ranking::{MultipleNegativesRankingLoss, ScoreFn};
pub use registry::{Entry, LOSSES, build};
