//! CosineSimilarityLoss: the cosine of a pair should be its label.

use matryo_ops::{Mat, Ops};
use serde_json::{Map, Value, json};

use crate::{
    Entry, Loss, LossBatch, LossError, LossOutput, Needs, parameters::Parameters,
    unit_rows::UnitRows,
};

const NAME: &str = "CosineSimilarityLoss";

pub(crate) const ENTRY: Entry = Entry {
    name: NAME,
    about: "mean squared difference of each pair's cosine and its label",
    build: |parameters| Ok(Box::new(CosineSimilarityLoss::from_parameters(parameters)?)),
};

/// `mean_i (cos(a_i, b_i) - label_i)²`, labels usually in 0..1.
///
/// Semantics of sentence_transformers/losses/CosineSimilarityLoss.py 5.7 with its defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CosineSimilarityLoss;

/// Parameters of upstream's loss, with the one value that is supported.
fn fixed_parameters() -> [(&'static str, Value); 2] {
    [
        ("loss_fct", json!("torch.nn.modules.loss.MSELoss")),
        (
            "cos_score_transformation",
            json!("torch.nn.modules.linear.Identity"),
        ),
    ]
}

impl CosineSimilarityLoss {
    fn from_parameters(value: &Value) -> Result<Self, LossError> {
        let fixed = fixed_parameters();
        let parameters = Parameters::read(NAME, value, &fixed.each_ref().map(|(key, _)| *key))?;
        fixed
            .iter()
            .try_for_each(|(key, only)| parameters.only(key, only))?;
        Ok(Self)
    }
}

impl Loss for CosineSimilarityLoss {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            columns: 2..=2,
            labels: true,
        }
    }

    fn config(&self) -> Value {
        Value::Object(
            fixed_parameters()
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>(),
        )
    }

    /// Upstream names no paper.
    fn citations(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn eval(&self, ops: &dyn Ops, batch: &LossBatch<'_>) -> LossOutput {
        let &[a, b] = batch.columns else {
            panic!("{NAME} needs two columns, got {}", batch.columns.len())
        };
        let labels = batch
            .labels
            .unwrap_or_else(|| panic!("{NAME} needs labels"));
        assert_eq!(labels.len(), a.rows(), "a label for each row");
        let (a, b) = (
            UnitRows::new(ops, a.to_mat()),
            UnitRows::new(ops, b.to_mat()),
        );
        let (u, v) = (a.view(), b.view());
        let (mut da, mut db) = (
            Mat::zeros(u.rows(), u.cols()),
            Mat::zeros(v.rows(), v.cols()),
        );
        let mut value = 0.0;
        for (i, label) in labels.iter().enumerate() {
            let error = dot(u.row(i), v.row(i)) - f64::from(*label);
            value += error * error / labels.len() as f64;
            let d_cosine = (2.0 * error / labels.len() as f64) as f32;
            scaled(da.row_mut(i), d_cosine, v.row(i));
            scaled(db.row_mut(i), d_cosine, u.row(i));
        }
        a.backward(ops, &mut da);
        b.backward(ops, &mut db);
        LossOutput {
            value,
            d_columns: vec![da, db],
        }
    }
}

/// In f64: the difference to the label is often far smaller than the cosine.
fn dot(x: &[f32], y: &[f32]) -> f64 {
    x.iter()
        .zip(y)
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum()
}

/// `y = factor * x`.
fn scaled(y: &mut [f32], factor: f32, x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = factor * x);
}
