//! Mining and clustering, against sentence-transformers and scikit-learn.

mod common;
mod errors;
mod exactness;
mod golden;
mod minilm;
