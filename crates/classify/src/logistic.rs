//! The head: logistic regression on embeddings.

use matryo_ops::MatRef;
use rayon::prelude::*;

use crate::{
    lbfgs::{self, Stop},
    objective::{Objective, outputs, scores, sigmoid, softmax, view, widened},
    predictions::Predictions,
};

/// Rows scored at once; bounds the copy in f64.
const ROWS_AT_ONCE: usize = 256;

/// How to fit; names and defaults of `sklearn.linear_model.LogisticRegression`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticOptions {
    /// `C`, the inverse strength of the L2 regularisation; above 0.
    pub c: f64,
    /// Most iterations.
    pub max_iter: usize,
    /// The largest component of the mean loss's gradient at which the optimum counts as found.
    pub tol: f64,
}

impl Default for LogisticOptions {
    fn default() -> Self {
        Self {
            c: 1.0,
            max_iter: 100,
            tol: 1e-4,
        }
    }
}

/// Multinomial logistic regression; with two classes binomial, with one row of coefficients, as scikit-learn has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticHead {
    classes: usize,
    dim: usize,
    /// `[outputs, dim]` of coefficients, then `[outputs]` of intercepts.
    parameters: Vec<f64>,
}

/// A fitted head, and how the search for it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The head.
    pub head: LogisticHead,
    /// Iterations of L-BFGS.
    pub iterations: usize,
    /// Largest component of the gradient at the end.
    pub gradient: f64,
    /// Whether it ended at the optimum, and not for want of iterations.
    pub converged: bool,
}

impl LogisticHead {
    /// Fits a head to embeddings `x` `[rows, dim]` with the class `y` of each, in f64 from zero on. The optimum is
    /// scikit-learn's with penalty `l2` and solver `lbfgs`; the result is the same to the bit for any number of threads.
    ///
    /// # Panics
    /// Unless there are a class for each row, at least two classes, and every class is below `classes`.
    pub fn fit(x: MatRef<'_>, y: &[usize], classes: usize, options: &LogisticOptions) -> Fit {
        assert!(classes >= 2, "at least two classes, got {classes}");
        let objective = Objective::new(x, y, classes, options.c);
        let stop = Stop {
            max_iter: options.max_iter,
            tol: options.tol,
        };
        let start = vec![0.0; objective.len()];
        let minimum = lbfgs::minimise(start, stop, &|at, gradient| {
            objective.evaluate(at, gradient)
        });
        Fit {
            head: Self {
                classes,
                dim: x.cols(),
                parameters: minimum.x,
            },
            iterations: minimum.iterations,
            gradient: minimum.gradient,
            converged: minimum.converged,
        }
    }

    /// A head from its parts: `coef` `[outputs, dim]`, `intercept` `[outputs]`, with one output for two classes and as many as
    /// classes otherwise.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn from_parts(classes: usize, dim: usize, coef: &[f64], intercept: &[f64]) -> Self {
        let outputs = outputs(classes);
        assert_eq!(
            (coef.len(), intercept.len()),
            (outputs * dim, outputs),
            "shapes of coef and intercept"
        );
        Self {
            classes,
            dim,
            parameters: [coef, intercept].concat(),
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Width of the embeddings it takes.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Rows of the coefficients: 1 with two classes, else one a class.
    pub fn outputs(&self) -> usize {
        outputs(self.classes)
    }

    /// Coefficients `[outputs, dim]`.
    pub fn coef(&self) -> &[f64] {
        &self.parameters[..self.outputs() * self.dim]
    }

    /// Intercepts `[outputs]`.
    pub fn intercept(&self) -> &[f64] {
        &self.parameters[self.outputs() * self.dim..]
    }

    /// The probability of every class for every row of `x` `[rows, dim]`.
    ///
    /// # Panics
    /// If `x` has another width than the head.
    pub fn probabilities(&self, x: MatRef<'_>) -> Predictions {
        assert_eq!(x.cols(), self.dim, "width of the embeddings");
        let starts: Vec<usize> = (0..x.rows()).step_by(ROWS_AT_ONCE).collect();
        let block = |start: usize| self.block(x, start, (start + ROWS_AT_ONCE).min(x.rows()));
        let values: Vec<f64> = starts.into_par_iter().flat_map_iter(block).collect();
        Predictions::new(self.classes, values)
    }

    fn block(&self, x: MatRef<'_>, start: usize, end: usize) -> Vec<f64> {
        let rows = widened(x, start..end);
        let mut scores = scores(
            view(&rows, end - start, self.dim),
            &self.parameters,
            self.outputs(),
        );
        if self.outputs() == 1 {
            return scores
                .iter()
                .flat_map(|z| [sigmoid(-z), sigmoid(*z)])
                .collect();
        }
        for mut row in scores.rows_mut() {
            softmax(
                row.as_slice_mut()
                    .expect("rows of a new matrix are contiguous"),
            );
        }
        scores.into_iter().collect()
    }
}
