//! Rows scaled to length 1 (`torch.nn.functional.normalize`: the length is clamped at 1e-12).
//!
//! One row a text, so plain loops suffice; lengths are summed in f64.

use crate::{MatMut, MatRef};

const SHORTEST: f32 = 1e-12;

/// `x /= max(|x|, 1e-12)` for each row; `norms` receives the divisors.
pub fn normalize(mut x: MatMut<'_>, norms: &mut [f32]) {
    assert_eq!(norms.len(), x.rows(), "one norm a row");
    for (row, norm) in norms.iter_mut().enumerate() {
        let x = x.row(row);
        *norm = (dot(x, x).sqrt() as f32).max(SHORTEST);
        x.iter_mut().for_each(|x| *x /= *norm);
    }
}

/// `d = (d - (d . y) y) / norm` for each row, from the output `y`. A clamped length is a constant: then `d = d / norm`.
pub fn normalize_bwd(mut d: MatMut<'_>, y: MatRef<'_>, norms: &[f32]) {
    assert_eq!(
        (y.rows(), y.cols(), norms.len()),
        (d.rows(), d.cols(), d.rows()),
        "shapes of a normalisation"
    );
    for (row, &norm) in norms.iter().enumerate() {
        let (d, y) = (d.row(row), y.row(row));
        let along = if norm > SHORTEST {
            dot(d, y) as f32
        } else {
            0.0
        };
        for (d, y) in d.iter_mut().zip(y) {
            *d = (*d - along * y) / norm;
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}
