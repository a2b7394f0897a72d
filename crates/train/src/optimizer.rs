//! AdamW over the flat parameter buffer, with the gradient's norm and its clipping.

use std::ops::Range;

use matryo_model::{Grads, Layout, Params};
use matryo_ops::{AdamW, AlignedVec, Ops, Touched};

use crate::{config::TrainConfig, rates::RateGroups};

/// Added to the norm before dividing by it, as in `torch.nn.utils.clip_grad_norm_`.
const NORM_EPSILON: f64 = 1e-6;

/// AdamW's moments, and how often it was applied.
#[derive(Clone, Debug)]
pub struct Optimizer {
    settings: Settings,
    segments: Vec<Segment>,
    /// First moments, laid out as the gradients.
    m: AlignedVec,
    /// Second moments.
    v: AlignedVec,
    /// Where the gradients, and so the moments, were ever anything but 0.
    touched: Touched,
    /// Updates done.
    pub updates: u64,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    max_grad_norm: f64,
}

/// Neighbouring parameters that are updated alike, in one call.
#[derive(Clone, Debug, PartialEq)]
struct Segment {
    params: Range<usize>,
    grads: Range<usize>,
    decay: bool,
    /// Index of its learning rate.
    group: usize,
}

impl Optimizer {
    /// Zero moments for the trainable parameters of `layout`, whose learning rates are grouped by `rates`.
    pub fn new(config: &TrainConfig, layout: &Layout, rates: &RateGroups) -> Self {
        Self::with(Settings::new(config), layout, rates)
    }

    fn with(settings: Settings, layout: &Layout, rates: &RateGroups) -> Self {
        let [m, v] = [(); 2].map(|()| AlignedVec::zeros(layout.grad_len()));
        Self {
            settings,
            segments: segments(layout, rates),
            m,
            v,
            touched: Touched::none(layout.grad_len()),
            updates: 0,
        }
    }

    /// First and second moments, laid out as the gradients.
    pub fn moments(&self) -> [&[f32]; 2] {
        [&self.m, &self.v]
    }

    /// Lets `read` write both moments, which were 0, then marks the granules that are not.
    pub fn read_with<E>(
        &mut self,
        read: impl FnOnce([&mut [f32]; 2]) -> Result<(), E>,
    ) -> Result<(), E> {
        let result = read([&mut self.m, &mut self.v]);
        self.touched = Touched::of(&self.m);
        self.touched.merge(&Touched::of(&self.v));
        result
    }

    /// Updates `params`, each group at its rate of `learning_rates`; `norm` is the gradient's, before clipping.
    pub fn step(
        &mut self,
        ops: &dyn Ops,
        params: &mut Params,
        grads: &Grads,
        norm: f64,
        learning_rates: &[f64],
    ) {
        self.updates += 1;
        self.touched.merge(grads.touched());
        let grad_scale = clip_coefficient(norm, self.settings.max_grad_norm) as f32;
        for segment in &self.segments {
            let learning_rate = learning_rates[segment.group];
            let update = AdamW {
                grad_scale,
                ..self
                    .settings
                    .update(learning_rate, self.updates, segment.decay)
            };
            let range = segment.grads.clone();
            ops.adamw(
                &mut params.flat[segment.params.clone()],
                &grads.values()[range.clone()],
                &mut self.m[range.clone()],
                &mut self.v[range.clone()],
                self.touched.part(range),
                update,
            );
        }
    }
}

impl Settings {
    fn new(config: &TrainConfig) -> Self {
        Self {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            eps: config.adam_epsilon,
            weight_decay: config.weight_decay,
            max_grad_norm: config.max_grad_norm,
        }
    }

    /// The update number `step`, without clipping.
    fn update(self, learning_rate: f64, step: u64, decay: bool) -> AdamW {
        AdamW {
            lr: learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: if decay { self.weight_decay } else { 0.0 },
            step,
            grad_scale: 1.0,
        }
    }
}

/// Whether a run leaves alone the moments of rows that no text reads.
pub fn keeps_the_untouched(config: &TrainConfig) -> bool {
    let update = Settings::new(config).update(config.learning_rate, 1, true);
    update.keeps_the_untouched()
}

/// Global L2 norm of all gradients.
pub fn grad_norm(ops: &dyn Ops, grads: &Grads) -> f64 {
    ops.sum_squares(grads.values(), grads.touched().whole())
        .sqrt()
}

/// What every gradient is multiplied by so that their norm is at most `max_norm`; 0 means no limit.
fn clip_coefficient(norm: f64, max_norm: f64) -> f64 {
    if max_norm == 0.0 {
        1.0
    } else {
        (max_norm / (norm + NORM_EPSILON)).min(1.0)
    }
}

