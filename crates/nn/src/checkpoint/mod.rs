//! The weights of one module: safetensors, mapped into memory, in one file or in shards.

mod convert;
mod file;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

pub use convert::{to_f32, value_size};
use file::ShardFile;
use matryo_base::{digest::Digest, similar::nearest};
use safetensors::{Dtype, tensor::TensorInfo};

use crate::{NnError, config::Object};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Named tensors of `f32`, `f16` or `bf16`, read on demand; nothing is copied until it is read.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file, or the index of shards.
    path: PathBuf,
    files: Vec<ShardFile>,
    /// Tensor to index in `files`.
    tensors: BTreeMap<String, usize>,
}

/// Values that are looked at together for being 0: a page of memory, in most systems.
const ZERO_RUN: usize = 1024;

impl Checkpoint {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` lists, in `folder`.
    ///
    /// Fails if there are no weights, or if a file's length or header is wrong.
    pub fn open(folder: &Path) -> Result<Self, NnError> {
        let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
        if single.exists() {
            Self::open_file(single)
        } else if index.exists() {
            Self::open_shards(folder, index)
        } else {
            Err(no_weights(folder))
        }
    }

    /// Opens one safetensors file. Fails if its length or header is wrong.
    pub fn open_file(path: PathBuf) -> Result<Self, NnError> {
        let file = ShardFile::open(&path)?;
        let tensors = file.tensors.keys().map(|name| (name.clone(), 0)).collect();
        Ok(Self {
            path,
            files: vec![file],
            tensors,
        })
    }

    fn open_shards(folder: &Path, path: PathBuf) -> Result<Self, NnError> {
        let index = Object::read(&path)?;
        let mut shards = Self {
            path,
            files: Vec::new(),
            tensors: BTreeMap::new(),
        };
        let mut opened = HashMap::new();
        for (name, shard) in weight_map(&index)? {
            let i = match opened.get(&shard) {
                Some(i) => *i,
                None => {
                    shards.files.push(ShardFile::open(&folder.join(&shard))?);
                    opened.insert(shard, shards.files.len() - 1);
                    shards.files.len() - 1
                }
            };
            let file = &shards.files[i];
            if !file.tensors.contains_key(&name) {
                return Err(missing(&file.path, &name, file.tensors.keys()));
            }
            shards.tensors.insert(name, i);
        }
        Ok(shards)
    }

    /// All tensors, sorted by name.
    pub fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor, `None` if there is none of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let file = &self.files[*self.tensors.get(name)?];
        Some(&file.tensors[name].shape)
    }

    /// The file, or the index of shards; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies a whole tensor into `out`, which holds as many values as `shape` says; panics if it does not.
    ///
    /// Fails if the tensor is missing, of another shape, or not of a floating type.
    pub fn read(&self, name: &str, shape: &[usize], out: &mut [f32]) -> Result<(), NnError> {
        let (file, info) = self.of_shape(name, shape, out.len())?;
        to_f32(info.dtype, file.bytes(info), out);
        Ok(())
    }

    /// As [`Checkpoint::read`], for `out` that is 0: what is 0 in the file is not written, so that memory the system has not
    /// given yet need not be.
    pub fn read_onto_zeros(
        &self,
        name: &str,
        shape: &[usize],
        out: &mut [f32],
    ) -> Result<(), NnError> {
        let (file, info) = self.of_shape(name, shape, out.len())?;
        let stride = ZERO_RUN * readable_size(file, name, info)?;
        let runs = file.bytes(info).chunks(stride);
        for (bytes, out) in runs.zip(out.chunks_mut(ZERO_RUN)) {
            if bytes.iter().any(|byte| *byte != 0) {
                to_f32(info.dtype, bytes, out);
            }
        }
        Ok(())
    }

    /// Copies some rows of a matrix `[rows, width]` into `out` `[ids.len(), width]`; panics if `out` has another size.
    ///
    /// Only the pages that hold these rows are read from disk. Fails as [`Checkpoint::read`], and on a row outside.
    pub fn read_rows(&self, name: &str, ids: &[u32], out: &mut [f32]) -> Result<(), NnError> {
        let (file, info) = self.find(name)?;
        let (rows, width) = matrix_shape(file, name, info)?;
        assert_eq!(ids.len() * width, out.len(), "room for rows of `{name}`");
        let stride = width * readable_size(file, name, info)?;
        let bytes = file.bytes(info);
        if width == 0 {
            return Ok(());
        }
        for (&id, out) in ids.iter().zip(out.chunks_exact_mut(width)) {
            let row = id as usize;
            if row >= rows {
                let (path, name) = (file.path.clone(), name.to_owned());
                return Err(NnError::RowOutOfRange {
                    path,
                    name,
                    row: id,
                    rows,
                });
            }
            to_f32(info.dtype, &bytes[row * stride..(row + 1) * stride], out);
        }
        Ok(())
    }

    /// Every tensor by name, with its type, shape and bytes.
    pub fn digest(&self, hash: &mut Digest) -> Result<(), NnError> {
        for name in self.tensors.keys() {
            let (dtype, shape, bytes) = self.raw(name)?;
            hash.update(format!("{name} {dtype} {shape:?} "));
            hash.update(bytes);
        }
        Ok(())
    }

    /// Gives the memory of what was read so far back to the system; later reads load it from the file again.
    pub fn release(&self) {
        self.files.iter().for_each(ShardFile::release);
    }

    /// Dtype, shape and bytes of a tensor, as they lie in the file.
    pub fn raw(&self, name: &str) -> Result<(Dtype, &[usize], &[u8]), NnError> {
        let (file, info) = self.find(name)?;
        Ok((info.dtype, &info.shape, file.bytes(info)))
    }

    /// The error that there is no tensor of that name.
    pub(crate) fn missing(&self, name: &str) -> NnError {
        missing(&self.path, name, self.tensors.keys())
    }

    /// A tensor of a floating type and this shape, of `room` values.
    fn of_shape(
        &self,
        name: &str,
        shape: &[usize],
        room: usize,
    ) -> Result<(&ShardFile, &TensorInfo), NnError> {
        assert_eq!(shape.iter().product::<usize>(), room, "room for `{name}`");
        let (file, info) = self.find(name)?;
        if info.shape != shape {
            let (found, expected) = (info.shape.clone(), shape.to_vec());
            return Err(NnError::TensorShape {
                path: file.path.clone(),
                name: name.to_owned(),
                found,
                expected,
            });
        }
        readable_size(file, name, info)?;
        Ok((file, info))
    }

    fn find(&self, name: &str) -> Result<(&ShardFile, &TensorInfo), NnError> {
        let Some(i) = self.tensors.get(name) else {
            return Err(self.missing(name));
        };
        let file = &self.files[*i];
        Ok((file, &file.tensors[name]))
    }
}

fn weight_map(index: &Object) -> Result<Vec<(String, String)>, NnError> {
    let wrong = || index.wrong("weight_map", "an object from tensor to file name");
    let map = index
        .get("weight_map")
        .and_then(|v| v.as_object())
        .ok_or_else(wrong)?;
    let pair = |(name, file): (&String, &serde_json::Value)| {
        let file = file.as_str().filter(|f| !f.contains(['/', '\\']));
        file.map(|f| (name.clone(), f.to_owned())).ok_or_else(wrong)
    };
    map.iter().map(pair).collect()
}

fn readable_size(file: &ShardFile, name: &str, info: &TensorInfo) -> Result<usize, NnError> {
    value_size(info.dtype).ok_or_else(|| NnError::TensorDtype {
        path: file.path.clone(),
        name: name.to_owned(),
        found: info.dtype.to_string(),
    })
}

fn matrix_shape(
    file: &ShardFile,
    name: &str,
    info: &TensorInfo,
) -> Result<(usize, usize), NnError> {
    match info.shape[..] {
        [rows, width] => Ok((rows, width)),
        _ => Err(NnError::TensorRank {
            path: file.path.clone(),
            name: name.to_owned(),
            found: info.shape.clone(),
        }),
    }
}

fn missing<'a>(path: &Path, name: &str, names: impl Iterator<Item = &'a String>) -> NnError {
    let similar = nearest(name, names.map(String::as_str)).map(str::to_owned);
    NnError::MissingTensor {
        path: path.to_owned(),
        name: name.to_owned(),
        similar,
    }
}

fn no_weights(folder: &Path) -> NnError {
    let folder = folder.to_owned();
    match PICKLES.iter().find(|file| folder.join(file).exists()) {
        Some(file) => NnError::PickledWeights {
            folder,
            file: (*file).to_owned(),
        },
        None => NnError::MissingFile {
            folder,
            file: SINGLE.to_owned(),
        },
    }
}
