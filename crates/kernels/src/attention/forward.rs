//! The forward of one head of one text.

use super::{Head, Masks, ScoreProduct, strip_height, transposed_scores};
use crate::{
    cpu::Kernel,
    pack,
    parallel::SharedMut,
    rows,
    simd::{Vector, math},
    tile::PANEL,
};

pub(super) struct Forward<'a> {
    pub(super) head: Head<'a>,
    pub(super) y: SharedMut,
    pub(super) lse: Option<SharedMut>,
    pub(super) scratch: &'a mut [f32],
}

/// Keys in strips, values in panels, a block of queries, its scores.
pub(super) fn scratch_len(head: &Head<'_>) -> usize {
    let (len, dim) = (head.len(), head.shape.head_dim);
    len * dim + head.panels_len() + dim * PANEL + len * PANEL
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self {
            head,
            y,
            lse,
            scratch,
        } = self;
        let (len, dim, heads) = (head.len(), head.shape.head_dim, head.shape.heads);
        let (scores, rest) = scratch.split_at_mut(len * PANEL);
        let (values, rest) = rest.split_at_mut(head.panels_len());
        let (queries, keys) = rest.split_at_mut(dim * PANEL);
        let height = strip_height::<V>(len);
        pack::transpose_strips::<V>(keys, head.part(1), height);
        pack::copy_panels(values, head.part(2));
        for block in head.blocks() {
            pack::transpose_panel::<V>(queries, head.part(0).row_range(block.start, block.end));
            transposed_scores::<V>(scores, keys, queries, block.len(), height);
            let (inverse, log_sum) =
                softmax::<V>(scores, head.shape.scale(), head.masks(&block).as_ref());
            let first = head.rows.start + block.start;
            if let Some(lse) = lse {
                for (i, log_sum) in log_sum.iter().enumerate().take(block.len()) {
                    // SAFETY: no other task writes this head's column of this row.
                    unsafe { lse.piece((first + i) * heads + head.head, 1)[0] = *log_sum };
                }
            }
            let product = ScoreProduct {
                scores,
                by_query: true,
                queries: block.len(),
                panels: values,
                width: dim,
            };
            product.run::<V>(
                #[inline(always)]
                |i, col, sums| {
                    rows::scale::<V>(sums, inverse[i]);
                    let at = (first + i) * heads * dim + head.head * dim + col;
                    // SAFETY: no other task writes this head's columns of this row.
                    rows::copy::<V>(unsafe { y.piece(at, sums.len()) }, sums);
                },
            );
        }
    }
}

/// Scores `[keys][PANEL]` to masked `exp(scale * (score - largest))` in place; returns the factor that makes them
/// probabilities, and the log-sum-exp, of each query.
#[inline(always)]
fn softmax<V: Vector>(
    scores: &mut [f32],
    scale: f32,
    masks: Option<&Masks>,
) -> ([f32; PANEL], [f32; PANEL]) {
    let (mut largest, mut total) = ([0.0; PANEL], [0.0; PANEL]);
    let factor = V::splat(scale);
    for lane in (0..PANEL).step_by(V::LANES) {
        let mut max = V::splat(f32::NEG_INFINITY);
        for key in scores.chunks_exact(PANEL) {
            max = max.max(V::load(&key[lane..]));
        }
        let shift = max.mul(V::splat(-scale));
        let mut sum = V::splat(0.0);
        for key in scores.chunks_exact_mut(PANEL) {
            let p = math::exp(V::load(&key[lane..]).fma(factor, shift));
            sum = sum.add(p);
            p.store(&mut key[lane..]);
        }
        max.mul(factor).store(&mut largest[lane..]);
        sum.store(&mut total[lane..]);
    }
    if let Some(masks) = masks {
        for (i, key) in scores.chunks_exact_mut(PANEL).enumerate() {
            rows::multiply::<V>(key, &masks.of_key(i));
        }
    }
    (
        total.map(f32::recip),
        std::array::from_fn(|i| largest[i] + total[i].ln()),
    )
}
