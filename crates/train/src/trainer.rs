//! A run before it starts: model, data, loss and evaluation opened, checked against each other, and planned.

use std::path::{Path, PathBuf};

use matryo_base::FileError;
use matryo_data::{
    BatchSampler, ColumnTokens, Columns, Dataset, Findings, NoDuplicates, RetrievalData, Rows,
    Sampler, TokenCount, check, column_tokens,
};
use matryo_losses::Loss;
use matryo_model::{
    HubOptions, HubProgress, ModelError, ModelFolder, Pipeline, PromptChoice, SentenceEncoder,
    Trainable, resolve,
};
use matryo_ops::cpu_in;

use crate::{
    TrainError, TrainOutcome,
    accumulation::{Accumulation, Length},
    by_column::{check_columns, check_routes, missing_prompts},
    checkpoint::{self, ResumePoint},
    config::{Compat, Resume, SamplerKind, TrainConfig},
    events::{Observer, RunPlan},
    identity::Identity,
    intervals::Intervals,
    measure::Measure,
    memory::{self, MemoryPlan},
    objective,
    rates::RateGroups,
    run::Run,
    schedule::Schedule,
    texts::TextStore,
    warnings::{Subject, warnings},
    weights,
};

/// Rows whose tokens are counted before training. More cost time and change the share of cut texts little.
const ROWS_COUNTED: usize = 10_000;

/// Bytes of token ids that are kept from epoch to epoch and from one evaluation to the next. Texts beyond are tokenized again.
const TOKEN_ROOM: usize = 256 << 20;

/// A training run, ready to go.
pub struct Trainer {
    pub(crate) config: TrainConfig,
    pub(crate) model_path: PathBuf,
    pub(crate) model: SentenceEncoder<Trainable>,
    pub(crate) data: Dataset,
    pub(crate) loss: Box<dyn Loss>,
    pub(crate) measure: Option<Measure>,
    pub(crate) sampler: Box<dyn Sampler>,
    pub(crate) rules: Accumulation,
    pub(crate) length: Length,
    pub(crate) schedule: Schedule,
    pub(crate) rates: RateGroups,
    pub(crate) intervals: Intervals,
    pub(crate) identity: Identity,
    pub(crate) tokens: Vec<ColumnTokens>,
    pub(crate) texts: TextStore,
    pub(crate) memory: MemoryPlan,
    pub(crate) resume: Option<ResumePoint>,
    pub(crate) warnings: Vec<String>,
}

impl Trainer {
    /// Opens and checks everything; nothing is written yet.
    ///
    /// # Errors
    /// Whatever would stop the run later and can be known now: folders, data, columns, dimensions, metrics, the
    /// checkpoint to go on from.
    pub fn new(config: TrainConfig) -> Result<Self, TrainError> {
        Self::with_progress(config, &())
    }

    /// As [`Trainer::new`]; `progress` hears of a download of the base model.
    pub fn with_progress(
        config: TrainConfig,
        progress: &dyn HubProgress,
    ) -> Result<Self, TrainError> {
        check_output(&config)?;
        let data = open_data(&config)?;
        Self::with_data(config, data, progress)
    }

