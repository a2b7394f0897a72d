//! What a run tells while it goes on: the one way in which training speaks to its surroundings.

use std::{path::Path, time::Duration};

use matryo_eval::Report;

pub use crate::memory::MemoryPlan;
use crate::{TrainOutcome, config::TrainConfig};

/// Something that happened in a training run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run is about to start; everything was read and checked.
    Plan(&'a RunPlan),
    /// Something that is allowed, but that a careful engineer would want to know.
    Warning {
        /// One sentence.
        text: &'a str,
    },
    /// A micro-batch was trained on; several make an optimizer step.
    Batch(&'a BatchEvent<'a>),
    /// An optimizer step was done.
    Step(&'a StepEvent),
    /// The model was evaluated.
    Evaluated {
        /// Optimizer steps done.
        step: u64,
        /// Epochs done; 0 before training.
        epoch: f64,
        /// One report a dimension.
        reports: &'a [Report],
    },
    /// A folder was written.
    Saved {
        /// The checkpoint, or the final model.
        path: &'a Path,
    },
    /// The run is over.
    Done(&'a TrainOutcome),
}

/// One micro-batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchEvent<'a> {
    /// The epoch, from 0.
    pub epoch: u64,
    /// Its number in the epoch, from 0.
    pub index: u64,
    /// Rows of the data, in the order of the batch.
    pub rows: &'a [u32],
    /// Its loss.
    pub loss: f64,
    /// Its share of the optimizer step's loss.
    pub scaled_loss: f64,
}

/// One optimizer step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepEvent {
    /// Optimizer steps done, this one counted.
    pub step: u64,
    /// Optimizer steps of the whole run.
    pub total: u64,
    /// Epochs done.
    pub epoch: f64,
    /// Micro-batches trained on so far, those before a resume counted.
    pub micro_batches: u64,
    /// Loss of the step: the scaled losses of its micro-batches added up, as the trainer of transformers logs it.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Global L2 norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens trained on a second since training started.
    pub tokens_per_second: f64,
    /// Estimated time to the last step, evaluations not counted.
    pub remaining: Duration,
}

/// What is going to run.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The settings, defaults filled in.
    pub config: TrainConfig,
    /// Folder of the base model.
    pub model_path: std::path::PathBuf,
    /// Width of its embeddings.
    pub dim: usize,
    /// Values of all parameters.
    pub parameters: usize,
    /// Those that are trained.
    pub trainable: usize,
    /// Longest text in tokens; what is longer is cut.
    pub max_seq_length: usize,
    /// Rows of the training data.
    pub rows: usize,
    /// Its columns, in the order that decides their roles.
    pub columns: Vec<String>,
    /// (queries, documents) of the evaluation data.
    pub evaluation: Option<(usize, usize)>,
    /// Class names of the loss from the outside in.
    pub loss: Vec<&'static str>,
    /// Widths at which the model is evaluated.
    pub dims: Vec<usize>,
    /// Micro-batches an epoch, as the loader counts them.
    pub batches_per_epoch: u64,
    /// Optimizer steps of the run.
    pub steps: u64,
    /// Optimizer steps of the warm-up.
    pub warmup_steps: u64,
    /// Number format of the arithmetic and why.
    pub precision: String,
    /// What it runs on.
    pub device: String,
    /// Threads it uses.
    pub threads: usize,
    /// Optimizer step of the checkpoint that the run goes on from.
    pub resumed_step: Option<u64>,
    /// The peak of its memory, predicted.
    pub memory: MemoryPlan,
    /// Facts worth a line that are no warnings.
    pub notes: Vec<String>,
}

/// Hears of everything that happens in a run.
pub trait Observer {
    /// Called in order, from the thread that trains.
    fn event(&mut self, event: &Event<'_>);

    /// Asked after every optimizer step; `true` ends the run with [`crate::TrainError::Stopped`]. What was written stays,
    /// and the run can be resumed.
    fn stop_requested(&mut self) -> bool {
        false
    }
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event<'_>) {}
}
