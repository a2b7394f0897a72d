//! The weights of one module: safetensors, mapped into memory, in one file or in shards.

mod convert;
mod file;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

pub use convert::{to_f32, value_size};
use file::ShardFile;
use matryo_base::{digest::Digest, files::is_file_name, similar::nearest};
use matryo_ops::MatRef;
use safetensors::{Dtype, tensor::TensorInfo};

use crate::{NnError, config::Object};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Named tensors of `f32`, `f16` or `bf16`, read on demand; nothing is copied until it is read, but for tensors that a module computes
/// from what the file holds.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file, or the index of shards.
    path: PathBuf,
    files: Vec<ShardFile>,
    tensors: BTreeMap<String, Place>,
}

/// Where a tensor is.
#[derive(Debug)]
enum Place {
    /// In the file of this index.
    File(usize),
    /// In memory, computed from what the file holds.
    Memory { info: TensorInfo, values: Vec<f32> },
}

/// A tensor that was looked up.
struct Found<'a> {
    path: &'a Path,
    name: &'a str,
    info: &'a TensorInfo,
    bytes: &'a [u8],
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
        let tensors = file.tensors.keys();
        let tensors = tensors.map(|name| (name.clone(), Place::File(0))).collect();
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
            shards.tensors.insert(name, Place::File(i));
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
        let (name, place) = self.tensors.get_key_value(name)?;
        Some(&self.at(name, place).info.shape)
    }

    /// The file, or the index of shards; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies a whole tensor into `out`, which holds as many values as `shape` says; panics if it does not.
    ///
    /// Fails if the tensor is missing, of another shape, or not of a floating type.
    pub fn read(&self, name: &str, shape: &[usize], out: &mut [f32]) -> Result<(), NnError> {
        let found = self.of_shape(name, shape, out.len())?;
        to_f32(found.info.dtype, found.bytes, out);
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
        let found = self.of_shape(name, shape, out.len())?;
        let stride = ZERO_RUN * found.readable_size()?;
        let runs = found.bytes.chunks(stride);
        for (bytes, out) in runs.zip(out.chunks_mut(ZERO_RUN)) {
            if bytes.iter().any(|byte| *byte != 0) {
                to_f32(found.info.dtype, bytes, out);
            }
        }
        Ok(())
    }

    /// Copies some rows of a matrix `[rows, width]` into `out` `[ids.len(), width]`; panics if `out` has another size.
    ///
    /// Only the pages that hold these rows are read from disk. Fails as [`Checkpoint::read`], and on a row outside.
    pub fn read_rows(&self, name: &str, ids: &[u32], out: &mut [f32]) -> Result<(), NnError> {
        let found = self.find(name)?;
        let (rows, width) = found.matrix_shape()?;
        assert_eq!(ids.len() * width, out.len(), "room for rows of `{name}`");
        let stride = width * found.readable_size()?;
        let bytes = found.bytes;
        if width == 0 {
            return Ok(());
        }
        for (&id, out) in ids.iter().zip(out.chunks_exact_mut(width)) {
            let row = id as usize;
            if row >= rows {
                return Err(NnError::RowOutOfRange {
                    path: found.path.to_owned(),
                    name: name.to_owned(),
                    row: id,
                    rows,
                });
            }
            to_f32(
                found.info.dtype,
                &bytes[row * stride..(row + 1) * stride],
                out,
            );
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

    /// Dtype, shape and bytes of a tensor, as they lie in the file, or in memory if it was computed.
    pub fn raw(&self, name: &str) -> Result<(Dtype, &[usize], &[u8]), NnError> {
        let found = self.find(name)?;
        Ok((found.info.dtype, &found.info.shape, found.bytes))
    }

    /// A matrix of `f32` where it lies; `None` if it is of another type, or does not lie where floats can.
    ///
    /// # Errors
    /// The tensor is missing, or no matrix.
    pub fn matrix(&self, name: &str) -> Result<Option<MatRef<'_>>, NnError> {
        let found = self.find(name)?;
        let (rows, cols) = found.matrix_shape()?;
        let is_plain = found.info.dtype == Dtype::F32 && cfg!(target_endian = "little");
        let values = is_plain.then(|| bytemuck::try_cast_slice(found.bytes).ok());
        Ok(values
            .flatten()
            .map(|values| MatRef::new(rows, cols, values)))
    }

    /// Puts a tensor that was computed in the place of one of that name.
    pub(crate) fn replace(&mut self, name: &str, shape: Vec<usize>, values: Vec<f32>) {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "`{name}`");
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape,
            data_offsets: (0, size_of_val(&*values)),
        };
        self.tensors
            .insert(name.to_owned(), Place::Memory { info, values });
    }

    /// Leaves a tensor out from now on.
    pub(crate) fn remove(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// The error that there is no tensor of that name.
    pub(crate) fn missing(&self, name: &str) -> NnError {
        missing(&self.path, name, self.tensors.keys())
    }

    /// A tensor of a floating type and this shape, of `room` values.
    fn of_shape(&self, name: &str, shape: &[usize], room: usize) -> Result<Found<'_>, NnError> {
        assert_eq!(shape.iter().product::<usize>(), room, "room for `{name}`");
        let found = self.find(name)?;
        if found.info.shape != shape {
            return Err(NnError::TensorShape {
                path: found.path.to_owned(),
                name: name.to_owned(),
                found: found.info.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        found.readable_size()?;
        Ok(found)
    }

    fn find(&self, name: &str) -> Result<Found<'_>, NnError> {
        match self.tensors.get_key_value(name) {
            Some((name, place)) => Ok(self.at(name, place)),
            None => Err(self.missing(name)),
        }
    }

    fn at<'a>(&'a self, name: &'a str, place: &'a Place) -> Found<'a> {
        match place {
            Place::File(i) => {
                let file = &self.files[*i];
                let info = &file.tensors[name];
                Found {
                    path: &file.path,
                    name,
                    info,
                    bytes: file.bytes(info),
                }
            }
            Place::Memory { info, values } => Found {
                path: &self.path,
                name,
                info,
                bytes: bytemuck::cast_slice(values),
            },
        }
    }
}

