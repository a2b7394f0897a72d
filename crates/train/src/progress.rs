//! Where a run stands: everything besides weights and moments that a later process needs to go on as if nothing happened.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::card::{Evaluation, ReportCard, Times};

/// The position and the books of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The epoch, from 0.
    pub epoch: u64,
    /// Micro-batches of the epoch that are done.
    pub batch: u64,
    /// Whether the epoch's end is still to come.
    pub in_epoch: bool,
    /// Micro-batches of the run that are done.
    pub micro_batches: u64,
    /// Optimizer steps done.
    pub step: u64,
    /// Epochs done, as of the last optimizer step: upstream moves it on with the steps.
    pub epochs_done: f64,
    /// Micro-batches whose gradients wait for the next step.
    pub open_batches: u64,
    /// Their scaled losses added up.
    pub open_loss: f64,
    /// Scaled losses for the log.
    pub losses: LossSums,
    /// The best evaluation.
    pub best: Best,
    /// Wall time of all processes that took part.
    pub seconds: Times,
    /// What was measured, in order of time; the base model at step 0.
    pub evaluations: Vec<Evaluation>,
    /// `log_history` of trainer_state.json.
    pub log: Vec<Map<String, Value>>,
}

impl Progress {
    /// Reports of the base model; empty if it was not evaluated.
    pub fn base_reports(&self) -> &[ReportCard] {
        let before = self
            .evaluations
            .first()
            .filter(|evaluation| evaluation.step == 0);
        before.map_or(&[], |evaluation| &evaluation.reports)
    }
}

/// Sums of the scaled losses of micro-batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossSums {
    /// Since the last entry of the log.
    pub since_log: f64,
    /// Before that.
    pub logged: f64,
    /// Optimizer steps done at that entry.
    pub logged_step: u64,
}

impl LossSums {
    pub fn add(&mut self, loss: f64) {
        self.since_log += loss;
    }

    /// The mean loss of a step since the last call.
    pub fn take_mean(&mut self, step: u64) -> f64 {
        let mean = self.since_log / (step - self.logged_step).max(1) as f64;
        self.logged += self.since_log;
        self.since_log = 0.0;
        self.logged_step = step;
        mean
    }

    /// The mean loss of a step of the whole run.
    pub fn mean(&self, steps: u64) -> f64 {
        (self.logged + self.since_log) / steps.max(1) as f64
    }
}

/// The best evaluation so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Value of the metric that ranks.
    pub value: Option<f64>,
    /// Optimizer step of that evaluation.
    pub step: Option<u64>,
    /// Optimizer step of the checkpoint that has those weights.
    pub checkpoint: Option<u64>,
}

impl Best {
    /// Takes note of an evaluation; only a strictly better one counts, so that of equal ones the first stays.
    pub fn offer(&mut self, value: f64, step: u64, greater_is_better: bool) {
        let better = match self.value {
            None => !value.is_nan(),
            Some(best) if greater_is_better => value > best,
            Some(best) => value < best,
        };
        if better {
            self.value = Some(value);
            self.step = Some(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_keeps_the_earlier() {
        let mut best = Best::default();
        for (step, value) in [(1, 0.5), (2, 0.7), (3, 0.7), (4, f64::NAN)] {
            best.offer(value, step, true);
        }
        assert_eq!((best.value, best.step), (Some(0.7), Some(2)));
        best.offer(0.1, 5, false);
        assert_eq!(best.step, Some(5));
    }

    #[test]
    fn losses_are_means_over_steps() {
        let mut losses = LossSums::default();
        for loss in [1.0, 2.0, 3.0] {
            losses.add(loss);
        }
        assert_eq!(losses.take_mean(2), 3.0);
        losses.add(4.0);
        assert_eq!(losses.take_mean(3), 4.0);
        losses.add(2.0);
        assert_eq!(losses.mean(4), 3.0);
    }
}
