//! The tensor `embeddings` of a safetensors file, or its only tensor.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::{Float, InputError, Rows};

const TENSOR: &str = "embeddings";

pub fn parse(path: &Path, bytes: &[u8]) -> Result<Rows, InputError> {
    let file = SafeTensors::deserialize(bytes);
    let file = file.map_err(|source| InputError::Safetensors {
        path: path.to_owned(),
        source,
    })?;
    let found: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    let name = if let [only] = &found[..] {
        only
    } else {
        TENSOR
    };
    let tensor = file.tensor(name).map_err(|_| {
        let mut found = found.clone();
        found.sort();
        InputError::Missing {
            path: path.to_owned(),
            kind: "tensor",
            name: TENSOR,
            found,
        }
    })?;
    let float = match tensor.dtype() {
        Dtype::F32 => Float::Single,
        Dtype::F64 => Float::Double,
        other => {
            return Err(InputError::Type {
                path: path.to_owned(),
                found: format!("{other:?}"),
            });
        }
    };
    Rows::of(path, tensor.shape(), float.values(tensor.data()))
}
