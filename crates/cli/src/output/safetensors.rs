//! A safetensors file with the one tensor `embeddings`.
//!
//! Written by hand, because the library builds the whole file in memory first; the format is a length, a JSON header
//! and the values (<https://huggingface.co/docs/safetensors>).

use std::io::{self, Write};

use matryo_model::Quantized;
use serde_json::json;

use super::values;

/// The values begin at a multiple of this.
const ALIGNMENT: usize = 8;

/// Writes `embeddings` `[rows, cols]` as F32, I8 or U8.
pub fn write(out: &mut impl Write, embeddings: &Quantized) -> io::Result<()> {
    let (rows, cols) = values::shape(embeddings);
    let dtype = match embeddings {
        Quantized::Float32(_) => "F32",
        Quantized::Int8 { .. } => "I8",
        Quantized::Uint8 { .. } => "U8",
    };
    let tensor = json!({"dtype": dtype, "shape": [rows, cols], "data_offsets": [0, values::byte_len(embeddings)]});
    let mut header = json!({"embeddings": tensor}).to_string();
    let padding = header.len().next_multiple_of(ALIGNMENT) - header.len();
    header.extend(std::iter::repeat_n(' ', padding));
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    values::write_bytes(out, embeddings)
}
