//! optimizer.safetensors: AdamW's moments and gradients that wait for their step, one tensor a parameter.

use std::{borrow::Cow, fs::File, path::Path};

use matryo_model::{Entry, Grads, Layout};
use safetensors::{Dtype, SafeTensors, View};

use crate::{TrainError, optimizer::Optimizer};

/// The file's name.
pub(crate) const FILE: &str = "optimizer.safetensors";

/// The values of one parameter, as bytes when they are asked for: never a second copy of all of them.
struct Values<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// `m.0.encoder.layer.0...`: what it is, the index of the module, the parameter.
fn tensor_name(kind: &str, entry: &Entry) -> String {
    format!("{kind}.{}.{}", entry.module, entry.name)
}

/// Writes the file into `folder`, which is being built; `open` are gradients that wait.
pub(crate) fn write(
    folder: &Path,
    optimizer: &Optimizer,
    open: Option<&Grads>,
    layout: &Layout,
) -> Result<(), TrainError> {
    let buffers = [("m", Some(&optimizer.m)), ("v", Some(&optimizer.v)), ("grad", open.map(|grads| &grads.flat))];
    let mut tensors = Vec::new();
    for (kind, values) in buffers {
        let Some(values) = values else { continue };
        for entry in &layout.entries {
            let Some(range) = entry.grad.clone() else { continue };
            tensors.push((tensor_name(kind, entry), Values { shape: &entry.shape, values: &values[range] }));
        }
    }
    let path = folder.join(FILE);
    let unwritten = |source| TrainError::WriteMoments { path: path.clone(), source: Box::new(source) };
    safetensors::serialize_to_file(tensors, None, &path).map_err(unwritten)?;
    let synced = File::open(&path).and_then(|file| file.sync_all());
    synced.map_err(|source| unwritten(source.into()))
}

/// Reads the file of a checkpoint into `optimizer`, and gradients that waited into `grads`.
pub(crate) fn read(
    folder: &Path,
    optimizer: &mut Optimizer,
    grads: Option<&mut Grads>,
    layout: &Layout,
) -> Result<(), TrainError> {
    let path = folder.join(FILE);
    let bytes = std::fs::read(&path).map_err(|source| TrainError::ReadCheckpoint { path: path.clone(), source })?;
    let unreadable = |source| TrainError::Moments { path: path.clone(), source: Box::new(source) };
    let file = SafeTensors::deserialize(&bytes).map_err(unreadable)?;
    let buffers = [("m", Some(&mut optimizer.m)), ("v", Some(&mut optimizer.v)), ("grad", grads.map(|g| &mut g.flat))];
    for (kind, values) in buffers {
        let Some(values) = values else { continue };
        for entry in &layout.entries {
            let Some(range) = entry.grad.clone() else { continue };
            let name = tensor_name(kind, entry);
            let tensor = file.tensor(&name).map_err(unreadable)?;
            if tensor.shape() != entry.shape || tensor.dtype() != Dtype::F32 {
                let (found, expected) = (tensor.shape().to_vec(), entry.shape.clone());
                return Err(TrainError::MomentShape { path: path.clone(), name, found, expected });
            }
            copy(tensor.data(), &mut values[range]);
        }
    }
    Ok(())
}

fn copy(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*bytes);
    }
}
