//! A model folder as sentence-transformers writes it, old layout or new: every file read, every key understood.

mod dense;
pub(crate) mod json;
mod modules;
mod pooling;
mod settings;
mod transformer;

use std::path::{Path, PathBuf};

use matryo_base::Digest;
use matryo_ops::PoolMode;
use serde_json::Value;

pub(crate) use dense::activation_class;
use json::Object;
use modules::{Entry, Kind};
pub(crate) use pooling::MODES as POOLING_MODES;
pub use settings::{Settings, SimilarityFn, UnknownSimilarity};

use crate::{Checkpoint, ModelError, Module, Pooling};

/// What the small files of a model folder say. Weights and tokenizer are opened from it.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// Folder of the transformer's files, relative to `path`; empty when they lie in `path` itself.
    pub transformer_path: String,
    /// config.json of the transformer.
    pub config: Value,
    /// Width of the transformer's token embeddings.
    pub hidden_size: usize,
    /// How tokens become one embedding.
    pub pooling: Pooling,
    /// The modules after pooling, in order.
    pub modules: Vec<Module>,
    /// Folder of each of `modules`, relative to `path`.
    pub module_paths: Vec<String>,
    /// Prompts, similarity, truncation.
    pub settings: Settings,
    /// Longest input in tokens, special tokens included.
    pub max_seq_length: usize,
    /// Whether texts are lower-cased before the tokenizer.
    pub do_lower_case: bool,
    /// What was assumed, for the user to read.
    pub notes: Vec<String>,
}

/// Index in modules.json of the first module after pooling.
const FIRST_AFTER_POOLING: usize = 2;

impl ModelFolder {
    /// Reads and checks every small file of a model folder. Weights and tokenizer are left for later.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if !path.is_dir() {
            return Err(no_folder(path));
        }
        let mut notes = Vec::new();
        let entries = modules::read(path)?;
        let transformer_path = entries
            .as_ref()
            .map_or(String::new(), |e| e[0].path.clone());
        let transformer_dir = path.join(&transformer_path);
        let config = read_config(&transformer_dir)?;
        let input = transformer::read(&transformer_dir, &config, &mut notes)?;
        let hidden_size = hidden_size(&config)?;
        let pooling = read_pooling(path, entries.as_deref(), hidden_size, &mut notes)?;
        let after = entries
            .as_deref()
            .map_or(&[][..], |e| &e[FIRST_AFTER_POOLING..]);
        let folder = Self {
            modules: read_modules(path, after, hidden_size * pooling.modes.len())?,
            module_paths: after.iter().map(|e| e.path.clone()).collect(),
            settings: settings::read(&path.join("config_sentence_transformers.json"))?,
            max_seq_length: input.max_seq_length,
            do_lower_case: input.do_lower_case,
            path: path.to_owned(),
            transformer_path,
            config: config.into_value(),
            hidden_size,
            pooling,
            notes,
        };
        folder.check_truncation()?;
        Ok(folder)
    }

    /// Folder of the transformer's files: config.json, weights, tokenizer.
    pub fn transformer_dir(&self) -> PathBuf {
        self.path.join(&self.transformer_path)
    }

    /// Width of an embedding as the last module leaves it, before any truncation.
    pub fn dim(&self) -> usize {
        let pooled = self.hidden_size * self.pooling.modes.len();
        self.modules
            .iter()
            .fold(pooled, |width, module| match module {
                Module::Dense(dense) => dense.out_features,
                Module::Normalize => width,
            })
    }

    /// Opens the weights of a module by its index in modules.json: 0 is the transformer, `i + 2` is `modules[i]`.
    ///
    /// Fails if the module has no weights, or if they are there only as a pickle.
    pub fn checkpoint(&self, module: usize) -> Result<Checkpoint, ModelError> {
        match module.checked_sub(FIRST_AFTER_POOLING) {
            Some(i) => Checkpoint::open(&self.path.join(&self.module_paths[i])),
            None => Checkpoint::open(&self.transformer_dir()),
        }
    }

    /// SHA-256 in hexadecimal over the tensors of all modules, each with its name, type and shape, and over how token
    /// embeddings are pooled. Two folders with the same one give a text the same vector, as long as their tokenizers agree.
    ///
    /// Reads all weights: 0.05 s for 90 MB where the processor has instructions for it.
    pub fn weights_digest(&self) -> Result<String, ModelError> {
        let mut hash = Digest::new();
        hash.update(format!("{:?}", self.pooling));
        for module in
            std::iter::once(0).chain((0..self.modules.len()).map(|i| i + FIRST_AFTER_POOLING))
        {
            match module
                .checked_sub(FIRST_AFTER_POOLING)
                .map(|i| &self.modules[i])
            {
                Some(Module::Normalize) => hash.update("Normalize"),
                _ => self.checkpoint(module)?.digest(&mut hash)?,
            }
        }
        Ok(hash.hex())
    }

    fn check_truncation(&self) -> Result<(), ModelError> {
        let dim = self.dim();
        match self.settings.truncate_dim {
            Some(kept) if kept == 0 || kept > dim => Err(ModelError::ConfigValue {
                path: self.path.join("config_sentence_transformers.json"),
                key: "truncate_dim".into(),
                found: kept.to_string(),
                expected: format!("1 to {dim}, the width of the model's embeddings"),
            }),
            _ => Ok(()),
        }
    }
}

