//! MultipleNegativesRankingLoss: each row's first text should find its second among all others of the batch.

use matryo_ops::{Mat, MatRef, Operand, Ops};
use serde_json::{Value, json};

use crate::{
    Entry, Loss, LossBatch, LossError, LossOutput, Needs, parameters::Parameters,
    unit_rows::UnitRows,
};

const NAME: &str = "MultipleNegativesRankingLoss";

pub(crate) const ENTRY: Entry = Entry {
    name: NAME,
    about: "cross-entropy of each row's second text among the second and further texts of all rows",
    build: |parameters| {
        Ok(Box::new(MultipleNegativesRankingLoss::from_parameters(
            parameters,
        )?))
    },
};

/// How a query and a document are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScoreFn {
    /// Cosine; upstream's `cos_sim`.
    #[default]
    Cosine,
    /// Dot product; upstream's `dot_score`.
    Dot,
}

/// In-batch softmax loss (Henderson et al. 2017; van den Oord et al. 2018). The first column holds queries, the second the
/// document of each, further columns hard negatives; all documents of the batch are candidates of every query:
/// `mean_i -log softmax_j(scale * score(q_i, d_j))[i]`. One row without negatives has loss 0.
///
/// Semantics of sentence_transformers/losses/MultipleNegativesRankingLoss.py 5.7 with its defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MultipleNegativesRankingLoss {
    /// Multiplies every score; the inverse of a temperature. Positive.
    pub scale: f64,
    /// What is scaled.
    pub similarity: ScoreFn,
}

impl Default for MultipleNegativesRankingLoss {
    fn default() -> Self {
        Self {
            scale: 20.0,
            similarity: ScoreFn::Cosine,
        }
    }
}

impl ScoreFn {
    /// Upstream's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cos_sim",
            Self::Dot => "dot_score",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Cosine, Self::Dot]
            .into_iter()
            .find(|f| f.name() == name)
    }
}

/// Parameters that upstream's loss has besides, with the one value that is supported.
fn fixed_parameters() -> [(&'static str, Value); 5] {
    [
        ("gather_across_devices", json!(false)),
        ("directions", json!(["query_to_doc"])),
        ("partition_mode", json!("joint")),
        ("hardness_mode", Value::Null),
        ("hardness_strength", json!(0.0)),
    ]
}

impl MultipleNegativesRankingLoss {
    fn from_parameters(value: &Value) -> Result<Self, LossError> {
        let fixed = fixed_parameters();
        let keys: Vec<_> = ["scale", "similarity_fct"]
            .into_iter()
            .chain(fixed.iter().map(|(key, _)| *key))
            .collect();
        let parameters = Parameters::read(NAME, value, &keys)?;
        for (key, only) in &fixed {
            parameters.only(key, only)?;
        }
        let positive = |v: &Value| v.as_f64().filter(|scale| *scale > 0.0);
        let by_name = |v: &Value| v.as_str().and_then(ScoreFn::from_name);
        let default = Self::default();
        Ok(Self {
            scale: parameters
                .get("scale", "a positive number", positive)?
                .unwrap_or(default.scale),
            similarity: parameters
                .get("similarity_fct", "cos_sim or dot_score", by_name)?
                .unwrap_or(default.similarity),
        })
    }
}

impl Loss for MultipleNegativesRankingLoss {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            columns: 2..=usize::MAX,
            labels: false,
        }
    }

    fn config(&self) -> Value {
        let mut config = json!({ "scale": self.scale, "similarity_fct": self.similarity.name() });
        for (key, value) in fixed_parameters() {
            config[key] = value;
        }
        config
    }

    fn citations(&self) -> Vec<(&'static str, &'static str)> {
        vec![(NAME, BIBTEX)]
    }

    fn eval(&self, ops: &dyn Ops, batch: &LossBatch<'_>) -> LossOutput {
        assert!(
            batch.columns.len() >= 2,
            "{NAME} needs two columns, got {}",
            batch.columns.len()
        );
        let (queries, documents) = (stack(&batch.columns[..1]), stack(&batch.columns[1..]));
        let (value, d_queries, d_documents) = match self.similarity {
            ScoreFn::Dot => self.eval_dot(ops, queries.view(), documents.view()),
            ScoreFn::Cosine => {
                let (queries, documents) =
                    (UnitRows::new(ops, queries), UnitRows::new(ops, documents));
                let (value, mut dq, mut dd) = self.eval_dot(ops, queries.view(), documents.view());
                queries.backward(ops, &mut dq);
                documents.backward(ops, &mut dd);
                (value, dq, dd)
            }
        };
        let rows = d_queries.rows();
        let d_columns = std::iter::once(d_queries)
            .chain(unstack(&d_documents, rows))
            .collect();
        LossOutput { value, d_columns }
    }
}

