//! Test helpers: golden files, tolerances, finite differences, a tiny model.

mod close;
mod difference;
mod folders;
mod golden;

use std::path::{Path, PathBuf};

pub use close::{Tolerance, assert_close, assert_value};
pub use difference::{directional_derivative, pseudo_random};
pub use folders::{copy_folder, copy_of, copy_of_tiny, edit, json, put};
pub use golden::{Tensor, read_json, read_npy, read_safetensors, write_safetensors};
use serde_json::Value;

/// A complete sentence-embedding model folder: BERT of 2 layers, width 32, vocabulary 3,000, random weights, no dropout.
pub fn tiny_bert() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny-bert")
}

/// A tiny model of one family with golden values of the Python libraries, made by `python/goldens_families.py`.
#[derive(Clone, Debug)]
pub struct FamilyGolden {
    /// Name of its folder: the family's `model_type`, and for a variant a word more.
    pub name: String,
    /// Holds `model/`, golden.safetensors, golden.json, trace.safetensors and trace.json.
    pub folder: PathBuf,
}

impl FamilyGolden {
    /// Every tiny model there is, by name.
    pub fn all() -> Vec<Self> {
        Self::below("families")
    }

    /// Static models, which have no family, made by `python/goldens_static.py`.
    pub fn of_static_models() -> Vec<Self> {
        Self::below("static")
    }

    /// Models with modules of every class behind the pooling, made by `python/goldens_modules.py`.
    pub fn of_modules() -> Vec<Self> {
        Self::below("modules")
    }

    fn below(place: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
        let entries = std::fs::read_dir(&folder).expect("the families can be listed");
        let mut all: Vec<Self> = entries
            .map(|entry| entry.expect("an entry").path())
            .map(|folder| Self {
                name: folder.file_name().unwrap().to_string_lossy().into_owned(),
                folder,
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// What golden.json says.
    pub fn facts(&self) -> Value {
        read_json(self.folder.join("golden.json"))
    }

    /// The model folder.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model")
    }
}
