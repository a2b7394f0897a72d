//! A model folder as sentence-transformers writes it, old layout or new: every small file read, every key understood.

mod modules;
mod settings;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use matryo_base::{digest::Digest, similar::nearest};
use matryo_nn::{Checkpoint, Feature, Module, ModulePlace, TextInput, TokenRules, Widths, widths};
use serde_json::Value;

pub(crate) use settings::written as written_settings;
pub use settings::{Settings, SimilarityFn, UnknownSimilarity};

use crate::{ExpectedPrompts, ModelError};

/// What the small files of a model folder say. Weights and tokenizer are opened from it.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// The modules, in order. The first one reads texts.
    pub modules: Vec<FolderModule>,
    /// What the first module says about texts.
    pub input: TextInput,
    /// Prompts, similarity, truncation.
    pub settings: Settings,
    /// What was assumed, for the user to read.
    pub notes: Vec<String>,
}

/// A module and where its files are.
#[derive(Clone, Debug)]
pub struct FolderModule {
    /// The module with its configuration.
    pub module: Arc<dyn Module>,
    /// Its folder, relative to the model's; empty for the model's own folder.
    pub path: String,
}

impl ModelFolder {
    /// Reads and checks every small file of a model folder. Weights and tokenizer are left for later.
    ///
    /// # Errors
    /// A file that is missing, or a key that is not understood or disagrees with another.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if !path.is_dir() {
            return Err(no_folder(path));
        }
        let mut notes = Vec::new();
        let modules = modules::read(path, &mut notes)?;
        let settings = settings::read(&path.join("config_sentence_transformers.json"))?;
        notes.extend(settings.note());
        let input = modules[0].module.text_input();
        let mut input = input.expect("the first module reads texts");
        input.drops |= modules.iter().any(|module| module.module.drops());
        let folder = Self {
            input,
            settings,
            path: path.to_owned(),
            modules,
            notes,
        };
        folder.check_truncation()?;
        Ok(folder)
    }

    /// This model as its copy will be: a static model that had no modules.json then has one, and unknown tokens count. A training that
    /// left them out would measure another model than the one it writes.
    #[must_use]
    pub(crate) fn into_saved_form(mut self) -> Self {
        if self.input.rules == TokenRules::KnownBag {
            self.input.rules = TokenRules::Bag;
            self.notes.push("unknown tokens count from here on".into());
        }
        self
    }

    /// Folder of the module that reads texts: encoder and tokenizer.
    pub fn text_dir(&self) -> PathBuf {
        self.path.join(&self.modules[0].path)
    }

    /// The modules with their folders.
    pub fn places(&self) -> Vec<ModulePlace> {
        let place = |module: &FolderModule| ModulePlace {
            module: module.module.clone(),
            dir: self.path.join(&module.path),
        };
        self.modules.iter().map(place).collect()
    }

    /// config.json of the encoder; `null` if the model has none.
    pub fn encoder_config(&self) -> &Value {
        let config = self
            .modules
            .iter()
            .find_map(|module| module.module.encoder_config());
        config.unwrap_or(&Value::Null)
    }

    /// Each module in words: `Pooling(mean)`.
    pub fn summaries(&self) -> Vec<String> {
        let modules = self.modules.iter();
        modules.map(|module| module.module.summary()).collect()
    }

    /// Whether the tokens of a prompt count in an embedding.
    pub fn include_prompt(&self) -> bool {
        !self.modules.iter().any(|m| m.module.skips_prompt())
    }

    /// Width of an embedding as the last module leaves it, before any truncation.
    pub fn dim(&self) -> usize {
        self.widths().of(Feature::Sentence).unwrap_or(0)
    }

    /// What the model wants before its texts, by its configuration or its name.
    pub fn expected_prompts(&self) -> Option<ExpectedPrompts> {
        ExpectedPrompts::of(&self.path, &self.settings, self.encoder_config())
    }

    fn widths(&self) -> Widths {
        widths(self.modules.iter().map(|module| &*module.module))
    }

    /// Opens the weights of a module by its index in modules.json.
    ///
    /// # Errors
    /// The module has no weights, or has them only as a pickle.
    pub fn checkpoint(&self, module: usize) -> Result<Checkpoint, ModelError> {
        let FolderModule { module, path } = &self.modules[module];
        Ok(module.checkpoint(&self.path.join(path))?)
    }

    /// Indices of the modules that have weights.
    pub fn weighted_modules(&self) -> impl Iterator<Item = usize> {
        let modules = self.modules.iter().enumerate();
        modules.filter_map(|(index, module)| module.module.has_weights().then_some(index))
    }

    /// SHA-256 in hexadecimal over the tensors of all modules, each with its name, type and shape, over how token
    /// embeddings are pooled, and over rotations and windows. Two folders with the same one give a text the same vector, as
    /// long as their tokenizers agree and their config.json in what neither shows: activation, epsilon, and without
    /// rotations the number of heads.
    ///
    /// Reads all weights: 0.05 s for 90 MB where the processor has instructions for it.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn weights_digest(&self) -> Result<String, ModelError> {
        // Collections store this digest, so the order stays: the second module's text, the first one's weights, the rest.
        let mut digest = Digest::new();
        let (first, rest) = self.modules.split_at(2.min(self.modules.len()));
        for module in first {
            digest.update(module.module.digest_text());
        }
        for (index, module) in first.iter().chain(rest).enumerate() {
            if index >= first.len() {
                digest.update(module.module.digest_text());
            }
            if module.module.has_weights() {
                self.checkpoint(index)?.digest(&mut digest)?;
            }
        }
        Ok(digest.hex())
    }

    fn check_truncation(&self) -> Result<(), ModelError> {
        let dim = self.dim();
        match self.settings.truncate_dim {
            Some(kept) if kept == 0 || kept > dim => Err(matryo_nn::NnError::ConfigValue {
                path: self.path.join("config_sentence_transformers.json"),
                key: "truncate_dim".into(),
                found: kept.to_string(),
                expected: format!("1 to {dim}, the width of the model's embeddings"),
            }
            .into()),
            _ => Ok(()),
        }
    }
}

/// The error for a path that is no folder, with the nearest one next to it.
pub(crate) fn no_folder(path: &Path) -> ModelError {
    ModelError::NoFolder {
        path: path.to_owned(),
        similar: similar_folder(path),
    }
}

/// The folder next to `path` with the most similar name.
pub(crate) fn similar_folder(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(parent).ok()?.flatten() {
        if entry.path().is_dir() {
            folders.extend(entry.file_name().into_string().ok());
        }
    }
    nearest(name, folders.iter().map(String::as_str)).map(|found| parent.join(found))
}
