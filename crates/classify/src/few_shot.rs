//! The first half of SetFit: embeddings tuned on contrastive pairs, by the trainer of this program.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use matryo_base::write_atomic;
use matryo_data::Dataset;
use matryo_model::{ExpectedPrompts, HubProgress, ModelFolder, Precision};
use matryo_train::{Observer, TrainConfig, TrainError, Trainer, card};
use serde_json::{Map, Value, json};

use crate::{
    ClassifyError, Examples, PairOptions, SamplingStrategy, contrastive_pairs,
    pairs::{combinations, pair_count},
};

/// Beyond, the texts of the pairs would fill memory and the steps take days.
const MOST_PAIRS: usize = 10_000_000;
/// Beyond, the order of the combinations would fill memory: 4 bytes each, twice while they are shuffled.
const MOST_COMBINATIONS: usize = 200_000_000;

/// Settings of the tuning; names and defaults of setfit's TrainingArguments 1.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FewShotOptions {
    /// Passes over the pairs.
    pub num_epochs: f64,
    /// Pairs in a batch.
    pub batch_size: usize,
    /// Highest learning rate of the embeddings.
    pub body_learning_rate: f64,
    /// Share of the steps over which the learning rate rises from 0; it falls to 0 linearly after.
    pub warmup_proportion: f64,
    /// AdamW's weight decay.
    pub l2_weight: f64,
    /// How many pairs.
    pub sampling_strategy: SamplingStrategy,
    /// So many pairs of each kind for every text, whatever the strategy.
    pub num_iterations: Option<usize>,
    /// Optimizer steps instead of epochs.
    pub max_steps: Option<usize>,
}

impl Default for FewShotOptions {
    fn default() -> Self {
        Self {
            num_epochs: 1.0,
            batch_size: 16,
            body_learning_rate: 2e-5,
            warmup_proportion: 0.1,
            l2_weight: 0.01,
            sampling_strategy: SamplingStrategy::Oversampling,
            num_iterations: None,
            max_steps: None,
        }
    }
}

/// What was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairCounts {
    /// Pairs of one class.
    pub positive: usize,
    /// Pairs of two classes.
    pub negative: usize,
}

/// A tuning that is done.
pub(crate) struct Tuned {
    /// Optimizer steps.
    pub steps: u64,
    /// What was trained on.
    pub pairs: PairCounts,
    /// What the base model wants before its texts and no default prompt gives.
    pub expected_prompts: Option<ExpectedPrompts>,
}

/// What is tuned, and where the result goes.
pub(crate) struct Tuning<'a> {
    /// Folder or hub name of the base model.
    pub model: &'a str,
    pub revision: Option<&'a str>,
    pub precision: Option<Precision>,
    pub seed: u64,
    pub options: &'a FewShotOptions,
    /// The file of the examples, for the records of the run.
    pub data: &'a Path,
    /// A folder that is there and empty.
    pub folder: &'a Path,
}

impl FewShotOptions {
    fn pairs(&self) -> PairOptions {
        PairOptions {
            sampling_strategy: self.sampling_strategy,
            num_iterations: self.num_iterations,
            max_pairs: self.max_steps.map(|steps| steps * self.batch_size),
        }
    }

    /// Whether so many examples can be tuned on.
    pub(crate) fn check(&self, examples: &Examples) -> Result<(), ClassifyError> {
        let count = [
            (pair_count(&examples.labels, &self.pairs()), MOST_PAIRS),
            (combinations(examples.len()), MOST_COMBINATIONS),
        ];
        match count.into_iter().find(|(pairs, limit)| pairs > limit) {
            Some((pairs, limit)) => Err(ClassifyError::TooManyPairs {
                examples: examples.len(),
                pairs,
                limit,
            }),
            None => Ok(()),
        }
    }

