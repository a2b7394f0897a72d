//! The regularised log loss of a linear head, with its gradient.

use std::ops::Range;

use matryo_ops::MatRef;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Rows of a block are at least so many, since a block costs a gradient of its own.
const LEAST_ROWS: usize = 64;
/// Blocks are at most so many, which bounds the memory of their gradients. Neither depends on the number of threads.
const MOST_BLOCKS: usize = 64;

/// What is minimised: `mean_i loss(x_i, y_i) + l2 / 2 * |coef|²`, over parameters `[outputs, dim]` of coefficients, then
/// `[outputs]` of intercepts, which are not regularised.
///
/// With two classes there is one output, the log-odds of the second (binomial loss); with more an output each (multinomial
/// loss): the two forms of scikit-learn, which are regularised differently.
pub(crate) struct Objective<'a> {
    /// `[rows, dim]`.
    x: Vec<f64>,
    y: &'a [usize],
    dim: usize,
    outputs: usize,
    l2: f64,
}

impl<'a> Objective<'a> {
    /// `y` is the class of each row; `c` the inverse strength of regularisation, as in scikit-learn.
    pub fn new(x: MatRef<'_>, y: &'a [usize], classes: usize, c: f64) -> Self {
        assert_eq!(x.rows(), y.len(), "a class for each row");
        assert!(
            y.iter().all(|class| *class < classes),
            "classes below {classes}"
        );
        let l2 = 1.0 / (c * y.len() as f64);
        Self {
            x: widened(x, 0..x.rows()),
            y,
            dim: x.cols(),
            outputs: outputs(classes),
            l2,
        }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.outputs * (self.dim + 1)
    }

    /// The value at `parameters`; writes its gradient.
    pub fn evaluate(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let rows = self.y.len();
        let size = rows.div_ceil(MOST_BLOCKS).max(LEAST_ROWS);
        let starts: Vec<usize> = (0..rows).step_by(size).collect();
        let block = |start: &usize| self.block(*start..(*start + size).min(rows), parameters);
        let blocks: Vec<(f64, Vec<f64>)> = starts.par_iter().map(block).collect();
        gradient.fill(0.0);
        let mut value = 0.0;
        for (loss, d) in &blocks {
            value += loss;
            gradient.iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
        }
        gradient.iter_mut().for_each(|g| *g /= rows as f64);
        value / rows as f64 + self.regularise(parameters, gradient)
    }

    /// Loss and gradient of some rows, neither divided nor regularised.
    fn block(&self, rows: Range<usize>, parameters: &[f64]) -> (f64, Vec<f64>) {
        let x = view(
            &self.x[rows.start * self.dim..rows.end * self.dim],
            rows.len(),
            self.dim,
        );
        let mut scores = scores(x, parameters, self.outputs);
        let mut loss = 0.0;
        for (mut row, class) in scores.rows_mut().into_iter().zip(&self.y[rows]) {
            let row = row
                .as_slice_mut()
                .expect("rows of a new matrix are contiguous");
            loss += if self.outputs == 1 {
                binomial(&mut row[0], *class)
            } else {
                multinomial(row, *class)
            };
        }
        let d_coef = scores.t().dot(&x);
        let mut gradient: Vec<f64> = d_coef.iter().copied().collect();
        gradient.extend(scores.columns().into_iter().map(|column| column.sum()));
        (loss, gradient)
    }

    /// The penalty; adds its gradient.
    fn regularise(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let coef = self.outputs * self.dim;
        let mut squares = 0.0;
        for (w, g) in parameters[..coef].iter().zip(gradient) {
            squares += w * w;
            *g += self.l2 * w;
        }
        0.5 * self.l2 * squares
    }
}

/// Outputs of a head for so many classes.
pub(crate) fn outputs(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// Rows in f64.
pub(crate) fn widened(x: MatRef<'_>, rows: Range<usize>) -> Vec<f64> {
    rows.flat_map(|i| x.row(i).iter().map(|v| f64::from(*v)))
        .collect()
}

pub(crate) fn view(values: &[f64], rows: usize, cols: usize) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape((rows, cols), values).expect("as many values as the shape has")
}

/// `x coefᵀ + intercept`, `[rows, outputs]`.
pub(crate) fn scores(x: ArrayView2<'_, f64>, parameters: &[f64], outputs: usize) -> Array2<f64> {
    let (coef, intercept) = parameters.split_at(outputs * x.ncols());
    let mut scores = Array2::zeros((x.nrows(), outputs));
    scores
        .rows_mut()
        .into_iter()
        .for_each(|mut row| row.iter_mut().zip(intercept).for_each(|(s, b)| *s = *b));
    ndarray::linalg::general_mat_mul(
        1.0,
        &x,
        &view(coef, outputs, x.ncols()).t(),
        1.0,
        &mut scores,
    );
    scores
}

/// `-log softmax(scores)[class]`; leaves its gradient, `softmax - one at class`, in `scores`.
fn multinomial(scores: &mut [f64], class: usize) -> f64 {
    let score = scores[class];
    let log_total = softmax(scores);
    scores[class] -= 1.0;
    log_total - score
}

/// `-log p(class)` of the log-odds of class 1; leaves its gradient in `score`.
fn binomial(score: &mut f64, class: usize) -> f64 {
    let (z, y) = (*score, class as f64);
    *score = sigmoid(z) - y;
    z.max(0.0) - y * z + (-z.abs()).exp().ln_1p()
}

/// Turns scores into probabilities and returns the logarithm of the sum of their exponentials.
pub(crate) fn softmax(scores: &mut [f64]) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        total += *score;
    }
    scores.iter_mut().for_each(|p| *p /= total);
    largest + total.ln()
}

/// `1 / (1 + exp(-z))`, without overflow.
pub(crate) fn sigmoid(z: f64) -> f64 {
    let e = (-z.abs()).exp();
    if z >= 0.0 {
        1.0 / (1.0 + e)
    } else {
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use matryo_ops::Mat;
    use matryo_testkit::{Tolerance, assert_value, pseudo_random};

    use super::*;

    /// 200 rows, so that there are several blocks.
    fn check(classes: usize) {
        let x = Mat::from_vec(200, 5, pseudo_random(1000, 3));
        let y: Vec<usize> = (0..200).map(|i| i * 7 % classes).collect();
        let objective = Objective::new(x.view(), &y, classes, 0.5);
        let at: Vec<f64> = pseudo_random(objective.len(), 5)
            .into_iter()
            .map(f64::from)
            .collect();
        let mut gradient = vec![0.0; at.len()];
        objective.evaluate(&at, &mut gradient);
        for i in 0..at.len() {
            let moved = |by: f64| {
                let mut at = at.clone();
                at[i] += by;
                objective.evaluate(&at, &mut vec![0.0; at.len()])
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert_value(
                gradient[i],
                slope,
                Tolerance::Absolute(1e-9),
                &format!("{classes} classes, parameter {i}"),
            );
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        check(2);
        check(4);
    }

    #[test]
    fn extreme_scores_have_finite_losses() {
        let mut scores = [1000.0, -1000.0, 0.0];
        assert_eq!(multinomial(&mut scores, 0), 0.0);
        assert_eq!(scores, [0.0, 0.0, 0.0]);
        let mut z = -800.0;
        assert_eq!((binomial(&mut z, 1), z), (800.0, -1.0));
    }
}
