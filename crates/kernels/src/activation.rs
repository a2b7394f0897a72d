//! Non-linearities and their derivatives.

use crate::{
    cpu::{self, Kernel},
    parallel,
    simd::{self, Vector},
};

/// Non-linearities of feed-forward and dense layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * Phi(x)` with the exact error function (`gelu`).
    Gelu,
    /// The tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)` (`silu`, `swish`).
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

/// `sqrt(2 / pi)` and the cubic coefficient of the tanh approximation (Hendrycks & Gimpel 2016).
const GELU_TANH: (f32, f32) = (0.797_884_6, 0.044_715);

/// Standard normal distribution function.
#[inline(always)]
fn normal_cdf<V: Vector>(x: V) -> V {
    simd::erf(x.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2))).fma(V::splat(0.5), V::splat(0.5))
}

/// The tanh inside the tanh approximation of GELU.
#[inline(always)]
fn gelu_inner_tanh<V: Vector>(x: V) -> V {
    let cubic = x.mul(x).fma(V::splat(GELU_TANH.1), V::splat(1.0));
    simd::tanh(x.mul(cubic).mul(V::splat(GELU_TANH.0)))
}

/// `f(x)`.
#[inline(always)]
pub(crate) fn apply<V: Vector>(x: V, activation: Activation) -> V {
    match activation {
        Activation::Gelu => x.mul(normal_cdf(x)),
        Activation::GeluTanh => x.mul(gelu_inner_tanh(x).fma(V::splat(0.5), V::splat(0.5))),
        Activation::Relu => x.max(V::splat(0.0)),
        Activation::Silu => x.mul(simd::sigmoid(x)),
        Activation::Tanh => simd::tanh(x),
        Activation::Sigmoid => simd::sigmoid(x),
    }
}

/// `f'(x)`.
#[inline(always)]
pub(crate) fn derivative<V: Vector>(x: V, activation: Activation) -> V {
    let one = V::splat(1.0);
    match activation {
        Activation::Gelu => {
            let density = simd::exp(x.mul(x).mul(V::splat(-0.5))).mul(V::splat(0.398_942_3));
            x.fma(density, normal_cdf(x))
        }
        Activation::GeluTanh => {
            let tanh = gelu_inner_tanh(x);
            let slope = x.mul(x).fma(V::splat(3.0 * GELU_TANH.1), one).mul(V::splat(GELU_TANH.0));
            let rest = x.mul(one.sub(tanh.mul(tanh))).mul(slope);
            V::splat(0.5).mul(one.add(tanh).add(rest))
        }
        Activation::Relu => x.mul(V::splat(f32::MAX)).max(V::splat(0.0)).min(one),
        Activation::Silu => {
            let s = simd::sigmoid(x);
            s.mul(x.fma(one.sub(s), one))
        }
        Activation::Tanh => {
            let tanh = simd::tanh(x);
            one.sub(tanh.mul(tanh))
        }
        Activation::Sigmoid => {
            let s = simd::sigmoid(x);
            s.mul(one.sub(s))
        }
    }
}

/// `d *= f'(pre)`, value by value.
pub fn activation_bwd(d: &mut [f32], pre: &[f32], activation: Activation) {
    struct Block<'a>(&'a mut [f32], &'a [f32], Activation);
    impl Kernel for Block<'_> {
        #[inline(always)]
        fn run<V: Vector>(self) {
            for i in 0..simd::count::<V>(self.0.len()) {
                let slope = derivative(V::load_at(self.1, i, 0.0), self.2);
                V::load_at(self.0, i, 0.0).mul(slope).store_at(self.0, i);
            }
        }
    }
    assert_eq!(d.len(), pre.len());
    parallel::zip_blocks(d, pre, |d, pre| cpu::run(Block(d, pre, activation)));
}
