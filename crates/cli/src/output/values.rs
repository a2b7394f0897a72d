//! Quantised embeddings seen as rows or bytes, whatever the type of their values.

use std::io::{self, Write};

use matryo_model::Quantized;
use serde::Serialize;

/// One embedding. As JSON it is an array; floats stand in the fewest digits that read back the same.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Row<'a> {
    /// `float32`.
    Float32(&'a [f32]),
    /// `int8` or `binary`.
    Int8(&'a [i8]),
    /// `uint8` or `ubinary`.
    Uint8(&'a [u8]),
}

/// Rows, and columns (bytes a row for packed bits).
pub fn shape(embeddings: &Quantized) -> (usize, usize) {
    match embeddings {
        Quantized::Float32(mat) => (mat.rows(), mat.cols()),
        Quantized::Int8 { rows, cols, .. } | Quantized::Uint8 { rows, cols, .. } => (*rows, *cols),
    }
}

/// Row `i`.
pub fn row(embeddings: &Quantized, i: usize) -> Row<'_> {
    let (_, cols) = shape(embeddings);
    let range = i * cols..(i + 1) * cols;
    match embeddings {
        Quantized::Float32(mat) => Row::Float32(mat.row(i)),
        Quantized::Int8 { data, .. } => Row::Int8(&data[range]),
        Quantized::Uint8 { data, .. } => Row::Uint8(&data[range]),
    }
}

/// Bytes that [`write_bytes`] writes.
pub fn byte_len(embeddings: &Quantized) -> usize {
    let (rows, cols) = shape(embeddings);
    let width = if matches!(embeddings, Quantized::Float32(_)) {
        size_of::<f32>()
    } else {
        1
    };
    rows * cols * width
}

/// All values in row order, little-endian.
pub fn write_bytes(out: &mut impl Write, embeddings: &Quantized) -> io::Result<()> {
    match embeddings {
        Quantized::Float32(mat) => mat
            .data()
            .iter()
            .try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Quantized::Int8 { data, .. } => data
            .iter()
            .try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Quantized::Uint8 { data, .. } => out.write_all(data),
    }
}