    /// As [`Trainer::with_progress`], on rows that are in memory already; `train_data` is not read.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_data(
        config: TrainConfig,
        data: Dataset,
        progress: &dyn HubProgress,
    ) -> Result<Self, TrainError> {
        check_output(&config)?;
        check_columns(&config, &data)?;
        let retrieval = config.eval_data.as_deref().map(RetrievalData::open);
        let retrieval = retrieval.transpose()?;
        let batch = config.per_device_train_batch_size;
        let findings = check(&data, retrieval.as_ref(), batch);
        let (model_path, model) = open_model(&config, progress)?;
        check_routes(&config, &data, &model)?;
        let dim = model.network().dim();
        let loss = objective::build(&config)?;
        objective::check(&*loss, &data, dim)?;
        let measure = config.eval_data.clone().zip(retrieval);
        let measure = measure
            .map(|(path, data)| Measure::new(&config, path, data, dim))
            .transpose()?;
        let rules = plan_steps(&config, &data)?;
        let length = rules.length(config.num_train_epochs, config.max_steps);
        let weights = weights::hash_of(model.folder())?;
        let identity = Identity::new(&config, weights, data.fingerprint());
        let layout = &model.network().params().layout;
        let mapping = config.learning_rate_mapping.as_ref();
        let rates = RateGroups::new(config.learning_rate, mapping, layout)?;
        let mut trainer = Self {
            rates,
            schedule: Schedule::new(&config, length.steps),
            intervals: Intervals::new(&config, length.steps),
            sampler: sampler(&config),
            tokens: count_tokens(&config, &data, &model)?,
            texts: TextStore::new(&model, &data, &config)?,
            memory: MemoryPlan::default(),
            resume: None,
            warnings: Vec::new(),
            config,
            model_path,
            model,
            data,
            loss,
            measure,
            rules,
            length,
            identity,
        };
        let first_epoch = trainer.sampler.epoch(&trainer.data, 0);
        trainer.warnings = trainer.look_over(&findings, &first_epoch);
        trainer.memory = trainer.plan_memory(&first_epoch)?;
        trainer.find_resume_point()?;
        Ok(trainer)
    }

    /// Of the batches of the first epoch as far as this run trains on them.
    fn plan_memory(&mut self, first_epoch: &[Vec<u32>]) -> Result<MemoryPlan, TrainError> {
        let trained = self.rules.trained(first_epoch.len());
        let of_steps = usize::try_from(self.length.steps.saturating_mul(self.rules.accumulate))
            .unwrap_or(usize::MAX);
        let subject = memory::Subject {
            config: &self.config,
            model: &self.model,
            data: &self.data,
            loss: &*self.loss,
            measure: self.measure.as_ref(),
            batches: &first_epoch[..trained.min(of_steps)],
        };
        memory::plan(&subject, &mut self.texts)
    }

    fn look_over(&self, findings: &Findings, first_epoch: &[Vec<u32>]) -> Vec<String> {
        let mut texts = warnings(&Subject {
            config: &self.config,
            data: &self.data,
            labelled: self.loss.needs().labels,
            findings,
            tokens: &self.tokens,
            limits: self.limits(),
            rules: &self.rules,
            length: self.length,
            schedule: &self.schedule,
            first_epoch,
            queries: self.measure.as_ref().map(|measure| measure.queries),
        });
        texts.extend(objective::unused_labels(&*self.loss, &self.data));
        let expected = self.base().expected_prompts();
        texts.extend(missing_prompts(&self.config, &self.data, expected.as_ref()));
        texts
    }

    /// Tokens of the longest text of each column that is not cut.
    fn limits(&self) -> Vec<usize> {
        let pipeline = self.model.pipeline();
        let limit = |column: &ColumnTokens| {
            let route = route_of(&self.config, pipeline, &column.column);
            // Which was checked when the tokens were counted.
            route.map_or(0, |route| pipeline.max_seq_length_of(route))
        };
        self.tokens.iter().map(limit).collect()
    }

    /// Trains, evaluates, saves. What happens is told to `observer`.
    ///
    /// # Errors
    /// A full disk, a diverged training, a stop that the observer asked for. Checkpoints that were written stay.
    pub fn run(self, observer: &mut dyn Observer) -> Result<TrainOutcome, TrainError> {
        Run::new(self, observer)?.train()
    }

    /// What the small files of the base model say.
    pub fn base(&self) -> &ModelFolder {
        self.model.folder()
    }

    /// What is going to run.
    pub fn plan(&self) -> RunPlan {
        let network = self.model.network();
        let layout = &network.params().layout;
        RunPlan {
            config: self.config.clone(),
            model_path: self.model_path.clone(),
            dim: network.dim(),
            parameters: layout.len(),
            trainable: layout.grad_len(),
            max_seq_length: self.model.max_seq_length(),
            rows: self.data.len(),
            columns: self.data.columns().to_vec(),
            evaluation: self
                .measure
                .as_ref()
                .map(|measure| (measure.queries, measure.documents)),
            loss: self.loss.names(),
            dims: self
                .measure
                .as_ref()
                .map(|measure| measure.dims.clone())
                .unwrap_or_default(),
            batches_per_epoch: self.rules.loader_len,
            steps: self.length.steps,
            warmup_steps: self.schedule.warmup,
            precision: network.ops().describe_precision(),
            device: network.ops().describe(),
            threads: rayon::current_num_threads(),
            resumed_step: self.resume.as_ref().map(|point| point.progress.step),
            memory: self.memory,
            notes: self.notes(),
        }
    }

    /// Rows of the training data.
    pub(crate) fn rows(&self) -> usize {
        self.data.len()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.model.folder().notes.clone();
        if !self.config.without_effect.is_empty() {
            notes.push(format!(
                "settings without effect in matryo: {}",
                self.config.without_effect.join(", ")
            ));
        }
        notes
    }

    fn find_resume_point(&mut self) -> Result<(), TrainError> {
        let output_dir = &self.config.output_dir;
        let path = match &self.config.resume_from_checkpoint {
            Resume::Last(false) => return Ok(()),
            Resume::From(path) => Some(path.clone()),
            Resume::Last(true) => checkpoint::list(output_dir).pop().map(|(_, path)| path),
        };
        match path {
            Some(path) => self.resume = Some(ResumePoint::open(&path, &self.identity)?),
            None => self.warnings.push(format!(
                "no checkpoint in {} to go on from: training starts at the beginning",
                output_dir.display()
            )),
        }
        Ok(())
    }
}