    /// For the record beside the head.
    pub(crate) fn record(&self) -> Map<String, Value> {
        let entries = [
            ("num_epochs", json!(self.num_epochs)),
            ("batch_size", json!(self.batch_size)),
            ("body_learning_rate", json!(self.body_learning_rate)),
            ("warmup_proportion", json!(self.warmup_proportion)),
            ("l2_weight", json!(self.l2_weight)),
            ("sampling_strategy", json!(self.sampling_strategy.name())),
            ("num_iterations", json!(self.num_iterations)),
            ("max_steps", json!(self.max_steps)),
        ];
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

/// Tunes, and leaves a complete model in the folder.
pub(crate) fn tune(
    tuning: &Tuning<'_>,
    examples: &Examples,
    downloads: &dyn HubProgress,
    observer: &mut dyn Observer,
) -> Result<Tuned, ClassifyError> {
    tuning.options.check(examples)?;
    let pairs = contrastive_pairs(&examples.labels, &tuning.options.pairs());
    let positive = pairs.iter().filter(|pair| pair.positive).count();
    let counts = PairCounts {
        positive,
        negative: pairs.len() - positive,
    };
    let text = |row: u32| examples.texts[row as usize].clone();
    let columns = vec![
        pairs.iter().map(|p| text(p.first)).collect(),
        pairs.iter().map(|p| text(p.second)).collect(),
    ];
    let labels = pairs
        .iter()
        .map(|pair| f32::from(u8::from(pair.positive)))
        .collect();
    let names = ["sentence_1", "sentence_2"].map(str::to_owned).to_vec();
    let data = Dataset::from_columns(names, columns).with_labels("label".to_owned(), labels);
    let trainer = Trainer::with_data(config(tuning)?, data, downloads)?;
    let expected_prompts = unmet_prompts(trainer.base());
    let outcome = trainer.run(observer)?;
    leave_out_paths(tuning.folder)?;
    Ok(Tuned {
        steps: outcome.steps,
        pairs: counts,
        expected_prompts,
    })
}

/// What a model wants before texts without a role and its default prompt does not give.
pub(crate) fn unmet_prompts(folder: &ModelFolder) -> Option<ExpectedPrompts> {
    match folder.settings.default_prompt_name {
        Some(_) => None,
        None => folder.expected_prompts(),
    }
}

/// Takes out of the card what would mislead: the folder has a passing name, and the file holds the examples, not the pairs.
fn leave_out_paths(folder: &Path) -> Result<(), TrainError> {
    let Some(mut data) = card::load_record(folder)? else {
        return Ok(());
    };
    let settings = data
        .training
        .iter_mut()
        .flat_map(|training| &mut training.hyperparameters);
    settings
        .filter(|s| ["train_data", "output_dir"].contains(&s.name.as_str()))
        .for_each(|s| s.is_default = true);
    let text = card::render(&data)?;
    write_atomic(&folder.join("README.md"), |file| {
        file.write_all(text.as_bytes())
    })?;
    Ok(card::save_record(folder, &data)?)
}

/// The settings of the run, as `matryo train` would be given them.
fn config(tuning: &Tuning<'_>) -> Result<TrainConfig, TrainError> {
    let options = tuning.options;
    let max_steps = options
        .max_steps
        .map_or(-1, |steps| i64::try_from(steps).unwrap_or(i64::MAX));
    let mut keys = vec![
        ("model", tuning.model.to_owned()),
        ("train_data", tuning.data.display().to_string()),
        ("output_dir", tuning.folder.display().to_string()),
        ("loss", "CosineSimilarityLoss".to_owned()),
        ("num_train_epochs", options.num_epochs.to_string()),
        ("max_steps", max_steps.to_string()),
        (
            "per_device_train_batch_size",
            options.batch_size.to_string(),
        ),
        ("learning_rate", options.body_learning_rate.to_string()),
        ("warmup_ratio", options.warmup_proportion.to_string()),
        ("weight_decay", options.l2_weight.to_string()),
        ("save_strategy", "no".to_owned()),
        (
            "dataset_name",
            format!(
                "contrastive pairs of {}",
                tuning.data.file_name().unwrap_or_default().display()
            ),
        ),
        ("seed", tuning.seed.to_string()),
    ];
    keys.extend(
        tuning
            .revision
            .map(|revision| ("model_revision", revision.to_owned())),
    );
    keys.extend(
        tuning
            .precision
            .map(|precision| ("precision", precision.name().to_owned())),
    );
    let keys: Vec<(String, String)> = keys
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let config = TrainConfig::load(None, &keys)?;
    // A path need not be UTF-8.
    Ok(TrainConfig {
        train_data: PathBuf::from(tuning.data),
        output_dir: PathBuf::from(tuning.folder),
        ..config
    })
}
