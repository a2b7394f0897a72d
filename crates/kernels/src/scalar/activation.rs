//! Activations and their derivatives in f64, from the formulas of torch.nn.functional.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::{Activation, MatMut, MatRef};

/// Coefficient of the cubic term of the tanh approximation (Hendrycks & Gimpel 2016).
const CUBIC: f64 = 0.044715;

/// `f(x)`.
pub fn activate(activation: Activation, x: f32) -> f32 {
    activate_f64(activation, x) as f32
}

/// [`activate`] before it is rounded.
pub(super) fn activate_f64(activation: Activation, x: f32) -> f64 {
    let x = f64::from(x);
    match activation {
        Activation::Gelu => x * normal_cdf(x),
        Activation::GeluTanh => 0.5 * x * (1.0 + tanh_argument(x).tanh()),
        Activation::Relu => x.max(0.0),
        Activation::Silu => x * sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
    }
}

/// `f'(x)`.
pub fn derivative(activation: Activation, x: f32) -> f32 {
    derivative_f64(activation, x) as f32
}

/// [`derivative`] before it is rounded.
pub(super) fn derivative_f64(activation: Activation, x: f32) -> f64 {
    let x = f64::from(x);
    match activation {
        Activation::Gelu => normal_cdf(x) + x * (-0.5 * x * x).exp() / (2.0 * PI).sqrt(),
        Activation::GeluTanh => gelu_tanh_derivative(x),
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::Silu => sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
        Activation::Tanh => 1.0 - x.tanh() * x.tanh(),
        Activation::Sigmoid => sigmoid(x) * (1.0 - sigmoid(x)),
    }
}

/// `y = f(pre)`.
pub fn activation(mut y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
    for row in 0..pre.rows() {
        for (y, &x) in y.row(row).iter_mut().zip(pre.row(row)) {
            *y = activate(activation, x);
        }
    }
}

/// `d *= f'(pre)`.
pub fn activation_bwd(mut d: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
    for row in 0..pre.rows() {
        for (d, &x) in d.row(row).iter_mut().zip(pre.row(row)) {
            *d *= derivative(activation, x);
        }
    }
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * (1.0 + libm::erf(x * FRAC_1_SQRT_2))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn tanh_argument(x: f64) -> f64 {
    (2.0 / PI).sqrt() * (x + CUBIC * x * x * x)
}

fn gelu_tanh_derivative(x: f64) -> f64 {
    let t = tanh_argument(x).tanh();
    let slope = (2.0 / PI).sqrt() * (1.0 + 3.0 * CUBIC * x * x);
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
}