fn read_config(dir: &Path) -> Result<Object, ModelError> {
    let path = dir.join("config.json");
    if !path.exists() {
        return Err(ModelError::MissingFile {
            folder: dir.to_owned(),
            file: "config.json".into(),
        });
    }
    Object::read(&path)
}

/// Width of the token embeddings, under the names that transformers' configurations have for it.
fn hidden_size(config: &Object) -> Result<usize, ModelError> {
    let key = ["hidden_size", "dim", "d_model", "n_embd"]
        .into_iter()
        .find(|key| config.get(key).is_some());
    config.required_count(key.unwrap_or("hidden_size"))
}

/// The Pooling module, or mean pooling for a plain transformers folder, as upstream does.
fn read_pooling(
    path: &Path,
    entries: Option<&[Entry]>,
    hidden_size: usize,
    notes: &mut Vec<String>,
) -> Result<Pooling, ModelError> {
    match entries {
        Some(entries) => pooling::read(
            &path.join(&entries[1].path).join("config.json"),
            hidden_size,
            notes,
        ),
        None => {
            notes.push("no modules.json: mean pooling over all tokens".into());
            Ok(Pooling {
                modes: vec![PoolMode::Mean],
                include_prompt: true,
            })
        }
    }
}

fn read_modules(path: &Path, entries: &[Entry], pooled: usize) -> Result<Vec<Module>, ModelError> {
    let mut width = pooled;
    let mut modules = Vec::with_capacity(entries.len());
    for entry in entries {
        let config = path.join(&entry.path).join("config.json");
        if entry.kind == Kind::Dense {
            let dense = dense::read_dense(&config, width)?;
            width = dense.out_features;
            modules.push(Module::Dense(dense));
        } else {
            dense::check_normalize(&config)?;
            modules.push(Module::Normalize);
        }
    }
    Ok(modules)
}

/// The error for a path that is no folder, with the nearest one beside it.
pub(crate) fn no_folder(path: &Path) -> ModelError {
    ModelError::NoFolder {
        path: path.to_owned(),
        similar: similar_folder(path),
    }
}

/// The folder beside `path` whose name is most like its name.
pub(crate) fn similar_folder(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let folders: Vec<String> = std::fs::read_dir(parent)
        .ok()?
        .filter_map(|entry| {
            entry
                .ok()
                .filter(|e| e.path().is_dir())?
                .file_name()
                .into_string()
                .ok()
        })
        .collect();
    matryo_base::nearest(name, folders.iter().map(String::as_str)).map(|found| parent.join(found))
}
