//! Non-linearities and their derivatives.

use crate::{
    Level, MatMut, MatRef,
    cpu::Kernel,
    parallel,
    simd::{self, Vector, math},
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

/// The argument of the tanh approximation, doubled: `(1 + tanh(u)) / 2` is `sigmoid(2 u)`.
#[inline(always)]
fn doubled_inner<V: Vector>(x: V) -> V {
    let cubic = x.mul(x).fma(V::splat(GELU_TANH.1), V::splat(1.0));
    x.mul(cubic).mul(V::splat(2.0 * GELU_TANH.0))
}

/// `x` within the range beyond which `Phi` is 0 or 1 to the last digit of a sum with anything of unit size: the tail is 6e-16 at its ends,
/// and products of much smaller ones would not be normal numbers (see [`math::exp`]).
#[inline(always)]
fn within_tails<V: Vector>(x: V) -> V {
    V::splat(8.0).min(V::splat(-8.0).max(x))
}

/// `x * Phi(x)`: from `x` or from 0, less the tail's share. No cancellation on either side.
#[inline(always)]
fn gelu<V: Vector>(x: V) -> V {
    let inner = within_tails(x);
    let (tail, _) = math::normal_tail(inner);
    V::splat(0.0).max(x).sub(math::abs(inner).mul(tail))
}

/// `Phi(x) + x * density(x)`.
#[inline(always)]
fn gelu_derivative<V: Vector>(x: V) -> V {
    let x = within_tails(x);
    let (tail, density) = math::normal_tail(x);
    let phi = math::step(x).fma(tail.fma(V::splat(-2.0), V::splat(1.0)), tail);
    x.mul(V::splat(0.398_942_3)).fma(density, phi)
}

/// With `v = 2 u`: `sigmoid(v) + x sigmoid'(v) v'`.
#[inline(always)]
fn gelu_tanh_derivative<V: Vector>(x: V) -> V {
    let v = doubled_inner(x);
    let slope = x
        .mul(x)
        .fma(V::splat(3.0 * GELU_TANH.1), V::splat(1.0))
        .mul(V::splat(2.0 * GELU_TANH.0));
    math::sigmoid_slope(v)
        .mul(x.mul(slope))
        .add(math::sigmoid(v))
}

/// `f(x)`.
#[inline(always)]
pub(crate) fn apply<V: Vector>(x: V, activation: Activation) -> V {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => x.mul(math::sigmoid(doubled_inner(x))),
        Activation::Relu => V::splat(0.0).max(x),
        Activation::Silu => x.mul(math::sigmoid(x)),
        Activation::Tanh => math::tanh(x),
        Activation::Sigmoid => math::sigmoid(x),
    }
}

/// `f'(x)`.
#[inline(always)]
pub(crate) fn derivative<V: Vector>(x: V, activation: Activation) -> V {
    match activation {
        Activation::Gelu => gelu_derivative(x),
        Activation::GeluTanh => gelu_tanh_derivative(x),
        Activation::Relu => math::step(x),
        Activation::Silu => x.fma(math::sigmoid_slope(x), math::sigmoid(x)),
        Activation::Tanh => math::sigmoid_slope(x.add(x)).mul(V::splat(4.0)),
        Activation::Sigmoid => math::sigmoid_slope(x),
    }
}

/// `y = f(pre)`, value by value.
pub fn activation(level: Level, y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
    struct Block<'a>(&'a mut [f32], &'a [f32], Activation);
    impl Kernel for Block<'_> {
        #[inline(always)]
        fn run<V: Vector>(self) {
            for i in 0..simd::count::<V>(self.0.len()) {
                apply(V::load_at(self.1, i, 0.0), self.2).store_at(self.0, i);
            }
        }
    }
    parallel::zip_rows(y, pre, |y, pre| level.run(Block(y, pre, activation)));
}

/// `d *= f'(pre)`, value by value.
pub fn activation_bwd(level: Level, d: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
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
    parallel::zip_rows(d, pre, |d, pre| level.run(Block(d, pre, activation)));
}
