//! The training loop: micro-batches, optimizer steps, and what follows a step or an epoch.

use std::time::{Duration, Instant};

use matryo_base::FileError;
use matryo_model::{Grads, SaveOptions};
use serde_json::{Map, Value, json};

use crate::{
    TrainError, TrainOutcome, Trainer, card,
    checkpoint::{self, Contents},
    config::Compat,
    csv_rows,
    events::{BatchEvent, Event, Observer, StepEvent},
    finish,
    gradient::Gradient,
    intervals::Due,
    numbers::round,
    optimizer::{Optimizer, grad_norm},
    progress::Progress,
    record::{self, Facts, Final},
    seeds,
    trainer_state::TrainerState,
};

/// Where the evaluators' CSV files lie, in the output folder.
const EVAL_FOLDER: &str = "eval";

/// A run that has started.
pub(crate) struct Run<'a> {
    pub trainer: Trainer,
    pub facts: Facts,
    pub progress: Progress,
    pub observer: &'a mut dyn Observer,
    optimizer: Optimizer,
    grads: Grads,
    clock: Clock,
}

/// Time and tokens of this process.
struct Clock {
    /// Since when nothing was added to [`Progress::seconds`].
    mark: Instant,
    training: f64,
    tokens: usize,
    steps: u64,
}

impl<'a> Run<'a> {
    /// Puts everything in place, from a checkpoint or from the beginning, and makes the output folder.
    pub fn new(mut trainer: Trainer, observer: &'a mut dyn Observer) -> Result<Self, TrainError> {
        let facts = Facts::new(&trainer);
        let output_dir = trainer.config.output_dir.clone();
        std::fs::create_dir_all(&output_dir).map_err(FileError::new("write into", &output_dir))?;
        checkpoint::sweep(&output_dir)?;
        let params = trainer.model.network_mut().params_mut();
        let mut optimizer = Optimizer::new(&trainer.config, &params.layout, &trainer.rates);
        let mut grads = Grads::zeros(params.layout.clone());
        let mut progress = Progress::default();
        match &trainer.resume {
            Some(point) => {
                point.restore(params, &mut optimizer, &mut grads)?;
                progress = point.progress.clone();
            }
            // Nothing, or a folder that may be overwritten.
            None => checkpoint::list(&output_dir)
                .iter()
                .try_for_each(|(_, path)| checkpoint::remove(path))?,
        }
        csv_rows::keep(&output_dir.join(EVAL_FOLDER), progress.evaluations.len())?;
        let clock = Clock {
            mark: Instant::now(),
            training: 0.0,
            tokens: 0,
            steps: 0,
        };
        Ok(Self {
            trainer,
            facts,
            progress,
            observer,
            optimizer,
            grads,
            clock,
        })
    }

    /// The whole run.
    pub fn train(mut self) -> Result<TrainOutcome, TrainError> {
        self.observer.event(&Event::Plan(&self.trainer.plan()));
        for text in &self.trainer.warnings {
            self.observer.event(&Event::Warning { text });
        }
        self.clock.mark = Instant::now();
        if self.trainer.config.eval_on_start
            && self.progress.micro_batches == 0
            && self.progress.evaluations.is_empty()
        {
            self.evaluate()?;
        }
        let length = self.trainer.length;
        while self.progress.in_epoch
            || (self.progress.epoch < length.epochs && self.progress.step < length.steps)
        {
            self.epoch()?;
        }
        self.tick();
        finish::finish(self)
    }

    /// What is left of the current epoch.
    fn epoch(&mut self) -> Result<(), TrainError> {
        let batches = self
            .trainer
            .sampler
            .epoch(&self.trainer.data, self.progress.epoch);
        let batches = &batches[..self.trainer.rules.trained(batches.len())];
        self.progress.in_epoch = true;
        while self.progress.step < self.trainer.length.steps {
            let index = self.progress.batch;
            let Some(rows) = batches.get(index as usize) else {
                break;
            };
            self.micro_batch(rows, index, batches.len() as u64)?;
            if self
                .trainer
                .rules
                .is_step(index, self.progress.micro_batches)
            {
                self.optimizer_step()?;
                self.follow_up(self.trainer.intervals.after_step(self.progress.step))?;
                if self.observer.stop_requested() {
                    return Err(TrainError::Stopped {
                        step: self.progress.step,
                    });
                }
            }
        }
        self.progress.in_epoch = false;
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.follow_up(self.trainer.intervals.after_epoch())
    }

