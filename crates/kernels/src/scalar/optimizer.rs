//! AdamW (Loshchilov & Hutter 2019) as `torch.optim.AdamW` steps one tensor, and the sum that a gradient norm needs.

use crate::AdamW;

/// One update, all of it in f64.
pub fn adamw(params: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], update: AdamW) {
    let AdamW {
        lr,
        beta1,
        beta2,
        eps,
        weight_decay,
        step,
        grad_scale,
    } = update;
    let [correction1, correction2] = [beta1, beta2].map(|beta| 1.0 - beta.powf(step as f64));
    for (((p, &g), m), v) in params.iter_mut().zip(grads).zip(m).zip(v) {
        let g = f64::from(g) * f64::from(grad_scale);
        let new_m = beta1 * f64::from(*m) + (1.0 - beta1) * g;
        let new_v = beta2 * f64::from(*v) + (1.0 - beta2) * g * g;
        let step = lr * (new_m / correction1) / ((new_v / correction2).sqrt() + eps);
        *p = (f64::from(*p) * (1.0 - lr * weight_decay) - step) as f32;
        (*m, *v) = (new_m as f32, new_v as f32);
    }
}

/// `sum of x^2`.
pub fn sum_squares(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}
