//! Weights as files: their hash, and reading a checkpoint's into a model.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use matryo_base::{Digest, FileError};
use matryo_model::{Checkpoint, ModelError, ModelFolder, Params};

use crate::TrainError;

/// SHA-256 of a model's weights: of its encoder's files, or of all that its routes have.
pub(crate) fn hash_of(folder: &ModelFolder) -> Result<String, TrainError> {
    match folder.routes {
        None => hash(&folder.text_dir()),
        Some(_) => Ok(folder.weights_digest()?),
    }
}

/// SHA-256 of the weights in the folder of a transformer: of model.safetensors, or of all shards in the order of their names.
fn hash(dir: &Path) -> Result<String, TrainError> {
    let files = weight_files(dir).map_err(FileError::new("read", dir))?;
    let mut digest = Digest::new();
    for path in files {
        File::open(&path)
            .and_then(|mut file| io::copy(&mut file, &mut digest))
            .map_err(FileError::new("read", &path))?;
    }
    Ok(digest.hex())
}

fn weight_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let whole = dir.join("model.safetensors");
    if whole.exists() {
        return Ok(vec![whole]);
    }
    let is_shard = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "safetensors")
    };
    let mut files = std::fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(is_shard);
    files.sort();
    Ok(files)
}

/// Reads the weights of the model folder `path` into `params`, which have the same layout.
pub(crate) fn read(path: &Path, params: &mut Params) -> Result<(), ModelError> {
    let folder = ModelFolder::open(path)?;
    let layout = params.layout.clone();
    let mut open: Option<(usize, Checkpoint)> = None;
    for entry in &layout.entries {
        let checkpoint = match open.take() {
            Some((module, checkpoint)) if module == entry.module => checkpoint,
            _ => folder.checkpoint(entry.module)?,
        };
        checkpoint.read(
            &entry.name,
            &entry.shape,
            &mut params.flat[entry.range.clone()],
        )?;
        // Else the file's pages count as ours, beside the values themselves.
        checkpoint.release();
        open = Some((entry.module, checkpoint));
    }
    Ok(())
}
