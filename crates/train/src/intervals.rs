//! When a run logs, evaluates and saves: the default flow of transformers' trainer.

use crate::config::{Compat, Strategy, TrainConfig};

/// transformers shows this many steps where the setting does not apply.
const UNUSED: u64 = 500;

/// What is to be done now, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub log: bool,
    pub evaluate: bool,
    pub save: bool,
}

/// Intervals in optimizer steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals {
    pub logging: u64,
    pub eval: u64,
    pub save: u64,
    logging_first_step: bool,
    eval_strategy: Strategy,
    save_strategy: Strategy,
    compat: Compat,
    total: u64,
}

impl Intervals {
    /// The intervals of a run of `total` steps.
    pub fn new(config: &TrainConfig, total: u64) -> Self {
        let eval = if config.eval_strategy == Strategy::Steps {
            config.eval_interval()
        } else {
            UNUSED as f64
        };
        Self {
            logging: absolute(config.logging_steps, total),
            eval: absolute(config.eval_steps.unwrap_or(eval), total),
            save: absolute(config.save_steps, total),
            logging_first_step: config.logging_first_step,
            eval_strategy: config.eval_strategy,
            save_strategy: config.save_strategy,
            compat: config.compat,
            total,
        }
    }

    /// After optimizer step `step`, counted from 1. The last step is always saved, and with 5.7 always evaluated, if steps are
    /// what counts.
    pub fn after_step(&self, step: u64) -> Due {
        let is_last = step >= self.total;
        let evaluate_last = is_last && self.compat == Compat::Current;
        let evaluate = step.is_multiple_of(self.eval) || evaluate_last;
        let save = step.is_multiple_of(self.save) || is_last;
        Due {
            log: step.is_multiple_of(self.logging) || (step == 1 && self.logging_first_step),
            evaluate: self.eval_strategy == Strategy::Steps && evaluate,
            save: self.save_strategy == Strategy::Steps && save,
        }
    }

    /// After the last micro-batch of an epoch.
    pub fn after_epoch(&self) -> Due {
        Due {
            log: false,
            evaluate: self.eval_strategy == Strategy::Epoch,
            save: self.save_strategy == Strategy::Epoch,
        }
    }
}

/// A number of steps, or a share of `total` below 1.
fn absolute(steps: f64, total: u64) -> u64 {
    let steps = if steps < 1.0 {
        (total as f64 * steps).ceil()
    } else {
        steps
    };
    (steps as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(toml: &[(&str, &str)], total: u64) -> Intervals {
        let base = [
            ("model", "m"),
            ("train_data", "t"),
            ("output_dir", "o"),
            ("eval_data", "e"),
        ];
        let flags: Vec<_> = base
            .iter()
            .chain(toml)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Intervals::new(&TrainConfig::load(None, &flags).unwrap(), total)
    }

    fn steps(intervals: Intervals, test: impl Fn(Due) -> bool) -> Vec<u64> {
        (1..=intervals.total)
            .filter(|&step| test(intervals.after_step(step)))
            .collect()
    }

    #[test]
    fn steps_and_shares_of_steps() {
        let flow = intervals(
            &[
                ("eval_strategy", "steps"),
                ("eval_steps", "4"),
                ("logging_steps", "0.3"),
            ],
            10,
        );
        assert_eq!(steps(flow, |due| due.log), [3, 6, 9]);
        assert_eq!(steps(flow, |due| due.evaluate), [4, 8, 10]);
        assert_eq!(steps(flow, |due| due.save), [10]);
        assert_eq!(flow.after_epoch(), Due::default());
    }

    #[test]
    fn epochs_and_the_older_version() {
        let epochs = [
            ("eval_strategy", "epoch"),
            ("save_strategy", "epoch"),
            ("logging_first_step", "true"),
        ];
        let flow = intervals(&epochs, 10);
        assert_eq!(
            flow.after_epoch(),
            Due {
                log: false,
                evaluate: true,
                save: true
            }
        );
        assert_eq!(steps(flow, |due| due.log), [1]);
        assert_eq!(steps(flow, |due| due.evaluate || due.save), [] as [u64; 0]);
        let older = [
            ("eval_strategy", "steps"),
            ("logging_steps", "4"),
            ("compat", "3.0"),
        ];
        assert_eq!(steps(intervals(&older, 10), |due| due.evaluate), [4, 8]);
    }
}
