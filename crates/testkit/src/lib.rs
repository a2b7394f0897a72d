//! Test helpers: golden files, tolerances, finite differences, a tiny model.

mod close;
mod difference;
mod golden;

use std::path::{Path, PathBuf};

pub use close::{Tolerance, assert_close, assert_value};
pub use difference::{directional_derivative, pseudo_random};
pub use golden::{Tensor, read_json, read_npy, read_safetensors};

/// A complete sentence-embedding model folder: BERT of 2 layers, width 32, vocabulary 3,000, random weights, no dropout.
pub fn tiny_bert() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny-bert")
}
