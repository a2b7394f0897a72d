//! Settings against each other: what contradicts itself is found before anything is read.

use matryo_ops::Precision;

use super::{LrScheduler, PrecisionWord, Strategy, TrainConfig};
use crate::{TrainError, schedule::POLYNOMIAL_END};

impl TrainConfig {
    pub(super) fn check_coherence(&self) -> Result<(), TrainError> {
        self.check_evaluation()?;
        self.check_matryoshka()?;
        self.check_schedule()?;
        if self.load_best_model_at_end {
            self.check_best()
        } else {
            Ok(())
        }
    }

    /// `bf16` and `precision` say one thing.
    pub(super) fn join_precisions(&mut self) -> Result<(), TrainError> {
        match self.precision {
            Some(precision) if self.bf16 && precision != PrecisionWord::Bf16 => {
                let precision = Precision::from(precision).name();
                Err(TrainError::TwoPrecisions { precision })
            }
            None if self.bf16 => {
                self.precision = Some(PrecisionWord::Bf16);
                Ok(())
            }
            _ => {
                self.bf16 = self.precision == Some(PrecisionWord::Bf16);
                Ok(())
            }
        }
    }

    /// Whether anything is evaluated at all.
    pub fn evaluates(&self) -> bool {
        self.eval_strategy != Strategy::No || self.eval_on_start
    }

    /// Steps from one evaluation to the next, or a share of all below 1; transformers falls back on `logging_steps`.
    pub fn eval_interval(&self) -> f64 {
        self.eval_steps.unwrap_or(self.logging_steps)
    }

    /// The key of the metric that ranks checkpoints, without `eval_`.
    pub fn best_metric_key(&self) -> Option<&str> {
        let key = self.metric_for_best_model.as_deref()?;
        Some(key.strip_prefix("eval_").unwrap_or(key))
    }

    /// Whether a greater value of that metric is better: unless said otherwise, yes, except for a loss.
    pub fn greater_is_better(&self) -> bool {
        let is_loss = self
            .metric_for_best_model
            .as_deref()
            .is_some_and(|key| key.ends_with("loss"));
        self.greater_is_better.unwrap_or(!is_loss)
    }

    fn check_evaluation(&self) -> Result<(), TrainError> {
        if self.evaluates() && self.eval_data.is_none() {
            let key = if self.eval_on_start {
                "eval_on_start"
            } else {
                "eval_strategy"
            };
            return Err(TrainError::Needs {
                key,
                other: "eval_data",
            });
        }
        Ok(())
    }

    fn check_matryoshka(&self) -> Result<(), TrainError> {
        let Some(dims) = &self.matryoshka_dims else {
            return match &self.matryoshka_weights {
                Some(_) => Err(TrainError::Needs {
                    key: "matryoshka_weights",
                    other: "matryoshka_dims",
                }),
                None if self.loss == "MatryoshkaLoss" => Err(TrainError::Needs {
                    key: "loss",
                    other: "matryoshka_dims",
                }),
                None => Ok(()),
            };
        };
        match &self.matryoshka_weights {
            Some(weights) if weights.len() != dims.len() => Err(TrainError::WeightCount {
                dims: dims.len(),
                weights: weights.len(),
            }),
            _ => Ok(()),
        }
    }

    fn check_schedule(&self) -> Result<(), TrainError> {
        let peak = self.learning_rate;
        match self.lr_scheduler_type {
            LrScheduler::Polynomial if peak <= POLYNOMIAL_END => Err(TrainError::BelowEnd {
                learning_rate: peak,
                end: POLYNOMIAL_END,
            }),
            _ => Ok(()),
        }
    }

    /// The rules of transformers: evaluations and checkpoints must fall together.
    fn check_best(&self) -> Result<(), TrainError> {
        if self.metric_for_best_model.is_none() {
            return Err(TrainError::Needs {
                key: "load_best_model_at_end",
                other: "metric_for_best_model",
            });
        }
        if self.eval_strategy == Strategy::No {
            return Err(TrainError::Needs {
                key: "load_best_model_at_end",
                other: "eval_strategy",
            });
        }
        if self.eval_strategy != self.save_strategy {
            return Err(TrainError::StrategyMismatch {
                eval: self.eval_strategy,
                save: self.save_strategy,
            });
        }
        if self.eval_strategy == Strategy::Steps
            && !is_multiple(self.save_steps, self.eval_interval())
        {
            return Err(TrainError::SaveStepsNoMultiple {
                eval: self.eval_interval(),
                save: self.save_steps,
            });
        }
        Ok(())
    }
}

/// Shares are compared in millionths, as transformers does, and never with numbers of steps.
fn is_multiple(save: f64, eval: f64) -> bool {
    const MILLION: f64 = 1e6;
    match (save < 1.0, eval < 1.0) {
        (true, true) => ((save * MILLION).round() as u64)
            .is_multiple_of((eval * MILLION).round().max(1.0) as u64),
        (false, false) => save % eval == 0.0,
        _ => false,
    }
}
