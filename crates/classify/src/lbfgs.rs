//! L-BFGS (Liu and Nocedal 1989) for smooth convex functions, with a backtracking line search.

use std::collections::VecDeque;

/// Corrections that are remembered; scipy's `maxcor`.
const MEMORY: usize = 10;
/// A step must bring this share of the decrease that the slope promises (Nocedal and Wright 2006, equation 3.4).
const SUFFICIENT: f64 = 1e-4;
/// Times a step is shortened before the function counts as flat: what is left is rounding.
const MOST_HALVINGS: usize = 40;
/// A decrease below this share of the value is rounding; the factor is that of scikit-learn's call (`ftol`).
const FLAT: f64 = 64.0 * f64::EPSILON;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Most iterations.
    pub max_iter: usize,
    /// The largest component of the gradient at which the minimum counts as found.
    pub tol: f64,
}

/// Where the search ended.
#[derive(Clone, Debug)]
pub(crate) struct Minimum {
    pub x: Vec<f64>,
    pub iterations: usize,
    /// Largest component of the gradient there.
    pub gradient: f64,
    /// Whether it ended because nothing was left to gain, and not for want of iterations.
    pub converged: bool,
}

/// A point with the value and the gradient there.
struct Point {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// Steps and changes of the gradient, newest last, with one over their product.
#[derive(Default)]
struct History(VecDeque<(Vec<f64>, Vec<f64>, f64)>);

/// The minimum of a function from `start` on. `evaluate` gives the value and writes the gradient.
///
/// Convexity makes the product of step and change of the gradient positive, so that no curvature condition is needed.
pub(crate) fn minimise(
    start: Vec<f64>,
    stop: Stop,
    evaluate: &dyn Fn(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let mut at = Point::new(start, evaluate);
    let mut history = History::default();
    for iteration in 0..stop.max_iter {
        if largest(&at.gradient) <= stop.tol {
            return at.ended(iteration, true);
        }
        let direction = history.direction(&at.gradient);
        let Some(next) = step(&at, &direction, history.0.is_empty(), evaluate) else {
            return at.ended(iteration, true);
        };
        let flat = at.value - next.value <= FLAT * at.value.abs().max(next.value.abs()).max(1.0);
        history.push(
            difference(&next.x, &at.x),
            difference(&next.gradient, &at.gradient),
        );
        at = next;
        if flat {
            return at.ended(iteration + 1, true);
        }
    }
    let converged = largest(&at.gradient) <= stop.tol;
    at.ended(stop.max_iter, converged)
}

/// The next point along `direction`; `None` if no step leads down. The first step has no history to tell its length, and is
/// at most 1 long.
fn step(
    at: &Point,
    direction: &[f64],
    first: bool,
    evaluate: &dyn Fn(&[f64], &mut [f64]) -> f64,
) -> Option<Point> {
    let slope = dot(&at.gradient, direction);
    let mut length = if first {
        1.0_f64.min(1.0 / dot(direction, direction).sqrt())
    } else {
        1.0
    };
    for _ in 0..MOST_HALVINGS {
        let x =
            at.x.iter()
                .zip(direction)
                .map(|(x, d)| x + length * d)
                .collect();
        let next = Point::new(x, evaluate);
        if next.value <= at.value + SUFFICIENT * length * slope {
            return Some(next);
        }
        length *= 0.5;
    }
    None
}

impl Point {
    fn new(x: Vec<f64>, evaluate: &dyn Fn(&[f64], &mut [f64]) -> f64) -> Self {
        let mut gradient = vec![0.0; x.len()];
        let value = evaluate(&x, &mut gradient);
        Self { x, value, gradient }
    }

    fn ended(self, iterations: usize, converged: bool) -> Minimum {
        Minimum {
            gradient: largest(&self.gradient),
            x: self.x,
            iterations,
            converged,
        }
    }
}

impl History {
    fn push(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let product = dot(&step, &change);
        // Not positive only where both are rounding.
        if product > 0.0 {
            self.0.push_back((step, change, 1.0 / product));
        }
        if self.0.len() > MEMORY {
            self.0.pop_front();
        }
    }

    /// Minus the inverse Hessian's estimate times the gradient (Nocedal and Wright 2006, algorithm 7.4).
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(self.0.len());
        for (step, change, rho) in self.0.iter().rev() {
            let share = rho * dot(step, &q);
            add(&mut q, -share, change);
            shares.push(share);
        }
        if let Some((_, change, rho)) = self.0.back() {
            let scale = 1.0 / (rho * dot(change, change));
            q.iter_mut().for_each(|value| *value *= scale);
        }
        for ((step, change, rho), share) in self.0.iter().zip(shares.iter().rev()) {
            let share = share - rho * dot(change, &q);
            add(&mut q, share, step);
        }
        q
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// `y += factor * x`.
fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

fn difference(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x - y).collect()
}

fn largest(x: &[f64]) -> f64 {
    x.iter()
        .fold(0.0, |largest, value| largest.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sum_i i (x_i - 1)^4 + (x_i - 1)^2`, badly scaled and convex.
    fn quartic(x: &[f64], gradient: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for (i, (x, g)) in x.iter().zip(gradient).enumerate() {
            let (scale, d) = (100.0 * i as f64, x - 1.0);
            value += scale * d.powi(4) + d * d;
            *g = 4.0 * scale * d.powi(3) + 2.0 * d;
        }
        value
    }

    #[test]
    fn the_minimum_of_a_quartic_is_found() {
        let minimum = minimise(
            vec![-3.0; 20],
            Stop {
                max_iter: 200,
                tol: 1e-9,
            },
            &quartic,
        );
        assert!(minimum.converged && minimum.gradient <= 1e-9, "{minimum:?}");
        assert!(
            minimum.x.iter().all(|x| (x - 1.0).abs() < 1e-8),
            "{minimum:?}"
        );
        assert!(minimum.iterations < 100, "{}", minimum.iterations);
    }

    #[test]
    fn too_few_iterations_are_told() {
        let minimum = minimise(
            vec![-3.0; 20],
            Stop {
                max_iter: 2,
                tol: 1e-9,
            },
            &quartic,
        );
        assert!(!minimum.converged && minimum.iterations == 2);
    }

    #[test]
    fn a_start_at_the_minimum_is_the_minimum() {
        let minimum = minimise(
            vec![1.0; 3],
            Stop {
                max_iter: 5,
                tol: 1e-9,
            },
            &quartic,
        );
        assert_eq!((minimum.iterations, minimum.converged), (0, true));
    }
}
