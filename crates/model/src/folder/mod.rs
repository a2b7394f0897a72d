//! A model folder as sentence-transformers writes it, old layout or new: every small file read, every key understood.

mod modules;
mod router;
mod settings;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use matryo_base::{digest::Digest, similar::nearest};
use matryo_nn::{Checkpoint, Feature, Module, ModulePlace, TextInput, TokenRules, widths};
use serde_json::Value;

pub(crate) use modules::module_folders;
pub use router::Routes;
pub(crate) use settings::written as written_settings;
pub use settings::{Settings, SimilarityFn, UnknownSimilarity};

use crate::{ExpectedPrompts, ModelError};
use modules::ModuleList;

/// What the small files of a model folder say. Weights and tokenizer are opened from it.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// The modules, in order; those of a Router route after route. The first one of each route reads texts.
    pub modules: Vec<FolderModule>,
    /// The routes of a Router, if there is one.
    pub routes: Option<Routes>,
    /// What the first module says about texts; where there are routes, that of texts without a task.
    pub input: TextInput,
    /// What the first module of each route says about texts; a model without routes has one entry.
    pub inputs: Vec<TextInput>,
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
    /// The route whose texts go through it; `None` if all do.
    pub route: Option<usize>,
    /// Its place in modules.json, or in its route, from 0.
    pub index: usize,
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
        let ModuleList { modules, routes } = modules::read(path, &mut notes)?;
        let settings = settings::read(&path.join("config_sentence_transformers.json"))?;
        notes.extend(settings.note());
        let count = routes.as_ref().map_or(1, |routes| routes.names.len());
        let inputs: Vec<TextInput> = (0..count).map(|route| input_of(&modules, route)).collect();
        let folder = Self {
            input: inputs[routes.as_ref().map_or(0, Routes::default_or_first)],
            inputs,
            settings,
            path: path.to_owned(),
            modules,
            routes,
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
            // It has no modules.json, and so no routes.
            self.input.rules = TokenRules::Bag;
            self.inputs = vec![self.input];
            self.notes.push("unknown tokens count from here on".into());
        }
        self
    }

    /// Folder of the module that reads texts, those without a task where there are routes: encoder and tokenizer.
    pub fn text_dir(&self) -> PathBuf {
        self.text_dir_of(self.default_or_first())
    }

    /// As [`ModelFolder::text_dir`], for the texts of a route.
    pub fn text_dir_of(&self, route: usize) -> PathBuf {
        let first = on_route(&self.modules, route).next();
        first.map_or_else(|| self.path.clone(), |first| self.path.join(&first.path))
    }

    /// The route of texts with a task, such as `query`, or without one; 0 in a model without routes.
    ///
    /// # Errors
    /// No route fits.
    pub fn route(&self, task: Option<&str>) -> Result<usize, ModelError> {
        self.routes.as_ref().map_or(Ok(0), |routes| routes.of(task))
    }

    /// The route of texts without a task, or else the first.
    pub fn default_or_first(&self) -> usize {
        self.routes.as_ref().map_or(0, Routes::default_or_first)
    }

    /// The modules with their folders.
    pub fn places(&self) -> Vec<ModulePlace> {
        let place = |module: &FolderModule| ModulePlace {
            module: module.module.clone(),
            dir: self.path.join(&module.path),
            route: module.route,
            known_as: match (&self.routes, module.route) {
                (Some(routes), Some(route)) => routes.known_as(route, module.index),
                _ => module.index.to_string(),
            },
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

    /// Each module in words: `Pooling(mean)`; that of a route with its name, `query: Pooling(cls)`.
    pub fn summaries(&self) -> Vec<String> {
        let summary = |module: &FolderModule| {
            let summary = module.module.summary();
            match (&self.routes, module.route) {
                (Some(routes), Some(route)) => format!("{}: {summary}", routes.names[route]),
                _ => summary,
            }
        };
        self.modules.iter().map(summary).collect()
    }

    /// Whether the tokens of a prompt count in an embedding of a route's texts.
    pub fn include_prompt(&self, route: usize) -> bool {
        !on_route(&self.modules, route).any(|m| m.module.skips_prompt())
    }

    /// Width of an embedding as the last module leaves it, before any truncation.
    pub fn dim(&self) -> usize {
        // All routes end alike.
        let modules = on_route(&self.modules, 0).map(|module| &*module.module);
        widths(modules).of(Feature::Sentence).unwrap_or(0)
    }

    /// What the model wants before its texts, by its configuration or its name.
    pub fn expected_prompts(&self) -> Option<ExpectedPrompts> {
        ExpectedPrompts::of(&self.path, &self.settings, self.encoder_config())
    }

    /// Opens the weights of a module by its index in `modules`.
    ///
    /// # Errors
    /// The module has no weights, or has them only as a pickle.
    pub fn checkpoint(&self, module: usize) -> Result<Checkpoint, ModelError> {
        let FolderModule { module, path, .. } = &self.modules[module];
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
        if let Some(routes) = &self.routes {
            digest.update(routes.digest_text());
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

/// The modules that texts of a route go through.
fn on_route(modules: &[FolderModule], route: usize) -> impl Iterator<Item = &FolderModule> {
    let is_on = move |module: &&FolderModule| module.route.is_none_or(|own| own == route);
    modules.iter().filter(is_on)
}

/// What the first module on a route says about texts, and whether any of them drops.
fn input_of(modules: &[FolderModule], route: usize) -> TextInput {
    let first = on_route(modules, route).next();
    let input = first.and_then(|first| first.module.text_input());
    let mut input = input.expect("the first module reads texts");
    input.drops |= on_route(modules, route).any(|module| module.module.drops());
    input
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
