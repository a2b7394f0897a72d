//! Elementwise arithmetic on short rows, inside other kernels.

use crate::simd::{Vector, count};

/// `y += x`.
#[inline(always)]
pub(crate) fn add<V: Vector>(y: &mut [f32], x: &[f32]) {
    for i in 0..count::<V>(y.len()) {
        V::load_at(y, i, 0.0)
            .add(V::load_at(x, i, 0.0))
            .store_at(y, i);
    }
}

/// `y = x`.
#[inline(always)]
pub(crate) fn copy<V: Vector>(y: &mut [f32], x: &[f32]) {
    for i in 0..count::<V>(y.len()) {
        V::load_at(x, i, 0.0).store_at(y, i);
    }
}

/// `y *= x`.
#[inline(always)]
pub(crate) fn multiply<V: Vector>(y: &mut [f32], x: &[f32]) {
    for i in 0..count::<V>(y.len()) {
        V::load_at(y, i, 0.0)
            .mul(V::load_at(x, i, 0.0))
            .store_at(y, i);
    }
}

/// `y *= factor`.
#[inline(always)]
pub(crate) fn scale<V: Vector>(y: &mut [f32], factor: f32) {
    for i in 0..count::<V>(y.len()) {
        V::load_at(y, i, 0.0).mul(V::splat(factor)).store_at(y, i);
    }
}
