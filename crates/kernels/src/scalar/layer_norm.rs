//! Layer normalisation (Ba et al. 2016) of each row, with biased variance; not centred, with 0 for the mean.

use crate::{LayerNorm, LayerNormBackward};

/// `y = (x - mean) / sqrt(variance + eps) * gamma + beta`; `stats` receives mean and 1/deviation of each row.
pub fn layer_norm(args: LayerNorm<'_>) {
    let LayerNorm {
        mut y,
        mut stats,
        x,
        gamma,
        beta,
        eps,
        centred,
    } = args;
    for row in 0..x.rows() {
        let (mean, inverse) = moments(x.row(row), eps, centred);
        for (col, y) in y.row(row).iter_mut().enumerate() {
            let standard = (f64::from(x.row(row)[col]) - mean) * inverse;
            let shift = beta.map_or(0.0, |beta| f64::from(beta[col]));
            *y = (standard * f64::from(gamma[col]) + shift) as f32;
        }
        if let Some(stats) = &mut stats {
            stats
                .row(row)
                .copy_from_slice(&[mean as f32, inverse as f32]);
        }
    }
}

fn moments(x: &[f32], eps: f32, centred: bool) -> (f64, f64) {
    let sum = x.iter().map(|&x| f64::from(x)).sum::<f64>();
    let mean = if centred { sum / x.len() as f64 } else { 0.0 };
    let variance = x
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / x.len() as f64;
    (mean, 1.0 / (variance + f64::from(eps)).sqrt())
}

/// With `h = dy * gamma` and `s` the standardised row: `dx = (h - mean(h) - s * mean(h * s)) / deviation + residual`, without `mean(h)` if not centred,
/// `dgamma += sum of dy * s`, `dbeta += sum of dy`.
pub fn layer_norm_bwd(args: LayerNormBackward<'_>) {
    let LayerNormBackward {
        mut dx,
        mut dgamma,
        mut dbeta,
        dy,
        x,
        stats,
        gamma,
        centred,
        residual,
    } = args;
    let width = x.cols();
    for row in 0..x.rows() {
        let &[mean, inverse] = stats.row(row) else {
            panic!("mean and deviation")
        };
        let s = |col: usize| f64::from((x.row(row)[col] - mean) * inverse);
        let h = |col: usize| f64::from(dy.row(row)[col]) * f64::from(gamma[col]);
        let sum_h = (0..width).map(h).sum::<f64>();
        let mean_h = if centred { sum_h / width as f64 } else { 0.0 };
        let mean_hs = (0..width).map(|col| h(col) * s(col)).sum::<f64>() / width as f64;
        for col in 0..width {
            let own = f64::from(inverse) * (h(col) - mean_h - s(col) * mean_hs);
            let other = residual.map_or(0.0, |residual| f64::from(residual.row(row)[col]));
            dx.row(row)[col] = (own + other) as f32;
            add_to(&mut dgamma, col, dy.row(row)[col] * s(col) as f32);
            add_to(&mut dbeta, col, dy.row(row)[col]);
        }
    }
}

fn add_to(sums: &mut Option<&mut [f32]>, col: usize, value: f32) {
    if let Some(sums) = sums {
        sums[col] += value;
    }
}
