//! optimizer.safetensors: AdamW's moments and gradients that wait for their step, one tensor a parameter.

use std::path::Path;

use matryo_model::{Checkpoint, Entry, Grads, Layout, ModelError, write_tensors};

use crate::{TrainError, optimizer::Optimizer};

/// The file's name.
pub(crate) const FILE: &str = "optimizer.safetensors";

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
    let [m, v] = optimizer.moments();
    let buffers = [
        ("m", Some(m)),
        ("v", Some(v)),
        ("grad", open.map(Grads::values)),
    ];
    let mut tensors = Vec::new();
    for (kind, values) in buffers {
        let Some(values) = values else { continue };
        for entry in &layout.entries {
            let Some(range) = entry.grad.clone() else {
                continue;
            };
            tensors.push((tensor_name(kind, entry), &*entry.shape, &values[range]));
        }
    }
    Ok(write_tensors(&folder.join(FILE), &tensors)?)
}

/// Reads the file of a checkpoint into `optimizer`, and gradients that waited into `grads`.
pub(crate) fn read(
    folder: &Path,
    optimizer: &mut Optimizer,
    grads: Option<&mut Grads>,
    layout: &Layout,
) -> Result<(), TrainError> {
    let file = Checkpoint::open_file(folder.join(FILE)).map_err(ModelError::from)?;
    let read = |kind: &str, values: &mut [f32]| -> Result<(), TrainError> {
        for entry in &layout.entries {
            let Some(range) = entry.grad.clone() else {
                continue;
            };
            file.read_onto_zeros(&tensor_name(kind, entry), &entry.shape, &mut values[range])
                .map_err(ModelError::from)?;
            // Else the file's pages count as ours until the end, beside the values themselves.
            file.release();
        }
        Ok(())
    };
    optimizer.read_with(|[m, v]| read("m", m).and_then(|()| read("v", v)))?;
    grads.map_or(Ok(()), |grads| {
        grads.read_with(|values| read("grad", values))
    })
}
