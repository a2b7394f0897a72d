//! The forward of one head of one text.

use super::{
    distance_scores::DistanceScores,
    head::{Added, Head, HeadSize, Masks},
    products::{Panels, ScoreProduct, Strips},
};
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

/// Keys in strips, values in panels, a block of queries, its scores, the bias, terms of distances.
pub(super) fn scratch_len(size: HeadSize) -> usize {
    let (len, dim) = (size.len, size.shape.head_dim);
    len * dim
        + size.panels_len()
        + dim * PANEL
        + size.scores_len()
        + size.bias_len()
        + size.distances_len()[0]
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
        let size = head.size();
        let (scores, rest) = scratch.split_at_mut(size.scores_len());
        let (values, rest) = rest.split_at_mut(size.panels_len());
        let (queries, rest) = rest.split_at_mut(dim * PANEL);
        let (bias, rest) = rest.split_at_mut(size.bias_len());
        let (strips, rest) = rest.split_at_mut(len * dim);
        let bias = head.pack_bias(bias);
        let strips = Strips::pack::<V>(strips, head.part(1));
        let distances = head.distances();
        let distances = distances.map(
            #[inline(always)]
            |distances| DistanceScores::compute::<V>(&head, distances, rest),
        );
        let added = Added {
            bias: bias.as_ref(),
            distances: distances.as_ref(),
        };
        pack::copy_panels(values, head.part(2));
        for block in head.blocks() {
            let keys = head.keys(&block);
            let scores = &mut scores[..keys.len() * PANEL];
            pack::transpose_panel::<V>(queries, head.part(0).row_range(block.start, block.end));
            head.scores::<V>(scores, &strips, queries, added, &block, &keys);
            let masks = head.masks(&block);
            let (inverse, log_sum) =
                softmax::<V>(scores, head.shape.scale, masks.as_ref(), keys.start);
            let first = head.rows.start + block.start;
            if let Some(lse) = lse {
                write_lse(&head, lse, first, &log_sum[..block.len()]);
            }
            let product = ScoreProduct {
                scores,
                by_query: true,
                queries: block.len(),
                panels: Panels {
                    values,
                    rows: len,
                    first: keys.start,
                    width: dim,
                },
            };
            product.run::<V>(
                0..block.len(),
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

/// Writes this head's log-sum-exp of the rows from `first` on.
#[inline(always)]
fn write_lse(head: &Head<'_>, lse: SharedMut, first: usize, log_sums: &[f32]) {
    for (i, log_sum) in log_sums.iter().enumerate() {
        let at = (first + i) * head.shape.heads + head.head;
        // SAFETY: no other task writes this head's column of this row.
        unsafe { lse.piece(at, 1)[0] = *log_sum };
    }
}

/// Scores `[keys][PANEL]` to masked `exp(scale * (score - largest))` in place; returns the factor that makes them
/// probabilities, and the log-sum-exp, of each query. `first` is the place of the first key in the text.
#[inline(always)]
fn softmax<V: Vector>(
    scores: &mut [f32],
    scale: f32,
    masks: Option<&Masks>,
    first: usize,
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
            rows::multiply::<V>(key, &masks.of_key(first + i));
        }
    }
    (
        total.map(f32::recip),
        std::array::from_fn(|i| largest[i] + total[i].ln()),
    )
}
