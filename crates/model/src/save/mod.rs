//! Writes a model folder: the old layout, which every reader loads, or the new one of sentence-transformers 5.4.

mod configs;
mod tensors;

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

pub use tensors::write_tensors;

use matryo_base::{write_file, write_folder};
use serde::Serialize;
use serde_json::{Value, json, ser::PrettyFormatter};

use crate::{
    ModelError, ModelFolder, Module, Params, Settings,
    folder::json::{Object, read_json},
    tokenizer::tokenizer_json,
};

/// Which generation of readers a folder is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FolderLayout {
    /// As sentence-transformers 2 to 5.3 write it; loads in all of them and in every other reader known.
    #[default]
    Old,
    /// As sentence-transformers 5.4 and later write it; earlier versions and some servers cannot read it.
    New,
}

/// How to save; the default is the old layout with everything as in the source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SaveOptions<'a> {
    /// Old or new.
    pub layout: FolderLayout,
    /// Text of README.md; none is written without it.
    pub card: Option<&'a str>,
    /// Longest input, instead of the source's.
    pub max_seq_length: Option<usize>,
    /// Prompts, similarity and truncation, instead of the source's.
    pub settings: Option<&'a Settings>,
}

/// Files of a tokenizer, carried over byte for byte where they exist. tokenizer_config.json is not among them:
/// the longest input is written into it.
const TOKENIZER_FILES: [&str; 9] = [
    "tokenizer.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
];

/// Saves a model into the folder `target`: all of it or nothing.
///
/// Weights come from `params`; tensors of `source` that `params` lack (BERT's pooler) are carried over. A folder that
/// exists keeps its other files. Everything is written beside the target before anything is replaced, so a full disk
/// changes nothing.
pub fn save(
    target: &Path,
    source: &ModelFolder,
    params: &Params,
    options: &SaveOptions<'_>,
) -> Result<(), ModelError> {
    write_folder(target, |dir| {
        write_root(dir, source, options)?;
        write_tokenizer(dir, source, options)?;
        tensors::write(
            &dir.join("model.safetensors"),
            0,
            params,
            &source.checkpoint(0)?,
        )?;
        write_modules(dir, source, params, options.layout)
    })
}

fn write_root(
    dir: &Path,
    source: &ModelFolder,
    options: &SaveOptions<'_>,
) -> Result<(), ModelError> {
    let layout = options.layout;
    let settings = options.settings.unwrap_or(&source.settings);
    let max_seq_length = options.max_seq_length.unwrap_or(source.max_seq_length);
    write_json(
        &dir.join("config.json"),
        &configs::model(&source.config, layout),
        2,
    )?;
    write_json(
        &dir.join("modules.json"),
        &configs::modules(&source.modules, layout),
        2,
    )?;
    let indent = if layout == FolderLayout::Old { 2 } else { 4 };
    let transformer = configs::transformer(source, max_seq_length, layout);
    write_json(&dir.join("sentence_bert_config.json"), &transformer, indent)?;
    write_json(
        &dir.join("config_sentence_transformers.json"),
        &configs::settings(settings, layout),
        2,
    )?;
    if let Some(card) = options.card {
        write_file(&dir.join("README.md"), |file| {
            file.write_all(card.as_bytes())
        })?;
    }
    Ok(())
}

fn write_tokenizer(
    dir: &Path,
    source: &ModelFolder,
    options: &SaveOptions<'_>,
) -> Result<(), ModelError> {
    let from = source.transformer_dir();
    for name in TOKENIZER_FILES {
        let path = from.join(name);
        if path.exists() {
            let bytes = fs::read(&path).map_err(ModelError::io("read", &path))?;
            write_file(&dir.join(name), |file| file.write_all(&bytes))?;
        }
    }
    if !from.join("tokenizer.json").exists() {
        let text = tokenizer_json(&from)?;
        write_file(&dir.join("tokenizer.json"), |file| {
            file.write_all(text.as_bytes())
        })?;
    }
    let path = from.join("tokenizer_config.json");
    let mut config = if path.exists() {
        Object::new(&path, read_json(&path)?)?.into_value()
    } else {
        json!({})
    };
    config["model_max_length"] = json!(options.max_seq_length.unwrap_or(source.max_seq_length));
    write_json(&dir.join("tokenizer_config.json"), &config, 2)
}

/// One folder a module after the transformer. Normalize has nothing to say: its folder is empty.
fn write_modules(
    dir: &Path,
    source: &ModelFolder,
    params: &Params,
    layout: FolderLayout,
) -> Result<(), ModelError> {
    let indent = if layout == FolderLayout::Old { 2 } else { 4 };
    let pooling = create(dir, "1_Pooling".into())?;
    write_json(
        &pooling.join("config.json"),
        &configs::pooling(source, layout),
        indent,
    )?;
    for (i, module) in source.modules.iter().enumerate() {
        let index = i + 2;
        let folder = create(dir, format!("{index}_{}", configs::class_name(module)))?;
        if let Module::Dense(dense) = module {
            write_json(
                &folder.join("config.json"),
                &configs::dense(dense, layout),
                indent,
            )?;
            tensors::write(
                &folder.join("model.safetensors"),
                index,
                params,
                &source.checkpoint(index)?,
            )?;
        }
    }
    Ok(())
}

fn create(dir: &Path, name: String) -> Result<std::path::PathBuf, ModelError> {
    let folder = dir.join(name);
    fs::create_dir_all(&folder).map_err(ModelError::io("create", &folder))?;
    Ok(folder)
}

fn write_json(path: &Path, value: &Value, indent: usize) -> Result<(), ModelError> {
    let spaces = " ".repeat(indent);
    let formatter = PrettyFormatter::with_indent(spaces.as_bytes());
    Ok(write_file(path, |file| {
        let mut serializer = serde_json::Serializer::with_formatter(file, formatter);
        value.serialize(&mut serializer).map_err(io::Error::from)
    })?)
}