    fn micro_batch(&mut self, rows: &[u32], index: u64, trained: u64) -> Result<(), TrainError> {
        let trainer = &mut self.trainer;
        let batch = trainer
            .texts
            .batch(trainer.model.pipeline(), &trainer.data, rows)?;
        let gradient = Gradient::new(trainer.model.network(), &*trainer.loss, &trainer.config);
        let seed = seeds::of_batch(trainer.config.seed, self.progress.epoch, index);
        let scale = 1.0 / trainer.rules.divisor(index, trained) as f64;
        let loss = gradient.accumulate(&batch, seed, scale, &mut self.grads);
        let progress = &mut self.progress;
        progress.batch += 1;
        progress.micro_batches += 1;
        progress.open_batches += 1;
        progress.open_loss += loss * scale;
        progress.losses.add(loss * scale);
        self.clock.tokens += batch.tokens();
        let event = BatchEvent {
            epoch: progress.epoch,
            index,
            rows,
            loss,
            scaled_loss: loss * scale,
        };
        self.observer.event(&Event::Batch(&event));
        Ok(())
    }

    fn optimizer_step(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        let learning_rates = self.trainer.rates.at(&self.trainer.schedule, step);
        let network = self.trainer.model.network_mut();
        let ops = network.ops().clone();
        let norm = grad_norm(&*ops, &self.grads);
        let loss = std::mem::take(&mut self.progress.open_loss);
        if !norm.is_finite() {
            return Err(TrainError::NotFinite {
                step: self.progress.step + 1,
                loss,
            });
        }
        let params = network.params_mut();
        self.optimizer
            .step(&*ops, params, &self.grads, norm, &learning_rates);
        self.grads.clear();
        let progress = &mut self.progress;
        progress.open_batches = 0;
        progress.step += 1;
        progress.epochs_done =
            progress.epoch as f64 + progress.batch as f64 / self.trainer.rules.loader_len as f64;
        self.clock.steps += 1;
        self.tick();
        // That of the parameters without one of their own, as upstream logs it.
        self.tell_step(loss, learning_rates[0], norm);
        Ok(())
    }

    fn tell_step(&mut self, loss: f64, learning_rate: f64, grad_norm: f64) {
        let (progress, clock) = (&self.progress, &self.clock);
        let left = (self.trainer.length.steps - progress.step) as f64;
        let event = StepEvent {
            step: progress.step,
            total: self.trainer.length.steps,
            epoch: progress.epochs_done,
            micro_batches: progress.micro_batches,
            loss,
            learning_rate,
            grad_norm,
            tokens_per_second: clock.tokens as f64 / clock.training.max(f64::MIN_POSITIVE),
            remaining: Duration::try_from_secs_f64(left * clock.training / clock.steps as f64)
                .unwrap_or_default(),
        };
        self.observer.event(&Event::Step(&event));
        if self.trainer.intervals.after_step(progress.step).log {
            self.log_step(learning_rate, grad_norm);
        }
    }

    /// An entry of the log. 5.7 gives the rate of this step, 3.0 rounds the loss and gives the rate of the next step.
    fn log_step(&mut self, learning_rate: f64, grad_norm: f64) {
        let step = self.progress.step;
        let loss = self.progress.losses.take_mean(step);
        let (loss, learning_rate) = match self.trainer.config.compat {
            Compat::Current => (loss, learning_rate),
            Compat::V3_0 => (round(loss, 4), self.trainer.schedule.learning_rate(step)),
        };
        let entry = [
            ("loss", loss),
            ("grad_norm", grad_norm),
            ("learning_rate", learning_rate),
        ];
        self.log(entry.map(|(key, value)| (key.to_owned(), json!(value))));
    }

    /// Adds an entry to the log, with the epoch and the step.
    pub fn log(&mut self, entry: impl IntoIterator<Item = (String, Value)>) {
        let mut entry: Map<String, Value> = entry.into_iter().collect();
        entry.insert("epoch".to_owned(), json!(self.progress.epochs_done));
        entry.insert("step".to_owned(), json!(self.progress.step));
        self.progress.log.push(entry);
    }

    fn follow_up(&mut self, due: Due) -> Result<(), TrainError> {
        if due.evaluate {
            self.evaluate()?;
            self.rank();
        }
        if due.save { self.save() } else { Ok(()) }
    }

