//! Self-attention of packed texts, with dropout on the probabilities, by the formulas of [`crate::attention`].

use std::ops::Range;

use super::product::dot;
use crate::{
    Attention, AttentionBackward, AttentionShape, Disentangled, Dropout, MatMut, MatRef,
    RelativeBias,
};

/// One head of one text.
#[derive(Clone)]
struct Head<'a> {
    qkv: MatRef<'a>,
    shape: AttentionShape,
    bias: Option<RelativeBias<'a>>,
    distances: Option<Disentangled<'a>>,
    dropout: Option<Dropout<'a>>,
    /// Token rows of the text.
    rows: Range<usize>,
    head: usize,
}

impl<'a> Head<'a> {
    /// Columns of q, k or v (`part` 0, 1, 2) in `qkv`.
    fn columns(&self, part: usize) -> Range<usize> {
        let (columns, width) = (columns(self.shape, self.head), self.shape.width());
        part * width + columns.start..part * width + columns.end
    }

    fn part(&self, part: usize, row: usize) -> &'a [f32] {
        &self.qkv.row(row)[self.columns(part)]
    }

    /// Token rows of the keys that the query of row `i` sees.
    fn keys(&self, i: usize) -> Range<usize> {
        let mask = self.shape.mask;
        let sees =
            |j: &usize| i <= j.saturating_add(mask.left) && *j <= i.saturating_add(mask.right);
        let mut rows = self.rows.clone();
        let first = rows.find(sees).expect("a query sees itself");
        let others = rows.take_while(sees).count();
        first..first + 1 + others
    }

    fn score(&self, i: usize, j: usize) -> f64 {
        let bias = self.bias.map_or(0.0, |bias| {
            f64::from(bias.values.row(self.head)[self.bias_column(bias, i, j)])
        });
        let terms = self
            .terms(i, j)
            .map(|(part, row, vector, _)| dot(self.part(part, row), vector));
        let product = dot(self.part(0, i), self.part(1, j)) + terms.sum::<f64>();
        f64::from(self.shape.scale) * product + bias
    }

    /// The terms of content and distance of query `i` and key `j`: a part (0 or 1) and a row of `qkv`, the vector that it is multiplied
    /// with, and where that lies: its row and first column.
    fn terms(
        &self,
        i: usize,
        j: usize,
    ) -> impl Iterator<Item = (usize, usize, &'a [f32], (usize, usize))> {
        let (distances, width) = (self.distances, self.shape.head_dim);
        let head = self.head;
        distances.into_iter().flat_map(move |distances| {
            let row = distances.rows[distances.rows.len() / 2 + i - j] as usize;
            let sides = [(0, i, distances.for_queries), (1, j, distances.for_keys)];
            sides.into_iter().filter_map(move |(part, token, first)| {
                let first = first? + head * width;
                let vector = &distances.vectors.row(row)[first..first + width];
                Some((part, token, vector, (row, first)))
            })
        })
    }

    fn bias_column(&self, bias: RelativeBias<'_>, i: usize, j: usize) -> usize {
        bias.values.cols() / 2 + i - j
    }

    fn mask(&self, i: usize, j: usize) -> f64 {
        let Some(dropout) = self.dropout else {
            return 1.0;
        };
        f64::from(
            dropout
                .row(i, self.head)
                .factor((j - self.rows.start) as u32, dropout.rate()),
        )
    }
}

/// Columns of `head` in the output.
fn columns(shape: AttentionShape, head: usize) -> Range<usize> {
    head * shape.head_dim..(head + 1) * shape.head_dim
}

/// `y` and `lse` of every text.
pub fn attention(args: Attention<'_>) {
    let Attention {
        mut y,
        mut lse,
        qkv,
        spans,
        shape,
        bias,
        distances,
        dropout,
    } = args;
    for rows in (0..spans.texts()).map(|text| spans.rows(text)) {
        for head in 0..shape.heads {
            let at = Head {
                qkv,
                shape,
                bias,
                distances,
                dropout,
                rows: rows.clone(),
                head,
            };
            for i in rows.clone() {
                let out = &mut y.row(i)[columns(shape, head)];
                let log_sum = attend(&at, i, out);
                if let Some(lse) = &mut lse {
                    lse.row(i)[head] = log_sum as f32;
                }
            }
        }
    }
}

