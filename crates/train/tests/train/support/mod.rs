//! Runs for tests: settings, what an observer heard, and recorded runs of the Python trainer to compare with.
pub mod compare;
pub mod trace;

use std::path::{Path, PathBuf};

use matryo_eval::Report;
use matryo_train::{
    Event, Observer, TrainConfig, TrainError, TrainOutcome, Trainer, events::StepEvent,
};
use sha2::{Digest, Sha256};

pub use trace::Trace;

/// Everything an observer hears that tests look at.
#[derive(Default)]
pub struct Recorder {
    /// Rows, loss and scaled loss of every micro-batch.
    pub batches: Vec<(Vec<u32>, f64, f64)>,
    pub steps: Vec<StepEvent>,
    /// Epochs, step, reports.
    pub evaluations: Vec<(f64, u64, Vec<Report>)>,
    pub warnings: Vec<String>,
    pub saved: Vec<PathBuf>,
    /// Asks to stop after this optimizer step.
    pub stop_after: Option<u64>,
}

impl Observer for Recorder {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Batch(batch) => {
                self.batches
                    .push((batch.rows.to_vec(), batch.loss, batch.scaled_loss))
            }
            Event::Step(step) => self.steps.push((*step).clone()),
            Event::Evaluated {
                step,
                epoch,
                reports,
            } => self.evaluations.push((*epoch, *step, reports.to_vec())),
            Event::Warning { text } => self.warnings.push((*text).to_owned()),
            Event::Saved { path } => self.saved.push(path.to_path_buf()),
            _ => {}
        }
    }

    fn stop_requested(&mut self) -> bool {
        self.stop_after.is_some() && self.steps.last().map(|step| step.step) == self.stop_after
    }
}

/// A file of the repository.
pub fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
        .display()
        .to_string()
}

/// A file of this crate's golden values.
pub fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(path)
}

pub type Flags = Vec<(String, String)>;

pub fn flags(pairs: &[(&str, &str)]) -> Flags {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The published recipe on its 196 pairs with the tiny model, as the recorded runs had it: in single precision, which is the default
/// on a processor without AMX.
pub fn recipe(output_dir: &Path) -> Flags {
    let mut flags = flags(&[
        ("columns", "positive,anchor"),
        ("matryoshka_dims", "32,16,8"),
        ("num_train_epochs", "4"),
        ("per_device_train_batch_size", "32"),
        ("per_device_eval_batch_size", "16"),
        ("gradient_accumulation_steps", "16"),
        ("learning_rate", "1e-3"),
        ("lr_scheduler_type", "cosine"),
        ("warmup_ratio", "0.1"),
        ("batch_sampler", "no_duplicates"),
        ("eval_strategy", "epoch"),
        ("save_strategy", "epoch"),
        ("logging_steps", "10"),
        ("save_total_limit", "3"),
        ("load_best_model_at_end", "true"),
        ("metric_for_best_model", "eval_dim_8_cosine_ndcg@10"),
        ("seed", "42"),
        ("precision", "f32"),
    ]);
    set(
        &mut flags,
        "model",
        &matryo_testkit::tiny_bert().display().to_string(),
    );
    set(
        &mut flags,
        "train_data",
        &repository("examples/finance/reference/train.jsonl"),
    );
    set(
        &mut flags,
        "eval_data",
        &repository("examples/finance/reference/eval"),
    );
    set(&mut flags, "output_dir", &output_dir.display().to_string());
    flags
}

/// A short run: the first epochs of the recipe without evaluation, a step every two micro-batches.
pub fn short_run(output_dir: &Path) -> Flags {
    let mut flags = recipe(output_dir);
    let changes = [
        ("num_train_epochs", "2"),
        ("gradient_accumulation_steps", "2"),
        ("warmup_ratio", "0"),
        ("eval_strategy", "no"),
        ("save_strategy", "no"),
        ("load_best_model_at_end", "false"),
    ];
    for (key, value) in changes {
        set(&mut flags, key, value);
    }
    flags
}

pub fn set(flags: &mut Flags, key: &str, value: &str) {
    flags.retain(|(known, _)| known != key);
    flags.push((key.to_owned(), value.to_owned()));
}

pub fn try_train(flags: &Flags, recorder: &mut Recorder) -> Result<TrainOutcome, TrainError> {
    Trainer::new(TrainConfig::load(None, flags)?)?.run(recorder)
}

pub fn train(flags: &Flags) -> (TrainOutcome, Recorder) {
    let mut recorder = Recorder::default();
    let outcome = try_train(flags, &mut recorder).unwrap_or_else(|error| panic!("{error}"));
    (outcome, recorder)
}

/// SHA-256 of the weights in a model folder.
pub fn weights_sha256(folder: &Path) -> String {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
