//! What a run leaves behind, for the last lines on the terminal.

use std::path::PathBuf;

use matryo_eval::Report;

/// The result of a training run.
#[derive(Clone, Debug)]
pub struct TrainOutcome {
    /// Folder of the final model, its card, the checkpoints and the metrics.
    pub output_dir: PathBuf,
    /// Optimizer steps of the run.
    pub steps: u64,
    /// The step whose weights are in the folder.
    pub saved_step: u64,
    /// How that step was chosen; `None` if it is simply the last.
    pub best: Option<BestStep>,
    /// Reports of the base model, one a dimension; empty unless it was evaluated.
    pub before: Vec<Report>,
    /// Reports of the saved weights; empty unless they were evaluated.
    pub after: Vec<Report>,
    /// Sum of all scaled losses over the number of steps, as transformers reports it.
    pub train_loss: f64,
    /// Wall time of the training without evaluations, in seconds.
    pub training_seconds: f64,
    /// Wall time of the evaluations, in seconds.
    pub evaluation_seconds: f64,
}

/// The best checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct BestStep {
    /// The metric that ranks: `dim_128_cosine_ndcg@10`.
    pub metric: String,
    /// Its value there.
    pub value: f64,
    /// The optimizer step.
    pub step: u64,
}
