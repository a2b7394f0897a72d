//! Streams tensors into a safetensors file: header first, then every tensor straight from where it lies.

use std::{io, io::Write, path::Path};

use matryo_base::files::write_file;
use matryo_nn::{Checkpoint, Params, to_f32, value_size};
use safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::ModelError;

/// Values converted at a time, so that no second copy of the weights is ever in memory.
const CHUNK: usize = 1 << 14;

/// Where the bytes of a tensor come from.
enum Source<'a> {
    /// Parameters in memory.
    Values(&'a [f32]),
    /// Floating values of the source's file, written as `f32` like everything else.
    Floats(Dtype, &'a [u8]),
    /// Anything else of the source's file, byte for byte.
    Bytes(Dtype, &'a [u8]),
}

struct Tensor<'a> {
    name: &'a str,
    shape: &'a [usize],
    source: Source<'a>,
}

impl Tensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.source {
            Source::Bytes(dtype, _) => dtype,
            _ => Dtype::F32,
        }
    }

    fn len(&self) -> usize {
        match self.source {
            Source::Bytes(_, bytes) => bytes.len(),
            _ => self.shape.iter().product::<usize>() * size_of::<f32>(),
        }
    }
}

/// Writes `params` of one module, and every tensor of `source` that they lack, sorted by name.
pub(super) fn write(
    path: &Path,
    module: usize,
    params: &Params,
    source: &Checkpoint,
) -> Result<(), ModelError> {
    let mut tensors = trained(module, params, source)?;
    for name in source.names() {
        if !tensors.iter().any(|t| t.name == name) {
            tensors.push(carried_over(name, source)?);
        }
    }
    tensors.sort_by_key(|t| t.name);
    write_all(path, &tensors)
}

/// Writes a safetensors file of `f32` tensors, each a name, a shape and its values, in the order given, and syncs it, in
/// place: for files of a folder that is being built. No copy of the values is made.
pub fn write_tensors(
    path: &Path,
    tensors: &[(String, &[usize], &[f32])],
) -> Result<(), ModelError> {
    let tensors = tensors.iter().map(|(name, shape, values)| Tensor {
        name,
        shape,
        source: Source::Values(values),
    });
    write_all(path, &tensors.collect::<Vec<_>>())
}

fn write_all(path: &Path, tensors: &[Tensor<'_>]) -> Result<(), ModelError> {
    Ok(write_file(path, |file| write_to(file, tensors))?)
}

fn write_to(file: &mut impl Write, tensors: &[Tensor<'_>]) -> io::Result<()> {
    let header = header(tensors);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    tensors
        .iter()
        .try_for_each(|tensor| write_tensor(file, tensor))
}

/// A tensor as its bytes.
pub(crate) struct RawTensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a [u8],
}

/// Writes a safetensors file, byte for byte, in the order given.
pub(crate) fn write_raw(file: &mut impl Write, tensors: &[RawTensor<'_>]) -> io::Result<()> {
    let tensors = tensors.iter().map(|tensor| Tensor {
        name: tensor.name,
        shape: tensor.shape,
        source: Source::Bytes(tensor.dtype, tensor.bytes),
    });
    write_to(file, &tensors.collect::<Vec<_>>())
}

/// Parameters of a module, each under its name and under those of the tensors that are tied to it.
fn trained<'a>(
    module: usize,
    params: &'a Params,
    source: &Checkpoint,
) -> Result<Vec<Tensor<'a>>, ModelError> {
    let mut tensors = Vec::new();
    let entries = params.layout.entries.iter();
    for entry in entries.filter(|entry| entry.module == module) {
        let mut names = vec![&entry.name];
        for other in &entry.tied {
            if source.raw(other)? == source.raw(&entry.name)? {
                names.push(other);
            }
        }
        tensors.extend(names.into_iter().map(|name| Tensor {
            name,
            shape: &entry.shape,
            source: Source::Values(&params.flat[entry.range.clone()]),
        }));
    }
    Ok(tensors)
}

fn carried_over<'a>(name: &'a str, source: &'a Checkpoint) -> Result<Tensor<'a>, ModelError> {
    let (dtype, shape, bytes) = source.raw(name)?;
    let floating = value_size(dtype).is_some();
    let source = if floating {
        Source::Floats(dtype, bytes)
    } else {
        Source::Bytes(dtype, bytes)
    };
    Ok(Tensor {
        name,
        shape,
        source,
    })
}

/// JSON of name, dtype, shape and place of every tensor, padded to 8 bytes so that what follows is aligned.
fn header(tensors: &[Tensor<'_>]) -> String {
    let mut map = Map::new();
    map.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.len();
        let dtype = tensor.dtype().to_string();
        map.insert(
            tensor.name.into(),
            json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [offset, end]}),
        );
        offset = end;
    }
    let mut text = Value::Object(map).to_string();
    text.extend(std::iter::repeat_n(
        ' ',
        text.len().next_multiple_of(8) - text.len(),
    ));
    text
}

fn write_tensor(file: &mut impl Write, tensor: &Tensor<'_>) -> io::Result<()> {
    match tensor.source {
        Source::Values(values) => values
            .chunks(CHUNK)
            .try_for_each(|chunk| write_floats(file, chunk)),
        Source::Bytes(_, bytes) => file.write_all(bytes),
        Source::Floats(dtype, bytes) => {
            let size = value_size(dtype).unwrap_or(size_of::<f32>());
            let mut values = vec![0.0; CHUNK];
            bytes.chunks(CHUNK * size).try_for_each(|chunk| {
                let values = &mut values[..chunk.len() / size];
                to_f32(dtype, chunk, values);
                write_floats(file, values)
            })
        }
    }
}

fn write_floats(file: &mut impl Write, values: &[f32]) -> io::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    file.write_all(&bytes)
}
