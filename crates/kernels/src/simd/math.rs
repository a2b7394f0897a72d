//! Elementary functions on vectors, each within 2e-7 of the exact value or of its size.
//!
//! Not a number stays one: `max` and `min` return their second operand (with NEON: NaN) if either is NaN, so the argument comes second.

use super::Vector;

/// `e^x`, relative error below 2e-7; below -64 and above 88 it stays at the values there, 1.6e-28 and 1.7e38.
///
/// Smaller values would change no sum, but times a weight they may leave the normal numbers, and a single such product costs
/// an Intel processor more than a hundred others.
///
/// `e^x = 2^n e^f` with `n = round(x / ln 2)` and `|f| <= ln 2 / 2`; `ln 2` in two parts keeps `f` exact; Taylor to degree 7.
#[inline(always)]
pub(crate) fn exp<V: Vector>(x: V) -> V {
    let x = V::splat(88.0).min(V::splat(-64.0).max(x));
    let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
    let f = n.fma(V::splat(-0.693_359_4), x);
    let f = n.fma(V::splat(2.121_944_4e-4), f);
    let mut p = V::splat(1.0 / 5040.0);
    for c in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = p.fma(f, V::splat(c));
    }
    p.times_power_of_two(n)
}

/// The standard normal distribution at `-|x|`, absolute error below 1.5e-7, and `e^(-x^2 / 2)`.
///
/// With `z = |x| / sqrt(2)` it is `e^(-z^2) erfcx(z) / 2`. `erfcx` falls like `1 / z`, so it is a polynomial in
/// `t = 1 / (1 + 0.55 z)`; a least-squares fit of degree 8, weighted by `e^(-z^2)` and made even by reweighting, is off by 1.5e-8.
/// The usual `(1 + erf) / 2` would lose all digits of the tail, and with it `x * Phi(x)` for large negative `x`.
#[inline(always)]
pub(crate) fn normal_tail<V: Vector>(x: V) -> (V, V) {
    let size = abs(x);
    let density = exp(size.mul(size).mul(V::splat(-0.5)));
    let t = V::splat(1.0).div(size.fma(
        V::splat(0.55 * std::f32::consts::FRAC_1_SQRT_2),
        V::splat(1.0),
    ));
    // Half of the fitted coefficients, highest degree first.
    let mut p = V::splat(-0.030_447_005);
    for c in [
        0.166_575_21,
        -0.333_549_66,
        0.236_492_4,
        0.003_042_29,
        0.149_479_05,
        0.153_171_62,
        0.155_236_13,
    ] {
        p = p.fma(t, V::splat(c));
    }
    (p.mul(t).mul(density), density)
}

/// `|x|`.
#[inline(always)]
pub(crate) fn abs<V: Vector>(x: V) -> V {
    V::splat(0.0).sub(x).max(x)
}

/// 1 where `x` is positive, else 0.
#[inline(always)]
pub(crate) fn step<V: Vector>(x: V) -> V {
    V::splat(1.0).min(V::splat(0.0).max(x.mul(V::splat(f32::MAX))))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<V: Vector>(x: V) -> V {
    let one = V::splat(1.0);
    one.div(one.add(exp(V::splat(0.0).sub(x))))
}

/// Derivative of [`sigmoid`], `e / (1 + e)^2` with `e = e^-|x|`: `s (1 - s)` would lose the digits of `1 - s`.
#[inline(always)]
pub(crate) fn sigmoid_slope<V: Vector>(x: V) -> V {
    let e = exp(V::splat(0.0).sub(abs(x)));
    let sum = e.add(V::splat(1.0));
    e.div(sum.mul(sum))
}

/// Hyperbolic tangent: `2 sigmoid(2x) - 1`. Near 0 its relative error is large, its absolute error is not.
#[inline(always)]
pub(crate) fn tanh<V: Vector>(x: V) -> V {
    sigmoid(x.add(x)).fma(V::splat(2.0), V::splat(-1.0))
}