impl MultipleNegativesRankingLoss {
    /// The loss of dot products `s = scale q dᵀ`: value, `dq = scale ds d`, `dd = scale dsᵀ q`.
    /// `q` `[n, dim]`, `d` `[m, dim]` with `m` a multiple of `n`; costs the `[n, m]` scores in memory.
    fn eval_dot(&self, ops: &dyn Ops, q: MatRef<'_>, d: MatRef<'_>) -> (f64, Mat, Mat) {
        let scale = self.scale as f32;
        let mut s = Mat::zeros(q.rows(), d.rows());
        ops.matmul(
            s.view_mut(),
            Operand::Normal(q),
            Operand::Transposed(d),
            scale,
        );
        let value = cross_entropy(&mut s);
        let (mut dq, mut dd) = (
            Mat::zeros(q.rows(), q.cols()),
            Mat::zeros(d.rows(), d.cols()),
        );
        ops.matmul(
            dq.view_mut(),
            Operand::Normal(s.view()),
            Operand::Normal(d),
            scale,
        );
        ops.matmul(
            dd.view_mut(),
            Operand::Transposed(s.view()),
            Operand::Normal(q),
            scale,
        );
        (value, dq, dd)
    }
}

/// Mean over the rows of `-log softmax(row i)[i]`; leaves its gradient, `(softmax - one at i) / rows`, in `scores`.
fn cross_entropy(scores: &mut Mat) -> f64 {
    let rows = scores.rows();
    (0..rows)
        .map(|i| cross_entropy_row(scores.row_mut(i), i, rows as f64))
        .sum::<f64>()
        / rows as f64
}

/// One row, in f64: the target's probability is often so near to 1 that `p - 1` would have no digits left in f32.
fn cross_entropy_row(row: &mut [f32], target: usize, rows: f64) -> f64 {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let score = f64::from(row[target]);
    let total: f64 = row.iter().map(|&s| (f64::from(s) - largest).exp()).sum();
    let log_total = largest + total.ln();
    for (j, s) in row.iter_mut().enumerate() {
        let p = (f64::from(*s) - log_total).exp();
        *s = ((if j == target { p - 1.0 } else { p }) / rows) as f32;
    }
    log_total - score
}

/// The rows of all columns, one column after the other.
fn stack(columns: &[MatRef<'_>]) -> Mat {
    let (rows, dim) = (columns[0].rows(), columns[0].cols());
    let mut data = Vec::with_capacity(columns.len() * rows * dim);
    for column in columns {
        assert_eq!(
            (column.rows(), column.cols()),
            (rows, dim),
            "all columns have one shape"
        );
        (0..rows).for_each(|i| data.extend_from_slice(column.row(i)));
    }
    Mat::from_vec(columns.len() * rows, dim, data)
}

/// The reverse of [`stack`].
fn unstack(stacked: &Mat, rows: usize) -> impl Iterator<Item = Mat> {
    let column = move |c: usize| stacked.view().row_range(c * rows, (c + 1) * rows).to_mat();
    (0..stacked.rows() / rows.max(1)).map(column)
}

const BIBTEX: &str = "\
@misc{henderson2017efficient,
    title = {Efficient Natural Language Response Suggestion for Smart Reply},
    author = {Matthew Henderson and Rami Al-Rfou and Brian Strope and Yun-hsuan Sung and Laszlo Lukacs and Ruiqi Guo and Sanjiv Kumar and Balint Miklos and Ray Kurzweil},
    year = {2017},
    eprint = {1705.00652},
    archivePrefix = {arXiv},
    primaryClass = {cs.CL}
}

@misc{oord2019representationlearningcontrastivepredictive,
    title = {Representation Learning with Contrastive Predictive Coding},
    author = {Aaron van den Oord and Yazhe Li and Oriol Vinyals},
    year = {2019},
    eprint = {1807.03748},
    archivePrefix = {arXiv},
    primaryClass = {cs.LG}
}";
