//! Rotary position embedding (Su et al. 2021), in place, with the pairs of the "rotate half" convention of transformers.
//!
//! ```text
//! a = x[c],  b = x[c + half]         c in 0..half of each head,  half = head_dim / 2
//! x[c] = a * cos[c] - b * sin[c]     x[c + half] = b * cos[c] + a * sin[c]
//! ```
//!
//! 1. A rotation's transpose is its inverse, so the backward is the same call on the gradient with the sines negated.
//! 2. Products are rounded before they are added, as in eager PyTorch, so every level makes the same bits. The time goes into reading and
//!    writing `x`, not into arithmetic that a fused multiply-add would save.

use crate::{
    Level, MatMut, MatRef,
    cpu::Kernel,
    parallel,
    simd::{self, Vector},
};

/// Arguments of [`rotary`].
#[derive(Debug)]
pub struct Rotary<'a> {
    /// Rotated in place; `[t, cols]`, of which the first `heads * head_dim` columns are heads and the others stay as they are.
    pub x: MatMut<'a>,
    /// Number of heads to rotate: in a fused `qkv`, those of q and of k.
    pub heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Row of the table for each row of `x`; `[t]`.
    pub positions: &'a [u32],
    /// Cosines, then sines, of `head_dim / 2` angles for each position; `[positions, head_dim]`.
    pub table: MatRef<'a>,
    /// Whether to rotate back, which is the backward.
    pub inverse: bool,
}

/// Rotates pairs of columns of each head by the angles of the row's position.
pub fn rotary(level: Level, args: Rotary<'_>) {
    let Rotary {
        mut x,
        heads,
        head_dim,
        positions,
        table,
        inverse,
    } = args;
    let cols = x.cols();
    check(x.as_ref(), heads, head_dim, positions, table);
    let block = parallel::rows_of_block(cols);
    parallel::for_parts(x.data(), block * cols, |i, x| {
        let first = i * block;
        level.run(Rotate {
            positions: &positions[first..first + x.len() / cols],
            x,
            cols,
            heads,
            head_dim,
            table,
            inverse,
        });
    });
}

/// Panics unless the shapes agree and every position has a row of the table.
pub(crate) fn check(
    x: MatRef<'_>,
    heads: usize,
    head_dim: usize,
    positions: &[u32],
    table: MatRef<'_>,
) {
    assert!(
        head_dim > 0 && head_dim.is_multiple_of(2) && heads * head_dim <= x.cols(),
        "rotary: heads"
    );
    assert_eq!(
        (positions.len(), table.cols()),
        (x.rows(), head_dim),
        "rotary: positions and table"
    );
    assert!(
        positions.iter().all(|&p| (p as usize) < table.rows()),
        "rotary: a position beyond the table"
    );
}

struct Rotate<'a> {
    x: &'a mut [f32],
    cols: usize,
    heads: usize,
    head_dim: usize,
    positions: &'a [u32],
    table: MatRef<'a>,
    inverse: bool,
}

impl Kernel for Rotate<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let half = self.head_dim / 2;
        let sign = V::splat(if self.inverse { -1.0 } else { 1.0 });
        for (x, &position) in self.x.chunks_exact_mut(self.cols).zip(self.positions) {
            let (cos, sin) = self.table.row(position as usize).split_at(half);
            let heads = &mut x[..self.heads * self.head_dim];
            for head in heads.chunks_exact_mut(self.head_dim) {
                let (first, second) = head.split_at_mut(half);
                for i in 0..simd::count::<V>(half) {
                    let cos = V::load_at(cos, i, 0.0);
                    let sin = V::load_at(sin, i, 0.0).mul(sign);
                    let a = V::load_at(first, i, 0.0);
                    let b = V::load_at(second, i, 0.0);
                    a.mul(cos).sub(b.mul(sin)).store_at(first, i);
                    b.mul(cos).add(a.mul(sin)).store_at(second, i);
                }
            }
        }
    }
}
