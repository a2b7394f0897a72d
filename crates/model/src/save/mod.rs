//! Writes a model folder: the old layout, which every reader loads, or the new one of sentence-transformers 5.4.

mod tensors;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use matryo_base::files::{FileError, write_file, write_folder};
use matryo_nn::{
    FolderLayout, ModuleClass, Params, TokenRules, WriteConfig, config::Object, limit,
};
use serde::Serialize;
use serde_json::{Value, json, ser::PrettyFormatter};

pub use tensors::write_tensors;
pub(crate) use tensors::{RawTensor, write_raw};

use crate::{
    FolderModule, ModelError, ModelFolder, Routes, Settings, folder::written_settings,
    tokenizer::tokenizer_json,
};

/// How to save; the default is the old layout with everything as in the source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SaveOptions<'a> {
    /// Old or new.
    pub layout: FolderLayout,
    /// Text of README.md; none is written without it.
    pub card: Option<&'a str>,
    /// Longest input, instead of the source's; where there are routes, that of their encoders.
    pub max_seq_length: Option<usize>,
    /// Widths that the embeddings were trained to be cut to; config.json lists them and the whole width, for other servers. An empty list takes back
    /// what it says, `None` leaves it.
    pub matryoshka: Option<&'a [usize]>,
    /// Prompts, similarity and truncation, instead of the source's.
    pub settings: Option<&'a Settings>,
}

/// Files of a tokenizer, carried over byte for byte where they exist. tokenizer_config.json is not among them:
/// the longest input is written into it.
const TOKENIZER_FILES: [&str; 10] = [
    "tokenizer.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
];

/// Saves a model into the folder `target`, which appears whole if it was not there.
///
/// Weights come from `params`; tensors of `source` that `params` lack, such as a pooler, are carried over. A folder that
/// exists keeps its other files. Everything is written next to the target before anything is replaced, so a full disk
/// changes nothing; then one file after the other is renamed into place.
///
/// # Errors
/// A file of the source that cannot be read, or of the target that cannot be written.
pub fn save(
    target: &Path,
    source: &ModelFolder,
    params: &Params,
    options: &SaveOptions<'_>,
) -> Result<(), ModelError> {
    write_folder(target, |dir| {
        write_root(dir, source, options)?;
        write_tokenizers(dir, source, options)?;
        write_modules(dir, source, params, options)
    })
}

fn write_root(
    dir: &Path,
    source: &ModelFolder,
    options: &SaveOptions<'_>,
) -> Result<(), ModelError> {
    let settings = options.settings.unwrap_or(&source.settings);
    write_json(
        &dir.join("modules.json"),
        &modules(source, options.layout),
        2,
    )?;
    if let Some(routes) = &source.routes {
        let folder = create(dir.join(routes.folder()))?;
        let config = routes.written(&source.modules, options.layout);
        write_json(&folder.join(Routes::FILE), &config, 4)?;
    }
    let settings = written_settings(settings, options.layout);
    write_json(&dir.join("config_sentence_transformers.json"), &settings, 2)?;
    if let Some(card) = options.card {
        let path = dir.join("README.md");
        write_file(&path, |file| file.write_all(card.as_bytes()))?;
    }
    Ok(())
}

/// modules.json.
fn modules(source: &ModelFolder, layout: FolderLayout) -> Value {
    let alone = source
        .modules
        .iter()
        .filter(|module| module.route.is_none());
    let mut entries: Vec<Value> = alone
        .map(|module| {
            json!({
                "idx": module.index,
                "name": module.index.to_string(),
                "path": folder_of(source, module),
                "type": ModuleClass::of(&*module.module).path(layout),
            })
        })
        .collect();
    if let Some(routes) = &source.routes {
        entries.insert(routes.place(), routes.entry(layout));
    }
    Value::Array(entries)
}

/// Folder of a module. The first module is saved in the model's own folder.
fn folder_of(source: &ModelFolder, module: &FolderModule) -> String {
    if let (Some(routes), Some(route)) = (&source.routes, module.route) {
        let inner = routes.inner_folder(route, module);
        return match routes.folder() {
            outer if outer.is_empty() => inner,
            outer => format!("{outer}/{inner}"),
        };
    }
    match module.index {
        0 => String::new(),
        index => format!("{index}_{}", module.module.class()),
    }
}