/// An output folder with something in it is only used when that was asked for.
fn check_output(config: &TrainConfig) -> Result<(), TrainError> {
    let path = &config.output_dir;
    let is_used = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(FileError::new("write into", path)(error).into()),
        Ok(mut entries) => entries.next().is_some(),
    };
    let resumes = config.resume_from_checkpoint != Resume::Last(false);
    if is_used && !config.overwrite_output_dir && !resumes {
        return Err(TrainError::OutputNotEmpty { path: path.clone() });
    }
    Ok(())
}

fn open_data(config: &TrainConfig) -> Result<Dataset, TrainError> {
    let columns = Columns::Mapped {
        take: config.columns.clone().unwrap_or_default(),
        ignore: config.ignore_columns.clone(),
    };
    Ok(Dataset::open(&config.train_data, &columns)?)
}

fn open_model(
    config: &TrainConfig,
    progress: &dyn HubProgress,
) -> Result<(PathBuf, SentenceEncoder<Trainable>), ModelError> {
    let options = HubOptions {
        revision: config.model_revision.clone(),
        ..HubOptions::from_env()
    };
    let path = resolve(&config.model, &options, progress)?;
    let mut model = SentenceEncoder::open_for_training(
        &path,
        cpu_in(config.precision.map(Into::into)),
        &config.freeze,
    )?;
    if let Some(tokens) = config.max_seq_length {
        model.pipeline_mut().set_max_seq_length(tokens)?;
    }
    model.pipeline_mut().keep_tokens(TOKEN_ROOM);
    Ok((path, model))
}

fn plan_steps(config: &TrainConfig, data: &Dataset) -> Result<Accumulation, TrainError> {
    let rules = Accumulation::new(config, data.len());
    if rules.loader_len == 0 {
        return Err(TrainError::NoBatches {
            rows: data.len(),
            batch: config.per_device_train_batch_size,
        });
    }
    Ok(rules)
}

fn sampler(config: &TrainConfig) -> Box<dyn Sampler> {
    let (batch_size, drop_last) = (
        config.per_device_train_batch_size,
        config.dataloader_drop_last,
    );
    let compat = match config.compat {
        Compat::Current => matryo_data::Compat::Current,
        Compat::V3_0 => matryo_data::Compat::V3_0,
    };
    match config.batch_sampler {
        SamplerKind::NoDuplicates => Box::new(NoDuplicates {
            batch_size,
            drop_last,
            compat,
        }),
        SamplerKind::BatchSampler => Box::new(BatchSampler {
            batch_size,
            drop_last,
            seed: config.seed,
            data_seed: config.data_seed,
            compat,
        }),
    }
}

/// The route of a column's texts.
pub(crate) fn route_of(
    config: &TrainConfig,
    pipeline: &Pipeline,
    column: &str,
) -> Result<usize, ModelError> {
    pipeline.route_of(&PromptChoice {
        task: config.task_of(column),
        ..PromptChoice::default()
    })
}

/// Tokens of the first rows as the model sees them, without prompts.
fn count_tokens(
    config: &TrainConfig,
    data: &Dataset,
    model: &SentenceEncoder<Trainable>,
) -> Result<Vec<ColumnTokens>, ModelError> {
    let pipeline = model.pipeline();
    column_tokens(data, ROWS_COUNTED, |column, texts| {
        let route = route_of(config, pipeline, column)?;
        let limit = pipeline.max_seq_length_of(route);
        let tokens = pipeline.tokenizer_of(route).encode_batch(texts, limit)?;
        Ok(tokens
            .iter()
            .map(|t| TokenCount {
                tokens: t.ids.len(),
                truncated: t.truncated,
            })
            .collect())
    })
}

/// Whether `name` was found on the hub and not on this disk.
pub(crate) fn is_on_hub(name: &str) -> bool {
    !Path::new(name).is_dir()
}