/// Joins neighbours in both buffers with the same decay and learning rate: few long calls instead of one a tensor.
fn segments(layout: &Layout, rates: &RateGroups) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (index, entry) in layout.entries.iter().enumerate() {
        let group = rates.of(index);
        let Some(grads) = entry.grad.clone() else {
            continue;
        };
        match segments.last_mut() {
            Some(last)
                if last.params.end == entry.range.start
                    && (last.decay, last.group) == (entry.decay, group) =>
            {
                last.params.end = entry.range.end;
                last.grads.end = grads.end;
            }
            _ => segments.push(Segment {
                params: entry.range.clone(),
                grads,
                decay: entry.decay,
                group,
            }),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LearningRates;

    #[test]
    fn neighbours_join_unless_frozen_or_decayed_differently() {
        let mut layout = Layout::default();
        layout.push(0, "a", &[2, 2], true, true);
        layout.push(0, "b", &[3, 1], true, true);
        layout.push(0, "frozen", &[5], false, false);
        layout.push(0, "c", &[2], true, false);
        layout.push(0, "d", &[1], true, true);
        layout.push(0, "e", &[1], true, true);
        for (entry, name) in layout
            .entries
            .iter_mut()
            .zip(["a", "b", "frozen", "c", "d", "e"])
        {
            entry.upstream = vec![name.to_owned()];
        }
        let rates = LearningRates(vec![("e$".into(), 1e-3)]);
        let rates = RateGroups::new(1e-5, Some(&rates), &layout).unwrap();
        let expected = [
            Segment {
                params: 0..7,
                grads: 0..7,
                decay: true,
                group: 0,
            },
            Segment {
                params: 12..14,
                grads: 7..9,
                decay: false,
                group: 0,
            },
            Segment {
                params: 14..15,
                grads: 9..10,
                decay: true,
                group: 0,
            },
            Segment {
                params: 15..16,
                grads: 10..11,
                decay: true,
                group: 1,
            },
        ];
        assert_eq!(segments(&layout, &rates), expected);
    }

    #[test]
    fn gradients_are_clipped_as_torch_does() {
        assert_eq!(clip_coefficient(0.5, 1.0), 1.0);
        assert_eq!(clip_coefficient(4.0, 1.0), 1.0 / (4.0 + 1e-6));
        assert_eq!(clip_coefficient(4.0, 0.0), 1.0);
    }

    /// Rows that other steps read keep moving after moments were read from a file.
    #[test]
    fn moments_that_were_read_go_on_as_if_nothing_happened() {
        const LEN: usize = 5_000;
        let ops = matryo_ops::cpu();
        let mut layout = Layout::default();
        layout.push(0, "table", &[50, 100], true, true);
        let layout = std::sync::Arc::new(layout);
        let settings = Settings {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        };
        let mut params = Params {
            layout: layout.clone(),
            flat: AlignedVec::zeros(LEN),
        };
        let rates = RateGroups::new(1e-3, None, &layout).unwrap();
        let mut whole = Optimizer::with(settings, &layout, &rates);
        let mut grads = Grads::zeros(layout.clone());
        let step =
            |optimizer: &mut Optimizer, params: &mut Params, grads: &mut Grads, row: usize| {
                grads.clear();
                let wrote = grads.read_with(|values| -> Result<(), ()> {
                    values[row * 100..][..100].fill(0.5);
                    Ok(())
                });
                wrote.unwrap();
                let norm = grad_norm(&*ops, grads);
                optimizer.step(&*ops, params, grads, norm, &[1e-3]);
            };
        step(&mut whole, &mut params, &mut grads, 3);
        let mut resumed = Optimizer::with(settings, &layout, &rates);
        resumed.updates = whole.updates;
        resumed
            .read_with(|into| -> Result<(), ()> {
                let from = whole.moments();
                into.into_iter()
                    .zip(from)
                    .for_each(|(into, from)| into.copy_from_slice(from));
                Ok(())
            })
            .unwrap();
        let mut params_of_resumed = params.clone();
        step(&mut whole, &mut params, &mut grads, 40);
        step(&mut resumed, &mut params_of_resumed, &mut grads, 40);
        assert!(params.flat == params_of_resumed.flat);
        assert_eq!(whole.moments(), resumed.moments());
        assert!(params.flat[300..400].iter().all(|p| *p != 0.0));
        assert!(params.flat[4_000..4_100].iter().all(|p| *p != 0.0));
    }
}
