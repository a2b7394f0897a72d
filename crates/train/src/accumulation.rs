//! Which micro-batches make an optimizer step, and how their losses are scaled: the rules of transformers' trainer in the
//! two versions that `compat` names.

use crate::config::{Compat, TrainConfig};

/// The step rules of a run. "Micro-batch" is upstream's word for one batch of the loader, the loss's full batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accumulation {
    /// Whose rules.
    pub compat: Compat,
    /// Micro-batches an epoch as the loader counts them; the sampler may make more.
    pub loader_len: u64,
    /// Micro-batches to a step.
    pub accumulate: u64,
}

/// Length of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Optimizer steps.
    pub steps: u64,
    /// Epochs that are begun at most.
    pub epochs: u64,
}

impl Accumulation {
    /// The rules for `rows` rows.
    pub fn new(config: &TrainConfig, rows: usize) -> Self {
        let (rows, batch) = (rows as u64, config.per_device_train_batch_size as u64);
        // The loader counts rows over batch size whatever the sampler makes of them.
        let loader_len = if config.dataloader_drop_last {
            rows / batch
        } else {
            rows.div_ceil(batch)
        };
        Self {
            compat: config.compat,
            loader_len,
            accumulate: config.gradient_accumulation_steps,
        }
    }

    /// Optimizer steps an epoch, as the trainer counts them for the length of the run and the schedule.
    pub fn steps_per_epoch(&self) -> u64 {
        match self.compat {
            Compat::Current => self.loader_len.div_ceil(self.accumulate),
            Compat::V3_0 => (self.loader_len / self.accumulate).max(1),
        }
    }

    /// The length of the run: `max_steps` if it is above 0, else so many epochs.
    pub fn length(&self, num_train_epochs: f64, max_steps: i64) -> Length {
        let per_epoch = self.steps_per_epoch();
        match u64::try_from(max_steps) {
            Ok(steps) if steps > 0 => Length {
                steps,
                epochs: steps.div_ceil(per_epoch.max(1)),
            },
            _ => Length {
                steps: (num_train_epochs * per_epoch as f64).ceil() as u64,
                epochs: num_train_epochs.ceil() as u64,
            },
        }
    }

    /// How many of the `made` micro-batches that the sampler made for an epoch are trained on.
    pub fn trained(&self, made: usize) -> usize {
        match self.compat {
            Compat::Current => made.min(usize::try_from(self.loader_len).unwrap_or(usize::MAX)),
            Compat::V3_0 => made,
        }
    }

    /// Whether a step follows micro-batch `index` (from 0) of an epoch, which is number `total` (from 1) of the run.
    pub fn is_step(&self, index: u64, total: u64) -> bool {
        let is_last = index + 1 == self.loader_len;
        match self.compat {
            Compat::Current => (index + 1).is_multiple_of(self.accumulate) || is_last,
            Compat::V3_0 => {
                total.is_multiple_of(self.accumulate)
                    || (self.loader_len <= self.accumulate && is_last)
            }
        }
    }

    /// What the loss of micro-batch `index` of an epoch with `trained` micro-batches is divided by.
    pub fn divisor(&self, index: u64, trained: u64) -> u64 {
        match self.compat {
            Compat::Current => {
                let start = index - index % self.accumulate;
                trained.min(start + self.accumulate) - start
            }
            Compat::V3_0 => self.accumulate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(compat: Compat, loader_len: u64, accumulate: u64) -> Accumulation {
        Accumulation {
            compat,
            loader_len,
            accumulate,
        }
    }

    /// Micro-batches of the run after which a step is taken, and the divisor of each micro-batch.
    fn simulate(
        rules: Accumulation,
        made: usize,
        epochs: f64,
        max_steps: i64,
    ) -> (Vec<u64>, Vec<u64>) {
        let length = rules.length(epochs, max_steps);
        let (mut steps, mut divisors) = (Vec::new(), Vec::new());
        for _ in 0..length.epochs {
            let trained = rules.trained(made) as u64;
            for index in 0..trained {
                divisors.push(rules.divisor(index, trained));
                let total = divisors.len() as u64;
                if rules.is_step(index, total) {
                    steps.push(total);
                }
                if steps.len() as u64 == length.steps {
                    return (steps, divisors);
                }
            }
        }
        (steps, divisors)
    }

    /// Step positions seen in runs of sentence-transformers 5.7 and 3.0.1.
    #[test]
    fn steps_fall_where_upstream_takes_them() {
        let cases: [(Accumulation, usize, &[u64]); 6] = [
            (rules(Compat::Current, 7, 16), 7, &[7, 14, 21, 28]),
            (rules(Compat::V3_0, 7, 16), 7, &[7, 14, 16, 21]),
            (rules(Compat::V3_0, 7, 16), 10, &[7, 16, 17, 27]),
            (rules(Compat::Current, 7, 16), 10, &[7, 14, 21, 28]),
            (
                rules(Compat::Current, 7, 2),
                7,
                &[2, 4, 6, 7, 9, 11, 13, 14, 16, 18, 20, 21, 23, 25, 27, 28],
            ),
            (
                rules(Compat::V3_0, 7, 2),
                7,
                &[2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24],
            ),
        ];
        for (rules, made, steps) in cases {
            assert_eq!(simulate(rules, made, 4.0, -1).0, steps, "{rules:?}");
        }
    }

    #[test]
    fn losses_are_divided_as_upstream_does() {
        let divisors = |rules, made| simulate(rules, made, 1.0, -1).1;
        assert_eq!(divisors(rules(Compat::Current, 7, 16), 7), [7; 7]);
        assert_eq!(
            divisors(rules(Compat::Current, 7, 2), 7),
            [2, 2, 2, 2, 2, 2, 1]
        );
        assert_eq!(divisors(rules(Compat::Current, 7, 4), 5), [4, 4, 4, 4, 1]);
        assert_eq!(divisors(rules(Compat::V3_0, 7, 16), 7), [16; 7]);
        assert_eq!(divisors(rules(Compat::V3_0, 7, 2), 7), [2; 6]);
    }

    #[test]
    fn lengths_follow_epochs_or_steps() {
        let current = rules(Compat::Current, 7, 2);
        assert_eq!(
            current.length(2.5, -1),
            Length {
                steps: 10,
                epochs: 3
            }
        );
        assert_eq!(
            current.length(2.5, 5),
            Length {
                steps: 5,
                epochs: 2
            }
        );
        assert_eq!(
            rules(Compat::V3_0, 7, 2).length(4.0, -1),
            Length {
                steps: 12,
                epochs: 4
            }
        );
        assert_eq!(
            rules(Compat::V3_0, 7, 16).length(4.0, 0),
            Length {
                steps: 4,
                epochs: 4
            }
        );
    }
}
