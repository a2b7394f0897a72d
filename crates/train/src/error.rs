//! What can go wrong with a training run: settings, data, the model, the disk.

use std::path::PathBuf;

use crate::{
    card::CardError,
    config::{Origin, Strategy},
};

/// Everything that configuring or running a training can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The configuration file is not UTF-8.
    #[error("not UTF-8\n  in {}, line {line}", path.display())]
    ConfigEncoding {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The configuration file is not TOML.
    #[error("not valid TOML: {}\n  in {}, line {line}", source.message(), path.display())]
    ConfigSyntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's reason.
        source: Box<toml::de::Error>,
    },
    /// A key that nobody knows.
    #[error("unknown key `{key}`\n  {origin}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key it most resembles.
        similar: Option<String>,
        /// Where it stands.
        origin: Origin,
    },
    /// A key that upstream has and matryo has not.
    #[error("`{key} = {value}` is not supported: {reason}\n  {origin}")]
    RefusedKey {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// Why it is not here.
        reason: &'static str,
        /// Where it stands.
        origin: Origin,
    },
    /// A value of the wrong type or out of range.
    #[error("`{key}` is {found}, expected {expected}\n  {origin}")]
    ConfigValue {
        /// The key.
        key: &'static str,
        /// The value as given.
        found: String,
        /// What it should be.
        expected: String,
        /// Where it stands.
        origin: Origin,
    },
    /// A key that every run needs is not there.
    #[error("`{key}` is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key that asks for another one.
    #[error("`{key}` needs `{other}`")]
    Needs {
        /// The key that was set.
        key: &'static str,
        /// The key that it needs.
        other: &'static str,
    },
    /// `matryoshka_weights` does not go with `matryoshka_dims`.
    #[error("`matryoshka_weights` has {weights} entries, expected {dims}, one for each of `matryoshka_dims`")]
    WeightCount {
        /// Number of dimensions.
        dims: usize,
        /// Number of weights.
        weights: usize,
    },
    /// The best checkpoint cannot be known when evaluations and checkpoints fall apart.
    #[error("`save_strategy` is `{save}`, expected `{eval}` as `eval_strategy`, since `load_best_model_at_end` is set")]
    StrategyMismatch {
        /// When to evaluate.
        eval: Strategy,
        /// When to save.
        save: Strategy,
    },
    /// The same for step counts.
    #[error(
        "`save_steps` is {save}, expected a multiple of `eval_steps` = {eval}, since `load_best_model_at_end` is set"
    )]
    SaveStepsNoMultiple {
        /// Steps between evaluations.
        eval: f64,
        /// Steps between checkpoints.
        save: f64,
    },
    /// A schedule that would rise instead of fall.
    #[error("`learning_rate` is {learning_rate:e}, expected more than {end:e}, at which the polynomial schedule ends")]
    BelowEnd {
        /// The highest rate.
        learning_rate: f64,
        /// The last one.
        end: f64,
    },
    /// The model card could not be made.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The model could not be opened, run or saved.
    #[error(transparent)]
    Model(#[from] matryo_model::ModelError),
    /// The evaluation failed.
    #[error(transparent)]
    Eval(#[from] matryo_eval::EvalError),
}

impl TrainError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { similar, .. } => similar.as_ref().map(|key| format!("did you mean `{key}`?")),
            Self::MissingKey { key } => Some(format!("set it in the file, or with --{key}")),
            Self::Needs { key: "load_best_model_at_end", other: "metric_for_best_model" } => Some(
                "upstream would rank by the loss on an evaluation set; matryo ranks by a metric, as \
                 `metric_for_best_model = \"dim_128_cosine_ndcg@10\"`"
                    .into(),
            ),
            Self::Card(error) => error.hint(),
            Self::Model(error) => error.hint(),
            _ => None,
        }
    }
}
