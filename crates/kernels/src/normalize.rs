//! Rows scaled to length 1, and its backward.

use rayon::prelude::*;

use crate::{
    MatMut, MatRef,
    attention::dot,
    cpu::{self, Kernel},
    simd::{self, Vector},
};

/// Smallest length that is divided by, as `torch.nn.functional.normalize`.
const SMALLEST: f32 = 1e-12;

struct Scale<'a> {
    x: &'a mut [f32],
    norm: &'a mut f32,
}

impl Kernel for Scale<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        *self.norm = dot::<V>(self.x, self.x).sqrt().max(SMALLEST);
        let norm = V::splat(*self.norm);
        for i in 0..simd::count::<V>(self.x.len()) {
            V::load_at(self.x, i, 0.0).div(norm).store_at(self.x, i);
        }
    }
}

/// Scales each row of `x` to length 1 in place; `norms` `[rows]` receives the lengths, clamped at 1e-12.
pub fn normalize(mut x: MatMut<'_>, norms: &mut [f32]) {
    let cols = x.cols().max(1);
    assert_eq!(x.rows(), norms.len(), "normalize");
    x.data().par_chunks_mut(cols).zip(norms).with_min_len(16).for_each(|(x, norm)| cpu::run(Scale { x, norm }));
}

struct ScaleBackward<'a> {
    d: &'a mut [f32],
    y: &'a [f32],
    norm: f32,
}

impl Kernel for ScaleBackward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (along, norm) = (V::splat(-dot::<V>(self.d, self.y)), V::splat(self.norm));
        for i in 0..simd::count::<V>(self.d.len()) {
            let across = along.fma(V::load_at(self.y, i, 0.0), V::load_at(self.d, i, 0.0));
            across.div(norm).store_at(self.d, i);
        }
    }
}

/// Backward of [`normalize`] in place: `dx = (dy - (dy . y) y) / norm`; `d` holds `dy`, then `dx`.
pub fn normalize_bwd(mut d: MatMut<'_>, y: MatRef<'_>, norms: &[f32]) {
    let cols = d.cols().max(1);
    assert_eq!((d.rows(), d.cols(), d.rows()), (y.rows(), y.cols(), norms.len()), "normalize_bwd");
    d.data().par_chunks_mut(cols).enumerate().with_min_len(16).for_each(|(r, d)| {
        cpu::run(ScaleBackward { d, y: y.row(r), norm: norms[r] });
    });
}
