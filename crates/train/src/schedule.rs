//! The learning rate over the optimizer steps; formulas and defaults of transformers' optimization.py.

use std::f64::consts::PI;

use crate::config::{LrScheduler, TrainConfig};

/// Rate at which the polynomial schedule ends.
pub(crate) const POLYNOMIAL_END: f64 = 1e-7;

/// A learning rate for every optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Its shape.
    pub kind: LrScheduler,
    /// The highest rate.
    pub peak: f64,
    /// Steps over which the rate rises from 0.
    pub warmup: u64,
    /// Steps of the whole run.
    pub total: u64,
}

impl Schedule {
    /// The schedule of a run of `total` optimizer steps.
    pub fn new(config: &TrainConfig, total: u64) -> Self {
        Self {
            kind: config.lr_scheduler_type,
            peak: config.learning_rate,
            warmup: warmup_steps(config.warmup_steps, config.warmup_ratio, total),
            total,
        }
    }

    /// The rate of the optimizer step after `done` others.
    pub fn learning_rate(&self, done: u64) -> f64 {
        if self.kind != LrScheduler::Constant && done < self.warmup {
            return self.peak * (done as f64 / self.warmup as f64);
        }
        match self.kind {
            LrScheduler::Constant | LrScheduler::ConstantWithWarmup => self.peak,
            LrScheduler::Linear => self.peak * (1.0 - self.progress(done)).max(0.0),
            LrScheduler::Cosine => self.peak * half_cosine(self.progress(done)),
            // One cycle, transformers' default: the rate falls once and restarts never.
            LrScheduler::CosineWithRestarts if self.progress(done) >= 1.0 => 0.0,
            LrScheduler::CosineWithRestarts => self.peak * half_cosine(self.progress(done)),
            LrScheduler::Polynomial => {
                let left = (1.0 - self.progress(done)).max(0.0);
                (self.peak - POLYNOMIAL_END) * left + POLYNOMIAL_END
            }
        }
    }

    /// As [`Schedule::learning_rate`], for parameters whose highest rate is `peak`: a share of it that is the same for all.
    pub fn learning_rate_from(&self, peak: f64, done: u64) -> f64 {
        match self.kind {
            // Upstream's share ends at a rate of the run's own.
            LrScheduler::Polynomial => peak * (self.learning_rate(done) / self.peak),
            _ => Self { peak, ..*self }.learning_rate(done),
        }
    }

    /// Share of the steps after the warm-up that are done.
    fn progress(&self, done: u64) -> f64 {
        let decay = self.total.saturating_sub(self.warmup).max(1);
        done.saturating_sub(self.warmup) as f64 / decay as f64
    }
}

fn half_cosine(progress: f64) -> f64 {
    (0.5 * (1.0 + (PI * progress).cos())).max(0.0)
}

/// A number of steps, or a share of `total` below 1. The number wins over the ratio, as in transformers.
fn warmup_steps(steps: f64, ratio: Option<f64>, total: u64) -> u64 {
    match (steps, ratio) {
        (steps, _) if steps >= 1.0 => steps as u64,
        (0.0, Some(ratio)) => (total as f64 * ratio).ceil() as u64,
        (share, _) => (total as f64 * share).ceil() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: LrScheduler, peak: f64, warmup: u64, total: u64) -> Vec<f64> {
        let schedule = Schedule {
            kind,
            peak,
            warmup,
            total,
        };
        (0..=total)
            .map(|done| schedule.learning_rate(done))
            .collect()
    }

    /// Values of `transformers.get_scheduler` 5.23 on an AdamW of that rate, read before every step and after the last.
    #[test]
    fn rates_are_those_of_transformers() {
        type Case = (LrScheduler, f64, u64, u64, Vec<f64>);
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../tests/golden/schedules.json")).unwrap();
        for (kind, peak, warmup, total, expected) in cases {
            let found = rates(kind, peak, warmup, total);
            assert_eq!(found.len(), expected.len());
            for (step, (a, b)) in found.iter().zip(expected).enumerate() {
                assert!(
                    (a - b).abs() <= 1e-15 * peak,
                    "{kind:?} {warmup}/{total} step {step}: {a} for {b}"
                );
            }
        }
    }

    /// `LambdaLR` multiplies the rate of each group of parameters by one factor.
    #[test]
    fn other_peaks_take_the_same_share() {
        for kind in [LrScheduler::Linear, LrScheduler::Polynomial] {
            let schedule = Schedule {
                kind,
                peak: 1e-3,
                warmup: 2,
                total: 9,
            };
            for done in 0..=9 {
                let share = schedule.learning_rate(done) / 1e-3;
                let found = schedule.learning_rate_from(4e-2, done);
                assert!((found - 4e-2 * share).abs() < 1e-17, "{kind:?} {done}");
            }
        }
    }

    #[test]
    fn the_published_recipe_starts_at_zero() {
        assert_eq!(rates(LrScheduler::Cosine, 2e-5, 1, 4)[..2], [0.0, 2e-5]);
        assert!((rates(LrScheduler::Cosine, 2e-5, 1, 4)[2] - 1.5e-5).abs() < 1e-20);
        assert!((rates(LrScheduler::Cosine, 2e-5, 1, 4)[3] - 5e-6).abs() < 1e-20);
    }

    #[test]
    fn warm_up_is_a_number_or_a_share() {
        assert_eq!(warmup_steps(0.0, Some(0.1), 63), 7);
        assert_eq!(warmup_steps(0.1, None, 4), 1);
        assert_eq!(warmup_steps(5.0, Some(0.1), 100), 5);
        assert_eq!(warmup_steps(0.0, None, 100), 0);
        assert_eq!(warmup_steps(1.0, None, 100), 1);
    }
}
