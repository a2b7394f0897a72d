//! MatryoshkaLoss: another loss, summed over leading parts of the embeddings.

use matryo_base::SplitMix64;
use matryo_ops::{Mat, MatRef, Ops};
use serde_json::{Value, json};

use crate::{
    Entry, Loss, LossBatch, LossError, LossOutput, Needs, build, parameters::Parameters,
    unit_rows::UnitRows,
};

const NAME: &str = "MatryoshkaLoss";

pub(crate) const ENTRY: Entry = Entry {
    name: NAME,
    about: "another loss, summed over the first `matryoshka_dims` values of the embeddings",
    build: |parameters| Ok(Box::new(MatryoshkaLoss::from_parameters(parameters)?)),
};

/// Matryoshka representation learning (Kusupati et al. 2022): the sum over `dims` of
/// `weight * inner(first dim values of each embedding, scaled to length 1)`.
///
/// Semantics of sentence_transformers/losses/MatryoshkaLoss.py 5.7, with one difference: a random subset of the dimensions is
/// drawn from [`LossBatch::seed`] alone, so that it is the same in a repeated or resumed run.
pub struct MatryoshkaLoss {
    inner: Box<dyn Loss>,
    /// Largest first, each with its weight.
    dims: Vec<(usize, f64)>,
    n_dims_per_step: Option<usize>,
}

impl MatryoshkaLoss {
    /// `inner` over `dims` (any order) with a weight each, 1 by default. With `n_dims_per_step` only that many dimensions, drawn
    /// at random, count in a step.
    pub fn new(
        inner: Box<dyn Loss>,
        dims: &[usize],
        weights: Option<&[f64]>,
        n_dims_per_step: Option<usize>,
    ) -> Result<Self, LossError> {
        let wrong = |key, found: Value, expected| LossError::WrongValue {
            loss: NAME,
            key,
            found: found.to_string(),
            expected,
        };
        if dims.is_empty() || dims.contains(&0) {
            return Err(wrong("matryoshka_dims", json!(dims), DIMS));
        }
        if n_dims_per_step == Some(0) {
            return Err(wrong("n_dims_per_step", json!(0), N_DIMS));
        }
        let ones = vec![1.0; dims.len()];
        let weights = weights.unwrap_or(&ones);
        if weights.len() != dims.len() {
            return Err(LossError::WeightCount {
                dims: dims.len(),
                weights: weights.len(),
            });
        }
        let mut dims: Vec<_> = dims.iter().copied().zip(weights.iter().copied()).collect();
        dims.sort_by_key(|&(dim, _)| std::cmp::Reverse(dim));
        Ok(Self {
            inner,
            dims,
            n_dims_per_step,
        })
    }

    /// The loss that is summed.
    pub fn inner(&self) -> &dyn Loss {
        &*self.inner
    }

    /// The dimensions, largest first.
    pub fn dims(&self) -> Vec<usize> {
        self.dims.iter().map(|&(dim, _)| dim).collect()
    }

    fn from_parameters(value: &Value) -> Result<Self, LossError> {
        let keys = [
            "loss",
            "matryoshka_dims",
            "matryoshka_weights",
            "n_dims_per_step",
        ];
        let parameters = Parameters::read(NAME, value, &keys)?;
        let (name, inner) = parameters.require(
            "loss",
            "a loss's name, or {name: parameters}",
            name_and_parameters,
        )?;
        let dims = parameters.require("matryoshka_dims", DIMS, |v| {
            list(v, |n| usize::try_from(n.as_u64()?).ok())
        })?;
        let weights = parameters.get("matryoshka_weights", "a list of numbers", |v| {
            list(v, Value::as_f64)
        })?;
        let n_dims = parameters
            .get("n_dims_per_step", N_DIMS, n_dims_per_step)?
            .flatten();
        Self::new(build(name, inner)?, &dims, weights.as_deref(), n_dims)
    }

    /// The dimensions that count in the step with this seed, largest first.
    fn dims_of_step(&self, seed: u64) -> Vec<(usize, f64)> {
        match self.n_dims_per_step {
            Some(n) if n < self.dims.len() => sample(self.dims.len(), n, seed)
                .into_iter()
                .map(|i| self.dims[i])
                .collect(),
            _ => self.dims.clone(),
        }
    }

    /// Value and gradients of the inner loss on the first `dim` values, `[rows, dim]` a column.
    fn eval_dim(&self, ops: &dyn Ops, batch: &LossBatch<'_>, dim: usize) -> LossOutput {
        let units: Vec<_> = batch
            .columns
            .iter()
            .map(|c| UnitRows::new(ops, c.first_cols(dim).to_mat()))
            .collect();
        let columns: Vec<MatRef<'_>> = units.iter().map(UnitRows::view).collect();
        let mut output = self.inner.eval(
            ops,
            &LossBatch {
                columns: &columns,
                labels: batch.labels,
                seed: batch.seed,
            },
        );
        for (unit, d) in units.iter().zip(&mut output.d_columns) {
            unit.backward(ops, d);
        }
        output
    }
}

