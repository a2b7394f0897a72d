//! Weights that are only there as a pickle of torch, written as safetensors beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use matryo_base::files::{FileError, is_file_name, write_atomic};
use matryo_nn::{NnError, config::read_json, missing_file};
use matryo_pickle::{ElementType, Tensor, read};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::{
    ModelError,
    folder::module_folders,
    save::{RawTensor, write_raw},
};

const PICKLE: &str = "pytorch_model.bin";
const PICKLE_INDEX: &str = "pytorch_model.bin.index.json";
const SAFE: &str = "model.safetensors";
const SAFE_INDEX: &str = "model.safetensors.index.json";

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The file.
    pub path: PathBuf,
    /// Tensors in it.
    pub tensors: usize,
}

/// Writes model.safetensors beside each pytorch_model.bin of a model folder and its modules' folders, where there is none; shards stay
/// shards. Those of a Router's routes, which may lie a folder deeper, are among them. The pickles stay. Types of tensors stay. Memory holds a file and its tensors.
///
/// `key` names the entry that holds the tensors in files that hold more.
///
/// # Errors
/// A folder without such files, or with a link to a folder outside of it that has some; a modules.json or router_config.json that is no list of modules; a file that is not read, see [`matryo_pickle::read`]; a file that cannot be written. What was
/// written before stays.
pub fn convert(folder: &Path, key: Option<&str>) -> Result<Vec<Converted>, ModelError> {
    let mut written = Vec::new();
    for dir in folders(folder)? {
        let has = |file: &str| dir.join(file).exists();
        if has(SAFE) || has(SAFE_INDEX) || !has(PICKLE) && !has(PICKLE_INDEX) {
            continue;
        }
        check_inside(folder, &dir)?;
        if has(PICKLE) {
            written.push(one(&dir.join(PICKLE), &dir.join(SAFE), key)?);
        } else {
            shards(&dir, key, &mut written)?;
        }
    }
    if written.is_empty() {
        return Err(match missing_file(folder, SAFE) {
            other @ NnError::OtherWeights { .. } => other.into(),
            _ => ModelError::NothingToConvert {
                folder: folder.to_owned(),
            },
        });
    }
    Ok(written)
}

/// The folder, those in it, and those of modules that lie deeper, by name. The first comes first.
fn folders(folder: &Path) -> Result<BTreeSet<PathBuf>, ModelError> {
    let read = |error| FileError::new("read", folder)(error);
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.is_dir() {
            folders.insert(path);
        }
    }
    let modules = module_folders(folder)?.into_iter();
    folders.extend(modules.map(|place| folder.join(place)));
    Ok(folders)
}

/// Fails if a link leads from a model's folder to `dir`, into which would be written.
fn check_inside(folder: &Path, dir: &Path) -> Result<(), ModelError> {
    let resolved = |path: &Path| fs::canonicalize(path).map_err(FileError::new("read", path));
    let found = resolved(dir)?;
    if found.starts_with(resolved(folder)?) {
        return Ok(());
    }
    Err(ModelError::OutsideFolder {
        path: dir.to_owned(),
        found,
    })
}

fn one(from: &Path, to: &Path, key: Option<&str>) -> Result<Converted, ModelError> {
    let bytes = fs::read(from).map_err(FileError::new("read", from))?;
    let tensors = read(&bytes, key).map_err(|source| ModelError::Pickle {
        path: from.to_owned(),
        source,
    })?;
    drop(bytes);
    write(to, &tensors)?;
    Ok(Converted {
        path: to.to_owned(),
        tensors: tensors.len(),
    })
}

fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), ModelError> {
    let mut raw: Vec<RawTensor<'_>> = tensors
        .iter()
        .map(|(name, tensor)| RawTensor {
            name,
            dtype: dtype(tensor.element),
            shape: &tensor.shape,
            bytes: &tensor.bytes,
        })
        .collect();
    raw.sort_by_key(|tensor| tensor.name);
    Ok(write_atomic(path, |file| write_raw(file, &raw))?)
}

/// Each shard under the name that transformers gives its like, and the index of all.
fn shards(dir: &Path, key: Option<&str>, written: &mut Vec<Converted>) -> Result<(), ModelError> {
    let path = dir.join(PICKLE_INDEX);
    let index = read_json(&path)?;
    let wrong = || NnError::ConfigValue {
        path: path.clone(),
        key: "weight_map".into(),
        found: index["weight_map"].to_string(),
        expected: "an object from tensor to the name of a file beside it".into(),
    };
    let map = index["weight_map"].as_object().ok_or_else(wrong)?;
    let mut names = BTreeMap::new();
    for shard in map.values() {
        let shard = shard.as_str().filter(|name| is_file_name(name));
        let shard = shard.ok_or_else(wrong)?;
        names.insert(shard.to_owned(), safe_name(shard));
    }
    for (from, to) in &names {
        written.push(one(&dir.join(from), &dir.join(to), key)?);
    }
    let map: serde_json::Map<String, Value> = map
        .iter()
        .map(|(tensor, shard)| {
            (
                tensor.clone(),
                json!(names[shard.as_str().unwrap_or_default()]),
            )
        })
        .collect();
    let mut safe = index.clone();
    safe["weight_map"] = map.into();
    let text = format!("{safe:#}\n");
    write_atomic(&dir.join(SAFE_INDEX), |file| {
        std::io::Write::write_all(file, text.as_bytes())
    })?;
    Ok(())
}

/// `pytorch_model-00001-of-00002.bin` to `model-00001-of-00002.safetensors`.
fn safe_name(shard: &str) -> String {
    let stem = shard.strip_suffix(".bin").unwrap_or(shard);
    format!(
        "{}.safetensors",
        stem.strip_prefix("pytorch_").unwrap_or(stem)
    )
}

fn dtype(element: ElementType) -> Dtype {
    match element {
        ElementType::F64 => Dtype::F64,
        ElementType::F32 => Dtype::F32,
        ElementType::F16 => Dtype::F16,
        ElementType::BF16 => Dtype::BF16,
        ElementType::I64 => Dtype::I64,
        ElementType::I32 => Dtype::I32,
        ElementType::I16 => Dtype::I16,
        ElementType::I8 => Dtype::I8,
        ElementType::U8 => Dtype::U8,
        ElementType::Bool => Dtype::BOOL,
    }
}