    /// Measures the model as it stands.
    fn evaluate(&mut self) -> Result<(), TrainError> {
        let Some(measure) = &self.trainer.measure else {
            return Ok(());
        };
        let start = Instant::now();
        self.clock.training += add_since(&mut self.clock.mark, &mut self.progress.seconds.training);
        let reports = measure.run(&self.trainer.model)?;
        let (epoch, step) = (self.progress.epochs_done, self.progress.step);
        let folder = self.trainer.config.output_dir.join(EVAL_FOLDER);
        reports
            .iter()
            .try_for_each(|report| matryo_eval::write_csv(&folder, report, epoch, step))?;
        add_since(&mut self.clock.mark, &mut self.progress.seconds.evaluation);
        let runtime = start.elapsed().as_secs_f64();
        let metrics = matryo_eval::flatten(&reports)
            .into_iter()
            .map(|(key, value)| (format!("eval_{key}"), json!(value)));
        let speeds = [
            ("eval_runtime", round(runtime, 4)),
            ("eval_samples_per_second", 0.0),
            ("eval_steps_per_second", 0.0),
        ];
        self.progress
            .evaluations
            .push(record::evaluation(epoch, step, &reports, measure));
        self.observer.event(&Event::Evaluated {
            step,
            epoch,
            reports: &reports,
        });
        self.log(metrics.chain(speeds.map(|(key, value)| (key.to_owned(), json!(value)))));
        Ok(())
    }

    /// Compares the evaluation that was just made with the best.
    fn rank(&mut self) {
        let config = &self.trainer.config;
        let key = config.best_metric_key().map(|key| format!("eval_{key}"));
        let value = key.and_then(|key| self.progress.log.last()?.get(&key)?.as_f64());
        if let Some(value) = value {
            self.progress
                .best
                .offer(value, self.progress.step, config.greater_is_better());
        }
    }

    /// Writes a checkpoint and deletes those that are too many.
    fn save(&mut self) -> Result<(), TrainError> {
        self.tick();
        let (config, best) = (&self.trainer.config, &mut self.progress.best);
        let exists = |step| {
            step == self.progress.step || checkpoint::path(&config.output_dir, step).is_dir()
        };
        best.checkpoint = best.step.filter(|&step| exists(step)).or(best.checkpoint);
        let step = self.progress.step;
        let card = card::render(
            &self
                .facts
                .card(config, &self.progress, step, Final::default()),
        )?;
        let contents = Contents {
            model: self.trainer.model.folder(),
            params: self.trainer.model.network().params(),
            options: SaveOptions {
                card: Some(&card),
                ..self.save_options()
            },
            optimizer: &self.optimizer,
            grads: &self.grads,
            identity: &self.trainer.identity,
            state: self.state(),
        };
        let path = checkpoint::write(&config.output_dir, &contents)?;
        if let Some(limit) = config.save_total_limit {
            checkpoint::rotate(&config.output_dir, limit, self.progress.best.checkpoint)?;
        }
        self.observer.event(&Event::Saved { path: &path });
        Ok(())
    }

    /// How the model is written.
    pub fn save_options(&self) -> SaveOptions<'_> {
        let config = &self.trainer.config;
        SaveOptions {
            layout: config.layout,
            max_seq_length: config.max_seq_length,
            // A training without such widths leaves no promise of an earlier one.
            matryoshka: Some(config.matryoshka_dims.as_deref().unwrap_or_default()),
            ..SaveOptions::default()
        }
    }

    /// The run as trainer_state.json has it.
    pub fn state(&self) -> TrainerState<'_> {
        let trainer = &self.trainer;
        TrainerState {
            config: &trainer.config,
            length: trainer.length,
            intervals: &trainer.intervals,
            progress: &self.progress,
            finished: self.progress.step >= trainer.length.steps,
        }
    }

    /// Books the time since the last call as training.
    fn tick(&mut self) {
        self.clock.training += add_since(&mut self.clock.mark, &mut self.progress.seconds.training);
    }
}

/// Adds the seconds since `mark` to `sum`, sets `mark` to now, and returns those seconds.
fn add_since(mark: &mut Instant, sum: &mut f64) -> f64 {
    let seconds = mark.elapsed().as_secs_f64();
    *sum += seconds;
    *mark = Instant::now();
    seconds
}
