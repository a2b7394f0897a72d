//! Which tensors are in a file that torch has saved, and is it safe to read? `pytorch_model.bin` in both of its forms, without running
//! anything of what is written in it.
//!
//! A pickle is a program for a small stack machine that may name any function of Python and call it. Here it may name the few that make
//! a tensor (`object::ALLOWED`), and they are not functions but records of what they were given. All else is refused by name.
//!
//! | form | since | contents |
//! |---|---|---|
//! | zip | torch 1.6 | `NAME/data.pkl`, a pickle, and `NAME/data/KEY`, the bytes of each storage; uncompressed |
//! | stream | before | four pickles (magic number, version, sizes of types, the object), the list of storages, then the bytes of each |
//!
//! Sources: `torch/serialization.py` and `torch/_utils.py` of torch 2.15, `Lib/pickle.py` of Python 3.11.

mod container;
mod error;
mod machine;
mod object;
mod tensor;

pub use error::PickleError;
pub use tensor::{ElementType, Tensor};

use container::Storages;
use object::{Object, Value};

/// How many times the bytes of a file its tensors may have, each with values of its own. Tied weights are a copy or two.
const MOST_COPIES: usize = 8;

/// The tensors of a file, by name, in the order of the file.
///
/// `key` names the entry of the file that holds them, where they do not stand at its top.
///
/// # Errors
/// A file of no form that is known, cut short, damaged, with globals that are not allowed, or with a tensor that reaches beyond its bytes.
pub fn read(file: &[u8], key: Option<&str>) -> Result<Vec<(String, Tensor)>, PickleError> {
    let (object, storages) = container::open(file)?;
    let state = match key {
        Some(key) => object.entry(key).ok_or_else(|| PickleError::NoKey {
            key: key.to_owned(),
            found: object.keys().join(", "),
        })?,
        None => object.root(),
    };
    tensors(&object, state, &storages, MOST_COPIES * file.len())
}

fn tensors(
    object: &Object,
    state: Value,
    storages: &Storages<'_>,
    most: usize,
) -> Result<Vec<(String, Tensor)>, PickleError> {
    let mut tensors = Vec::new();
    let mut bytes = 0;
    for (name, value) in object.entries(state) {
        if let Some(layout) = object.tensor(value) {
            let tensor = tensor::read(&name, &layout?, storages, most - bytes)?;
            bytes += tensor.bytes.len();
            tensors.push((name, tensor));
        }
    }
    if tensors.is_empty() {
        return Err(PickleError::NoTensors {
            within: object.keys_with_tensors(),
        });
    }
    Ok(tensors)
}
