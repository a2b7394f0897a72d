//! Table, mapping and factors of model2vec as one row for each token, in single precision.

use safetensors::Dtype;

use super::{FACTORS, MAPPING, MODEL2VEC_TABLE};
use crate::{Checkpoint, NnError};

/// Puts a row for each token in the place of table, mapping and factors.
pub(super) fn fold(checkpoint: &mut Checkpoint, name: &str) -> Result<(), NnError> {
    let (dtype, shape, bytes) = checkpoint.raw(name)?;
    let &[rows, dim] = shape else { return Ok(()) };
    let mapping = tensor_of(checkpoint, name, MAPPING, integers)?;
    let factors = tensor_of(checkpoint, name, FACTORS, numbers)?;
    if dtype == Dtype::F32 && mapping.is_none() && factors.is_none() {
        return Ok(());
    }
    let table = floats(checkpoint, name, dtype, bytes)?;
    let tokens = mapping.as_ref().map_or(rows, Vec::len);
    if let Some(factors) = factors.as_ref().filter(|factors| factors.len() != tokens) {
        return Err(NnError::TensorShape {
            path: checkpoint.path().to_owned(),
            name: FACTORS.to_owned(),
            found: vec![factors.len()],
            expected: vec![tokens],
        });
    }
    let mut values = Vec::with_capacity(tokens * dim);
    for token in 0..tokens {
        let row = mapping
            .as_ref()
            .map_or(token as f64, |mapping| mapping[token]);
        if !(0.0..rows as f64).contains(&row) {
            return Err(NnError::MappedRow {
                path: checkpoint.path().to_owned(),
                token,
                found: row as i64,
                rows,
            });
        }
        let start = row as usize * dim;
        let factor = factors.as_ref().map_or(1.0, |factors| factors[token]);
        let row = table[start..start + dim].iter();
        values.extend(row.map(|value| (f64::from(*value) * factor) as f32));
    }
    let shape = vec![tokens, dim];
    checkpoint.replace(name, shape, values);
    checkpoint.remove(MAPPING);
    checkpoint.remove(FACTORS);
    Ok(())
}

type Read = fn(&Checkpoint, &str, Dtype, &[u8]) -> Result<Vec<f64>, NnError>;

/// The values of `part`, a vector that belongs to model2vec's table; `None` if there is none.
fn tensor_of(
    checkpoint: &Checkpoint,
    table: &str,
    part: &str,
    read: Read,
) -> Result<Option<Vec<f64>>, NnError> {
    if table != MODEL2VEC_TABLE || !checkpoint.has(part) {
        return Ok(None);
    }
    let (dtype, _, bytes) = checkpoint.raw(part)?;
    read(checkpoint, part, dtype, bytes).map(Some)
}

/// Numbers of a floating type, or of signed bytes, in single precision.
fn floats(
    checkpoint: &Checkpoint,
    name: &str,
    dtype: Dtype,
    bytes: &[u8],
) -> Result<Vec<f32>, NnError> {
    Ok(match dtype {
        Dtype::F64 => of_bytes(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => of_bytes(bytes, f32::from_le_bytes),
        Dtype::F16 => of_bytes(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => of_bytes(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
        Dtype::I8 => of_bytes(bytes, |b| i8::from_le_bytes(b).into()),
        _ => {
            return Err(wrong_type(
                checkpoint,
                name,
                dtype,
                "F64, F32, F16, BF16 or I8",
            ));
        }
    })
}

/// Factors, in double precision as model2vec computes them.
fn numbers(
    checkpoint: &Checkpoint,
    name: &str,
    dtype: Dtype,
    bytes: &[u8],
) -> Result<Vec<f64>, NnError> {
    Ok(match dtype {
        Dtype::F64 => of_bytes(bytes, f64::from_le_bytes),
        _ => floats(checkpoint, name, dtype, bytes)?
            .into_iter()
            .map(f64::from)
            .collect(),
    })
}

fn integers(
    checkpoint: &Checkpoint,
    name: &str,
    dtype: Dtype,
    bytes: &[u8],
) -> Result<Vec<f64>, NnError> {
    Ok(match dtype {
        Dtype::I64 => of_bytes(bytes, |b| i64::from_le_bytes(b) as f64),
        Dtype::I32 => of_bytes(bytes, |b| i32::from_le_bytes(b).into()),
        _ => return Err(wrong_type(checkpoint, name, dtype, "I64 or I32")),
    })
}

fn of_bytes<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    let values = bytes.as_chunks::<N>().0.iter();
    values.map(|bytes| value(*bytes)).collect()
}

fn wrong_type(
    checkpoint: &Checkpoint,
    name: &str,
    dtype: Dtype,
    expected: &'static str,
) -> NnError {
    NnError::TensorDtype {
        path: checkpoint.path().to_owned(),
        name: name.to_owned(),
        found: dtype.to_string(),
        expected,
    }
}
