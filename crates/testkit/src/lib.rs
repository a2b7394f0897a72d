//! Test helpers: golden files, tolerances.

use std::path::{Path, PathBuf};

/// A complete sentence-embedding model folder: BERT of 2 layers, width 32, vocabulary 3,000, random weights, no dropout.
pub fn tiny_bert() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny-bert")
}