impl Loss for MatryoshkaLoss {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        self.inner.needs()
    }

    fn config(&self) -> Value {
        let weights: Vec<_> = self
            .dims
            .iter()
            .map(|&(_, weight)| number(weight))
            .collect();
        json!({
            "loss": self.inner.name(),
            "matryoshka_dims": self.dims(),
            "matryoshka_weights": weights,
            "n_dims_per_step": self.n_dims_per_step.map_or(json!(-1), |n| json!(n)),
        })
    }

    fn names(&self) -> Vec<&'static str> {
        std::iter::once(NAME).chain(self.inner.names()).collect()
    }

    fn citations(&self) -> Vec<(&'static str, &'static str)> {
        std::iter::once((NAME, BIBTEX))
            .chain(self.inner.citations())
            .collect()
    }

    fn check(&self, dim: usize) -> Result<(), LossError> {
        let largest = self.dims[0].0;
        if largest > dim {
            return Err(LossError::DimTooLarge {
                dim: largest,
                model_dim: dim,
            });
        }
        self.dims
            .iter()
            .try_for_each(|&(dim, _)| self.inner.check(dim))
    }

    fn eval(&self, ops: &dyn Ops, batch: &LossBatch<'_>) -> LossOutput {
        let mut value = 0.0;
        let mut d_columns: Vec<_> = batch
            .columns
            .iter()
            .map(|c| Mat::zeros(c.rows(), c.cols()))
            .collect();
        for (dim, weight) in self.dims_of_step(batch.seed) {
            let output = self.eval_dim(ops, batch, dim);
            value += weight * output.value;
            for (sum, d) in d_columns.iter_mut().zip(&output.d_columns) {
                add_to_first_cols(sum, d, weight as f32);
            }
        }
        LossOutput { value, d_columns }
    }
}

/// `y[:, ..x.cols] += weight * x`.
fn add_to_first_cols(y: &mut Mat, x: &Mat, weight: f32) {
    for i in 0..x.rows() {
        for (y, x) in y.row_mut(i).iter_mut().zip(x.row(i)) {
            *y += weight * x;
        }
    }
}

/// `n` of the numbers below `of`, ascending: a partial shuffle.
fn sample(of: usize, n: usize, seed: u64) -> Vec<usize> {
    let mut numbers: Vec<_> = (0..of).collect();
    let mut random = SplitMix64::new(seed);
    for i in 0..n {
        // The bias of the remainder is below 2^-56 for any number of dimensions a model can have.
        numbers.swap(i, i + (random.next_u64() % (of - i) as u64) as usize);
    }
    numbers.truncate(n);
    numbers.sort_unstable();
    numbers
}

const DIMS: &str = "a list of positive whole numbers";
const N_DIMS: &str = "-1 for all, or a positive whole number";

fn list<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(item).collect()
}

fn n_dims_per_step(value: &Value) -> Option<Option<usize>> {
    match value.as_i64()? {
        -1 => Some(None),
        n => usize::try_from(n).ok().filter(|n| *n > 0).map(Some),
    }
}

fn name_and_parameters(value: &Value) -> Option<(&str, &Value)> {
    match value {
        Value::String(name) => Some((name, &Value::Null)),
        Value::Object(map) if map.len() == 1 => map
            .iter()
            .next()
            .map(|(name, inner)| (name.as_str(), inner)),
        _ => None,
    }
}

/// Whole weights are shown without a fraction, as they are usually given.
fn number(weight: f64) -> Value {
    if weight.fract() == 0.0 && weight.abs() < 1e15 {
        json!(weight as i64)
    } else {
        json!(weight)
    }
}

const BIBTEX: &str = "\
@misc{kusupati2024matryoshka,
    title = {Matryoshka Representation Learning},
    author = {Aditya Kusupati and Gantavya Bhatt and Aniket Rege and Matthew Wallingford and Aditya Sinha and Vivek Ramanujan and William Howard-Snyder and Kaifeng Chen and Sham Kakade and Prateek Jain and Ali Farhadi},
    year = {2024},
    eprint = {2205.13147},
    archivePrefix = {arXiv},
    primaryClass = {cs.LG}
}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_ascending_without_repeats_and_reach_everything() {
        let mut seen = [0; 5];
        for seed in 0..200 {
            let numbers = sample(5, 2, seed);
            assert!(numbers[0] < numbers[1] && numbers[1] < 5);
            numbers.iter().for_each(|&n| seen[n] += 1);
        }
        assert!(seen.iter().all(|n| (50..=110).contains(n)), "{seen:?}");
    }
}