impl Found<'_> {
    /// Bytes of a value.
    fn readable_size(&self) -> Result<usize, NnError> {
        value_size(self.info.dtype).ok_or_else(|| NnError::TensorDtype {
            path: self.path.to_owned(),
            name: self.name.to_owned(),
            found: self.info.dtype.to_string(),
            expected: "F32, F16 or BF16",
        })
    }

    fn matrix_shape(&self) -> Result<(usize, usize), NnError> {
        match self.info.shape[..] {
            [rows, width] => Ok((rows, width)),
            _ => Err(NnError::TensorRank {
                path: self.path.to_owned(),
                name: self.name.to_owned(),
                found: self.info.shape.clone(),
            }),
        }
    }
}

fn weight_map(index: &Object) -> Result<Vec<(String, String)>, NnError> {
    let wrong = || index.wrong("weight_map", "an object from tensor to file name");
    let map = index
        .get("weight_map")
        .and_then(|v| v.as_object())
        .ok_or_else(wrong)?;
    let pair = |(name, file): (&String, &serde_json::Value)| {
        let file = file.as_str().filter(|file| is_file_name(file));
        file.map(|f| (name.clone(), f.to_owned())).ok_or_else(wrong)
    };
    map.iter().map(pair).collect()
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
        None => missing_file(&folder, SINGLE),
    }
}

/// What to say where `file` is missing: that the model is there in the form of another program, if it is.
pub fn missing_file(folder: &Path, file: &str) -> NnError {
    let (folder, other) = (folder.to_owned(), other_weights(folder));
    match other {
        Some(file) => NnError::OtherWeights { folder, file },
        None => NnError::MissingFile {
            folder,
            file: file.to_owned(),
        },
    }
}

/// Weights in the form of ONNX Runtime, llama.cpp, OpenVINO, TensorFlow or Flax, in the folder or in those that its exporters make.
fn other_weights(folder: &Path) -> Option<String> {
    const NAMES: [&str; 2] = ["tf_model.h5", "flax_model.msgpack"];
    const ENDS: [&str; 2] = [".onnx", ".gguf"];
    const OPENVINO: &str = "openvino_model.bin";
    ["", "onnx", "openvino"].into_iter().find_map(|below| {
        let entries = std::fs::read_dir(folder.join(below)).ok()?.flatten();
        let mut names: Vec<String> = entries
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        names.sort();
        let is_other = |name: &String| {
            NAMES.contains(&&**name)
                || *name == OPENVINO
                || ENDS.iter().any(|end| name.ends_with(end))
        };
        let name = names.into_iter().find(is_other)?;
        Some(if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        })
    })
}
