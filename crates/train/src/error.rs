//! What can go wrong with a training run: settings, data, the model, the disk.

use std::path::PathBuf;

use matryo_base::FileError;

use crate::{
    card::CardError,
    config::{Origin, Strategy},
};

/// Everything that configuring or running a training can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file or folder could not be read, written or deleted.
    #[error(transparent)]
    File(#[from] FileError),
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
    /// `bf16` and `precision` contradict each other.
    #[error("`bf16 = true` and `precision = \"{precision}\"` contradict each other")]
    TwoPrecisions {
        /// What `precision` says.
        precision: &'static str,
    },
    /// `matryoshka_weights` does not go with `matryoshka_dims`.
    #[error(
        "`matryoshka_weights` has {weights} entries, expected {dims}, one for each of `matryoshka_dims`"
    )]
    WeightCount {
        /// Number of dimensions.
        dims: usize,
        /// Number of weights.
        weights: usize,
    },
    /// The best checkpoint cannot be known when evaluations and checkpoints fall apart.
    #[error(
        "`save_strategy` is `{save}`, expected `{eval}` as `eval_strategy`, since `load_best_model_at_end` is set"
    )]
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
    #[error(
        "`learning_rate` is {learning_rate:e}, expected more than {end:e}, at which the polynomial schedule ends"
    )]
    BelowEnd {
        /// The highest rate.
        learning_rate: f64,
        /// The last one.
        end: f64,
    },
    /// The record of a checkpoint is damaged.
    #[error("not the state of a training run: {source}\n  in {}", path.display())]
    CheckpointState {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A checkpoint of another version of matryo.
    #[error("the checkpoint has format {found}, expected {expected}\n  in {}", path.display())]
    CheckpointFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
        /// The format that is understood.
        expected: u32,
    },
    /// A checkpoint of another run.
    #[error("{what} was {found}, now it is {expected}\n  in {}", checkpoint.display())]
    OtherRun {
        /// What differs.
        what: String,
        /// Its value in the checkpoint.
        found: String,
        /// Its value now.
        expected: String,
        /// The checkpoint.
        checkpoint: PathBuf,
    },
    /// The output folder holds something already.
    #[error("the output folder is not empty\n  in {}", path.display())]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The data has too few or too many columns for the loss.
    #[error("the data has {} ({}), but {loss} takes {expected}\n  in {}", columns_found(found.len()), found.join(", "), path.display())]
    ColumnCount {
        /// The data file.
        path: PathBuf,
        /// The loss.
        loss: &'static str,
        /// The columns there.
        found: Vec<String>,
        /// How many it takes.
        expected: String,
    },
    /// The loss compares with labels, and the data has none.
    #[error("{loss} needs a label for each row, found only {}\n  in {}", found.join(", "), path.display())]
    NoLabels {
        /// The data file.
        path: PathBuf,
        /// The loss.
        loss: &'static str,
        /// The columns of texts there.
        found: Vec<String>,
    },
    /// A prompt or a route for a column that the data does not have.
    #[error("`{key}` names column `{column}`, found {}", columns.join(", "))]
    NamedColumn {
        /// The setting.
        key: &'static str,
        /// The column in it.
        column: String,
        /// The columns of the data.
        columns: Vec<String>,
    },
    /// A model with routes, and nothing says which column takes which.
    #[error("the model has the routes {}, and `router_mapping` does not say which column takes which", routes.join(" and "))]
    NoRouterMapping {
        /// The routes.
        routes: Vec<String>,
        /// The columns of the data.
        columns: Vec<String>,
    },
    /// A pattern for learning rates that is no regular expression.
    #[error(
        "`learning_rate_mapping` has the pattern `{pattern}`, which is not understood: {source}"
    )]
    RatePattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// A pattern for learning rates that matches nothing.
    #[error(
        "`learning_rate_mapping` has the pattern `{pattern}`, which no parameter's name matches"
    )]
    UnmatchedRate {
        /// The pattern.
        pattern: String,
        /// The names most like it.
        nearest: Vec<String>,
    },
    /// Fewer rows than a batch, and the incomplete batch is dropped.
    #[error(
        "no batch is left: {rows} rows do not fill one of {batch}, and `dataloader_drop_last` is set"
    )]
    NoBatches {
        /// Rows of the data.
        rows: usize,
        /// Rows of a batch.
        batch: usize,
    },
    /// No such metric.
    #[error("`metric_for_best_model` is `{metric}`, which no evaluation gives")]
    UnknownMetric {
        /// The metric asked for.
        metric: String,
        /// The metrics there will be.
        available: Vec<String>,
    },
    /// Training diverged.
    #[error(
        "the gradient of optimizer step {step} is not finite (loss {loss}); training has diverged"
    )]
    NotFinite {
        /// The step that was not taken.
        step: u64,
        /// Its loss.
        loss: f64,
    },
    /// The observer asked to stop.
    #[error("stopped after optimizer step {step}")]
    Stopped {
        /// Steps done.
        step: u64,
    },
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] matryo_data::DataError),
    /// The loss cannot be made of its settings, or does not fit the model.
    #[error(transparent)]
    Loss(#[from] matryo_losses::LossError),
    /// The model card could not be made.
    #[error(transparent)]
    Card(Box<CardError>),
    /// The model could not be opened, run or saved.
    #[error(transparent)]
    Model(Box<matryo_model::ModelError>),
    /// The evaluation failed.
    #[error(transparent)]
    Eval(Box<matryo_eval::EvalError>),
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
            Self::OutputNotEmpty { .. } => Some(
                "choose another `output_dir`, go on from its last checkpoint with --resume_from_checkpoint true, or set \
                 --overwrite_output_dir true"
                    .into(),
            ),
            Self::OtherRun { .. } => {
                Some("a run goes on only with the settings it began with; start a new one in another `output_dir`".into())
            }
            Self::UnknownMetric { available, .. } => Some(format!("there will be {}", available.join(", "))),
            Self::NoLabels { .. } => Some(
                "a column of numbers called label, labels, score or scores holds them; `columns`, if set, must name it too".into(),
            ),
            Self::ColumnCount { .. } => Some("choose with `columns`, or leave some out with `ignore_columns`".into()),
            Self::NotFinite { .. } => {
                Some("lower `learning_rate`, or raise `warmup_ratio`; the checkpoints before are still there".into())
            }
            Self::Stopped { .. } => Some("go on with --resume_from_checkpoint true".into()),
            Self::File(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Loss(error) => error.hint(),
            Self::Eval(error) => error.hint(),
            Self::Card(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::RatePattern { .. } => {
                Some("a pattern is a regular expression as of Python's `re`, but for look-around and references to groups".into())
            }
            Self::UnmatchedRate { nearest, .. } => Some(format!("the nearest names are {}", nearest.join(", "))),
            Self::NoRouterMapping { routes, columns } => {
                let pairs = columns.iter().zip(routes.iter().cycle());
                let pairs: Vec<String> = pairs.map(|(c, r)| format!("{c} = \"{r}\"")).collect();
                Some(format!("for example router_mapping = {{ {} }}", pairs.join(", ")))
            }
            _ => None,
        }
    }
}

fn columns_found(count: usize) -> String {
    if count == 1 {
        "1 column".into()
    } else {
        format!("{count} columns")
    }
}

// Boxed, since `Result`s of every step would otherwise carry their size.
impl From<CardError> for TrainError {
    fn from(error: CardError) -> Self {
        Self::Card(Box::new(error))
    }
}

impl From<matryo_model::ModelError> for TrainError {
    fn from(error: matryo_model::ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}

impl From<matryo_eval::EvalError> for TrainError {
    fn from(error: matryo_eval::EvalError) -> Self {
        Self::Eval(Box::new(error))
    }
}
