//! Evaluators against those of sentence-transformers.

mod fixed;
mod minilm;
mod retrieval;
mod similarity;
