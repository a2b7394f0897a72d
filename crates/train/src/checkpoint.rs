//! `checkpoint-<step>/`: the model as it stands and everything to go on from there, whole or not at all.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use matryo_base::{FileError, write_file, write_folder};
use matryo_model::{Grads, ModelFolder, Params, SaveOptions, save};
use serde::{Deserialize, Serialize};

use crate::{
    TrainError, identity::Identity, moments, optimizer::Optimizer, progress::Progress,
    trainer_state::TrainerState,
};

/// What matryo needs besides upstream's files.
const STATE_FILE: &str = "matryo_state.json";
const PREFIX: &str = "checkpoint-";
/// Ends the name of a checkpoint that is being deleted.
const REMOVED: &str = ".removed.tmp";
/// Changes when an older checkpoint cannot be understood any more.
const FORMAT: u32 = 1;

/// Contents of [`STATE_FILE`].
#[derive(Serialize, Deserialize)]
struct State {
    format: u32,
    identity: Identity,
    /// Updates that AdamW has made.
    updates: u64,
    progress: Progress,
}

/// Everything that goes into a checkpoint.
pub(crate) struct Contents<'a> {
    pub model: &'a ModelFolder,
    pub params: &'a Params,
    pub options: SaveOptions<'a>,
    pub optimizer: &'a Optimizer,
    pub grads: &'a Grads,
    pub identity: &'a Identity,
    pub state: TrainerState<'a>,
}

/// A checkpoint to go on from.
#[derive(Clone, Debug)]
pub(crate) struct ResumePoint {
    pub path: PathBuf,
    pub progress: Progress,
    updates: u64,
}

/// The folder of a checkpoint.
pub(crate) fn path(output_dir: &Path, step: u64) -> PathBuf {
    output_dir.join(format!("{PREFIX}{step}"))
}

/// Writes the checkpoint of the current step and returns its folder; one of that step that is there is replaced.
pub(crate) fn write(output_dir: &Path, contents: &Contents<'_>) -> Result<PathBuf, TrainError> {
    let progress = contents.state.progress;
    let target = path(output_dir, progress.step);
    remove(&target)?;
    write_folder(&target, |dir| -> Result<(), TrainError> {
        save(dir, contents.model, contents.params, &contents.options)?;
        let open = (progress.open_batches > 0).then_some(contents.grads);
        moments::write(dir, contents.optimizer, open, &contents.params.layout)?;
        contents.state.write(dir)?;
        let state = State {
            format: FORMAT,
            identity: contents.identity.clone(),
            updates: contents.optimizer.updates,
            progress: progress.clone(),
        };
        let json = serde_json::to_vec_pretty(&state).expect("plain data");
        Ok(write_file(&dir.join(STATE_FILE), |file| {
            file.write_all(&json)
        })?)
    })?;
    Ok(target)
}

/// Deletes a checkpoint: renamed first, so that no half of it can be taken for a whole one.
pub(crate) fn remove(checkpoint: &Path) -> Result<(), TrainError> {
    let name = checkpoint.file_name().unwrap_or_default().to_string_lossy();
    let doomed = checkpoint.with_file_name(format!(".{name}{REMOVED}"));
    let failed = FileError::new("delete", checkpoint);
    match fs::rename(checkpoint, &doomed) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error).into()),
        Ok(()) => Ok(fs::remove_dir_all(&doomed).map_err(failed)?),
    }
}

/// Removes what a process that was killed left half written or half deleted.
pub(crate) fn sweep(output_dir: &Path) -> Result<(), TrainError> {
    let entries = fs::read_dir(output_dir).into_iter().flatten().flatten();
    let is_remnant = |name: &str| name.starts_with(&format!(".{PREFIX}")) && name.ends_with(".tmp");
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_remnant)) {
        let path = entry.path();
        fs::remove_dir_all(&path).map_err(FileError::new("delete", &path))?;
    }
    Ok(())
}

