//! NumPy's .npy, formats 1 to 3: a magic string, a header that is a Python literal, then the values.
//! Layout: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::path::Path;

use super::{Float, InputError, Rows};

const MAGIC: &[u8] = b"\x93NUMPY";

pub fn parse(path: &Path, bytes: &[u8]) -> Result<Rows, InputError> {
    let broken = |reason| InputError::Npy {
        path: path.to_owned(),
        reason,
    };
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| broken("it does not begin as one"))?;
    let (header, values) = split(rest).ok_or_else(|| broken("its header is cut short"))?;
    let float = match text_of(header, "descr").ok_or_else(|| broken("its header has no `descr`"))? {
        "<f4" => Float::Single,
        "<f8" => Float::Double,
        other => {
            return Err(InputError::Type {
                path: path.to_owned(),
                found: other.to_owned(),
            });
        }
    };
    if value_of(header, "fortran_order").is_none_or(|order| !order.starts_with("False")) {
        return Err(broken("it is not in C order"));
    }
    let shape = shape(header).ok_or_else(|| broken("its header has no `shape`"))?;
    let count = shape
        .iter()
        .try_fold(float.size(), |product, &axis| product.checked_mul(axis));
    let expected = count.ok_or_else(|| broken("its shape is too large"))?;
    if values.len() != expected {
        let before = bytes.len() - values.len();
        return Err(InputError::Length {
            path: path.to_owned(),
            found: bytes.len(),
            expected: before + expected,
        });
    }
    Rows::of(path, &shape, float.values(values))
}

/// The header and the values, from what follows the magic string.
fn split(rest: &[u8]) -> Option<(&str, &[u8])> {
    let (length, start) = match rest.first()? {
        1 => (
            usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)),
            4,
        ),
        _ => (
            usize::try_from(u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?)).ok()?,
            6,
        ),
    };
    let end = start + length;
    Some((
        std::str::from_utf8(rest.get(start..end)?).ok()?,
        &rest[end..],
    ))
}

/// What follows a key of the literal.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

fn text_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    value_of(header, key)?
        .strip_prefix('\'')?
        .split('\'')
        .next()
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let (axes, _) = value_of(header, "shape")?
        .strip_prefix('(')?
        .split_once(')')?;
    axes.split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| axis.parse().ok())
        .collect()
}