/// Output and log-sum-exp of one query.
fn attend(at: &Head<'_>, i: usize, out: &mut [f32]) -> f64 {
    let keys = at.keys(i);
    let max = keys
        .clone()
        .map(|j| at.score(i, j))
        .fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = keys.clone().map(|j| (at.score(i, j) - max).exp()).sum();
    let lse = max + sum.ln();
    for (c, out) in out.iter_mut().enumerate() {
        let term = |j| at.mask(i, j) * (at.score(i, j) - lse).exp() * f64::from(at.part(2, j)[c]);
        *out = keys.clone().map(term).sum::<f64>() as f32;
    }
    lse
}

/// `dqkv` of every text.
pub fn attention_bwd(args: AttentionBackward<'_>) {
    let AttentionBackward {
        mut dqkv,
        dy,
        y,
        lse,
        qkv,
        spans,
        shape,
        bias,
        mut d_bias,
        distances,
        mut d_vectors,
        dropout,
    } = args;
    dqkv.data().fill(0.0);
    for rows in (0..spans.texts()).map(|text| spans.rows(text)) {
        for head in 0..shape.heads {
            let at = Head {
                qkv,
                shape,
                bias,
                distances,
                dropout,
                rows: rows.clone(),
                head,
            };
            for i in rows.clone() {
                let g = &dy.row(i)[columns(shape, head)];
                let d = dot(g, &y.row(i)[columns(shape, head)]);
                for j in at.keys(i) {
                    let p = (at.score(i, j) - f64::from(lse.row(i)[head])).exp();
                    let ds = add_pair(&mut dqkv, &at, (i, j), g, (p, d));
                    if let (Some(bias), Some(d_bias)) = (bias, &mut d_bias) {
                        d_bias.row(head)[at.bias_column(bias, i, j)] += ds as f32;
                    }
                    if let Some(d_vectors) = &mut d_vectors {
                        add_terms(&mut dqkv, d_vectors, &at, (i, j), ds);
                    }
                }
            }
        }
    }
}

/// What query `i` and key `j` add to the gradients; `p` is their probability, `d` the query's `D`. Returns the gradient of the score.
fn add_pair(
    dqkv: &mut MatMut<'_>,
    at: &Head<'_>,
    (i, j): (usize, usize),
    g: &[f32],
    (p, d): (f64, f64),
) -> f64 {
    let mask = at.mask(i, j);
    let d_score = p * (mask * dot(g, at.part(2, j)) - d);
    let ds = d_score * f64::from(at.shape.scale);
    let mut add = |part, row, factor: f64, x: &[f32]| {
        for (sum, &x) in dqkv.row(row)[at.columns(part)].iter_mut().zip(x) {
            *sum += (factor * f64::from(x)) as f32;
        }
    };
    add(0, i, ds, at.part(1, j));
    add(1, j, ds, at.part(0, i));
    add(2, j, mask * p, g);
    d_score
}

/// What the terms of content and distance of query `i` and key `j` add; `d_score` is the gradient of their score.
fn add_terms(
    dqkv: &mut MatMut<'_>,
    d_vectors: &mut MatMut<'_>,
    at: &Head<'_>,
    (i, j): (usize, usize),
    d_score: f64,
) {
    let ds = d_score * f64::from(at.shape.scale);
    let add = |out: &mut [f32], x: &[f32]| {
        for (sum, &x) in out.iter_mut().zip(x) {
            *sum += (ds * f64::from(x)) as f32;
        }
    };
    for (part, token, vector, (row, first)) in at.terms(i, j) {
        add(&mut dqkv.row(token)[at.columns(part)], vector);
        add(&mut d_vectors.row(row)[first..], at.part(part, token));
    }
}