/// The longest input that a module reads from now on, if another than before. A static embedding among routes has none.
fn length_of(
    source: &ModelFolder,
    module: &FolderModule,
    options: &SaveOptions<'_>,
) -> Option<usize> {
    let input = module.module.text_input()?;
    let of = |module: &FolderModule| Some(module.module.text_input()?.rules);
    let some = source
        .modules
        .iter()
        .any(|module| of(module) == Some(TokenRules::Encoder));
    let counts = !some || input.rules == TokenRules::Encoder;
    options.max_seq_length.filter(|_| counts)
}

/// The tokenizer of each module that reads texts, in its folder.
fn write_tokenizers(
    dir: &Path,
    source: &ModelFolder,
    options: &SaveOptions<'_>,
) -> Result<(), ModelError> {
    for module in &source.modules {
        let Some(mut input) = module.module.text_input() else {
            continue;
        };
        // A model without modules.json is read otherwise than its modules are, see `into_saved_form`.
        if source.routes.is_none() {
            input = source.input;
        }
        let longest = length_of(source, module, options).unwrap_or(input.max_seq_length);
        let folder = create(dir.join(folder_of(source, module)))?;
        write_tokenizer(
            &folder,
            &source.path.join(&module.path),
            input.rules,
            longest,
        )?;
    }
    Ok(())
}

/// Writes the tokenizer of the folder `from`, with the longest input.
fn write_tokenizer(
    dir: &Path,
    from: &Path,
    rules: TokenRules,
    longest: usize,
) -> Result<(), ModelError> {
    let cut = limit(longest).filter(|_| rules != TokenRules::Encoder);
    for name in TOKENIZER_FILES {
        let path = from.join(name);
        if path.exists() {
            let bytes = fs::read(&path).map_err(FileError::new("read", &path))?;
            write_file(&dir.join(name), |file| file.write_all(&bytes))?;
        }
    }
    if cut.is_some() || !from.join("tokenizer.json").exists() {
        let text = tokenizer_json(from, cut)?;
        let path = dir.join("tokenizer.json");
        write_file(&path, |file| file.write_all(text.as_bytes()))?;
    }
    let path = from.join("tokenizer_config.json");
    let config = Object::read_if_present(&path)?.map(Object::into_value);
    // Without a limit the file says so already, or nothing, which means the same.
    let length = limit(longest).filter(|_| cut.is_none());
    if config.is_none() && length.is_none() {
        return Ok(());
    }
    let mut config = config.unwrap_or(json!({}));
    if let Some(length) = length {
        config["model_max_length"] = json!(length);
    }
    write_json(&dir.join("tokenizer_config.json"), &config, 2)
}

/// Configuration and weights of each module. A module that has nothing to say gets an empty folder.
fn write_modules(
    dir: &Path,
    source: &ModelFolder,
    params: &Params,
    options: &SaveOptions<'_>,
) -> Result<(), ModelError> {
    let widths = options.matryoshka.map(|dims| {
        let mut widths = dims.to_vec();
        if !widths.is_empty() {
            widths.push(source.dim());
        }
        widths.sort_unstable_by(|a, b| b.cmp(a));
        widths.dedup();
        widths
    });
    for (index, place) in source.modules.iter().enumerate() {
        let module = &place.module;
        let written = WriteConfig {
            layout: options.layout,
            max_seq_length: length_of(source, place, options),
            matryoshka: widths.as_deref(),
        };
        let folder = create(dir.join(folder_of(source, place)))?;
        for file in module.files(&written) {
            write_json(&folder.join(file.name), &file.value, file.indent)?;
        }
        if module.has_weights() {
            let path = folder.join("model.safetensors");
            tensors::write(&path, index, params, &source.checkpoint(index)?)?;
        }
    }
    Ok(())
}

fn create(folder: PathBuf) -> Result<PathBuf, ModelError> {
    fs::create_dir_all(&folder).map_err(FileError::new("create", &folder))?;
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
