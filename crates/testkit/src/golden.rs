//! Readers of golden files: safetensors, npy and JSON. They panic, since a test cannot go on without its file.

use std::{collections::BTreeMap, fs, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// A tensor of a golden file, converted to f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Its values, the last axis fastest.
    pub data: Vec<f32>,
}

impl Tensor {
    /// Rows and columns of a tensor of two axes; panics on another number of axes.
    #[track_caller]
    pub fn rows_cols(&self) -> (usize, usize) {
        let &[rows, cols] = self.shape.as_slice() else {
            panic!("shape {:?} is not that of a matrix", self.shape)
        };
        (rows, cols)
    }
}

/// Every tensor of a safetensors file; F32, F64, I64, I32, I8 and U8 are understood.
#[track_caller]
pub fn read_safetensors(path: impl AsRef<Path>) -> BTreeMap<String, Tensor> {
    let path = path.as_ref();
    let bytes = read(path);
    let file =
        SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.iter()
        .map(|(name, view)| (name.to_owned(), tensor(name, &view)))
        .collect()
}

/// Writes tensors as `dtype`: F32, or BF16, whose last digits are cut off.
pub fn write_safetensors(path: impl AsRef<Path>, tensors: &BTreeMap<String, Tensor>, dtype: Dtype) {
    let bytes = |values: &[f32]| -> Vec<u8> {
        let all = values.iter().map(|v| v.to_le_bytes());
        // The upper half of an f32 is a bf16.
        all.flat_map(|b| match dtype {
            Dtype::F32 => b.to_vec(),
            Dtype::BF16 => b[2..].to_vec(),
            other => panic!("{other} is not written"),
        })
        .collect()
    };
    let data: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| (name, &tensor.shape, bytes(&tensor.data)))
        .collect();
    let views = data.iter().map(|(name, shape, data)| {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        (name.as_str(), view)
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A JSON file.
#[track_caller]
pub fn read_json(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    serde_json::from_slice(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A .npy file of little-endian f32 in C order (format of numpy.lib.format, versions 1 to 3).
#[track_caller]
pub fn read_npy(path: impl AsRef<Path>) -> Tensor {
    let path = path.as_ref();
    parse_npy(&read(path))
        .unwrap_or_else(|| panic!("{}: not a .npy file of f32 in C order", path.display()))
}

#[track_caller]
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn tensor(name: &str, view: &TensorView<'_>) -> Tensor {
    let bytes = view.data();
    let data = match view.dtype() {
        Dtype::F32 => numbers(bytes, f32::from_le_bytes),
        Dtype::F64 => numbers(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::I64 => numbers(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => numbers(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::I8 => numbers(bytes, |b| f32::from(i8::from_le_bytes(b))),
        Dtype::U8 => numbers(bytes, |b: [u8; 1]| f32::from(b[0])),
        other => panic!("tensor `{name}` has dtype {other:?}"),
    };
    Tensor {
        shape: view.shape().to_vec(),
        data,
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|&b| number(b))
        .collect()
}

fn parse_npy(bytes: &[u8]) -> Option<Tensor> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (len, start) = match rest.first()? {
        1 => (
            usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)),
            4,
        ),
        _ => (
            u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize,
            6,
        ),
    };
    let header = std::str::from_utf8(rest.get(start..start + len)?).ok()?;
    if !header.contains("'descr': '<f4'") || !header.contains("'fortran_order': False") {
        return None;
    }
    let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let shape = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
    let shape = shape
        .map(|n| n.parse().ok())
        .collect::<Option<Vec<usize>>>()?;
    let data = numbers(rest.get(start + len..)?, f32::from_le_bytes);
    (data.len() == shape.iter().product::<usize>()).then_some(Tensor { shape, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_of_the_tiny_model() {
        let tensors = read_safetensors(crate::tiny_bert().join("model.safetensors"));
        let words = &tensors["embeddings.word_embeddings.weight"];
        assert_eq!(words.rows_cols(), (3000, 32));
        assert_eq!(words.data.len(), 3000 * 32);
        assert!(words.data.iter().all(|v| v.is_finite() && v.abs() < 1.0));
    }

    #[test]
    fn npy_header_and_values() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n";
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend([1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()));
        assert_eq!(
            parse_npy(&file),
            Some(Tensor {
                shape: vec![2, 1],
                data: vec![1.5, -2.0]
            })
        );
        file.pop();
        assert_eq!(parse_npy(&file), None, "a value is cut short");
    }

    #[test]
    #[should_panic(expected = "no/such.json")]
    fn a_missing_file_is_named() {
        read_json("no/such.json");
    }
}