/// (step, folder) of all checkpoints that matryo wrote into `output_dir`, oldest first.
pub(crate) fn list(output_dir: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(output_dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let numbered = |path: PathBuf| {
        let step = path
            .file_name()?
            .to_str()?
            .strip_prefix(PREFIX)?
            .parse()
            .ok()?;
        path.join(STATE_FILE).exists().then_some((step, path))
    };
    let mut checkpoints: Vec<_> = entries.filter_map(numbered).collect();
    checkpoints.sort();
    checkpoints
}

/// Deletes the oldest checkpoints beyond `limit`, never the last or the best: the rule of transformers' trainer_utils.
pub(crate) fn rotate(output_dir: &Path, limit: usize, best: Option<u64>) -> Result<(), TrainError> {
    let checkpoints = list(output_dir);
    let last = checkpoints.last().map(|(step, _)| *step);
    let is_protected = |step: u64| Some(step) == last || Some(step) == best;
    let protected = checkpoints
        .iter()
        .filter(|(step, _)| is_protected(*step))
        .count();
    let excess = checkpoints.len().saturating_sub(limit.max(protected));
    let doomed = checkpoints
        .iter()
        .filter(|(step, _)| !is_protected(*step))
        .take(excess);
    doomed
        .map(|(_, path)| path)
        .try_for_each(|path| remove(path))
}

impl ResumePoint {
    /// Reads where the checkpoint `path` stands; refuses one of another run, naming what differs.
    pub fn open(path: &Path, expected: &Identity) -> Result<Self, TrainError> {
        let file = path.join(STATE_FILE);
        let bytes = fs::read(&file).map_err(FileError::new("read", &file))?;
        let broken = |source| TrainError::CheckpointState {
            path: file.clone(),
            source,
        };
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(broken)?;
        if json["format"] != FORMAT {
            let found = json["format"].to_string();
            return Err(TrainError::CheckpointFormat {
                path: file,
                found,
                expected: FORMAT,
            });
        }
        let state: State = serde_json::from_value(json).map_err(broken)?;
        expected.check(&state.identity, path)?;
        Ok(Self {
            path: path.to_owned(),
            progress: state.progress,
            updates: state.updates,
        })
    }

    /// Puts weights, moments and waiting gradients back.
    pub fn restore(
        &self,
        params: &mut Params,
        optimizer: &mut Optimizer,
        grads: &mut Grads,
    ) -> Result<(), TrainError> {
        crate::weights::read(&self.path, params)?;
        let open = (self.progress.open_batches > 0).then_some(grads);
        moments::read(&self.path, optimizer, open, &params.layout)?;
        optimizer.updates = self.updates;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(steps: &[u64]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for &step in steps {
            fs::create_dir(path(dir.path(), step)).unwrap();
            fs::write(path(dir.path(), step).join(STATE_FILE), "{}").unwrap();
        }
        dir
    }

    fn steps(dir: &Path) -> Vec<u64> {
        list(dir).into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn checkpoints_are_counted_by_number() {
        let dir = folder_with(&[10, 9, 100]);
        fs::create_dir(dir.path().join("checkpoint-11")).unwrap();
        fs::create_dir(dir.path().join(".checkpoint-12.saving.tmp")).unwrap();
        assert_eq!(steps(dir.path()), [9, 10, 100]);
    }

    #[test]
    fn remnants_of_a_killed_process_are_swept() {
        let dir = folder_with(&[1]);
        for name in [
            ".checkpoint-2.saving.tmp",
            ".checkpoint-1.removed.tmp",
            ".mine.tmp",
        ] {
            fs::create_dir_all(dir.path().join(name).join("inner")).unwrap();
        }
        sweep(dir.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [".mine.tmp", "checkpoint-1"]);
    }

    /// The cases of transformers' rotate_checkpoints: the last and the best stay.
    #[test]
    fn the_oldest_go_first_but_never_the_best() {
        let cases: [(usize, Option<u64>, &[u64]); 4] = [
            (2, None, &[3, 4]),
            (2, Some(1), &[1, 4]),
            (1, Some(2), &[2, 4]),
            (3, Some(4), &[2, 3, 4]),
        ];
        for (limit, best, left) in cases {
            let dir = folder_with(&[1, 2, 3, 4]);
            rotate(dir.path(), limit, best).unwrap();
            assert_eq!(steps(dir.path()), left);
        }
    }
}
