//! The forward of one head of one text.

use std::ops::Range;

use super::{
    distance_scores::DistanceScores,
    head::{Added, Head, HeadSize},
    integers::{self, Columns},
    products::{Panels, ScoreProduct, Strips},
};
use crate::{
    cpu::Kernel,
    pack,
    parallel::SharedMut,
    rows,
    simd::{Vector, math},
    tile::{Multiply, PANEL},
};

pub(super) struct Forward<'a> {
    pub(super) head: Head<'a>,
    pub(super) y: SharedMut,
    pub(super) lse: Option<SharedMut>,
    /// The register tile of 16-bit integers, if they may be used.
    pub(super) integers: Option<Multiply>,
    pub(super) scratch: &'a mut [f32],
}

/// Keys in strips, values in panels, a block of queries, its scores, the bias, terms of distances; or what integers take.
pub(super) fn scratch_len(size: HeadSize) -> usize {
    let (len, dim) = (size.len, size.shape.head_dim);
    let floats = len * dim
        + size.panels_len()
        + dim * PANEL
        + size.scores_len()
        + size.bias_len()
        + size.distances_len()[0];
    floats.max(integers::scratch_len(size))
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let done = match self.integers {
            Some(multiply) => integers::forward::<V>(&self.head, self.y, multiply, self.scratch),
            None => false,
        };
        if !done {
            self.floats::<V>();
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn floats<V: Vector>(self) {
        let Self {
            head,
            y,
            lse,
            scratch,
            ..
        } = self;
        let (len, dim) = (head.len(), head.shape.head_dim);
        let size = head.size();
        let (scores, rest) = scratch.split_at_mut(size.scores_len());
        let (values, rest) = rest.split_at_mut(size.panels_len());
        let (queries, rest) = rest.split_at_mut(dim * PANEL);
        let (bias, rest) = rest.split_at_mut(size.bias_len());
        let (strips, rest) = rest.split_at_mut(len * dim);
        let bias = head.pack_bias(bias, head.shape.scale);
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
        let values = Values {
            head: &head,
            y,
            panels: values,
            rows: len,
            multiply: V::multiply,
            columns: None,
        };
        for block in head.blocks() {
            let keys = head.keys(&block);
            let scores = &mut scores[..keys.len() * PANEL];
            pack::transpose_panel::<V>(queries, head.part(0).row_range(block.start, block.end));
            head.scores::<V>(scores, &strips, queries, added, &block, &keys);
            let sums = Sums::exponentials::<V>(scores, head.shape.scale, block.len());
            if let Some(masks) = head.masks(&block) {
                masks.apply::<V>(scores, &keys);
            }
            if let Some(lse) = lse {
                sums.write_lse(&head, lse, &block);
            }
            let factors = sums.totals.map(f32::recip);
            values.multiply::<V>(&block, scores, keys.start, &factors);
        }
    }
}

/// The values of a head, packed, and where their products with scores go.
pub(super) struct Values<'a> {
    pub(super) head: &'a Head<'a>,
    pub(super) y: SharedMut,
    pub(super) panels: &'a [f32],
    /// Rows of each panel: keys, or pairs of keys.
    pub(super) rows: usize,
    /// The register tile of their format.
    pub(super) multiply: Multiply,
    /// What the columns of integers stand for.
    pub(super) columns: Option<&'a Columns<'a>>,
}

impl Values<'_> {
    /// Writes the rows of a block of queries, each times its factor. The first row of `scores` belongs to row `first` of the panels.
    #[inline(always)]
    pub(super) fn multiply<V: Vector>(
        &self,
        block: &Range<usize>,
        scores: &[f32],
        first: usize,
        factors: &[f32; PANEL],
    ) {
        let shape = self.head.shape;
        let product = ScoreProduct {
            scores,
            by_query: true,
            queries: block.len(),
            panels: Panels {
                values: self.panels,
                rows: self.rows,
                first,
                width: shape.head_dim,
            },
        };
        let first_row = self.head.rows.start + block.start;
        product.run_words::<V>(
            self.multiply,
            0..block.len(),
            #[inline(always)]
            |i, col, sums| {
                rows::scale::<V>(sums, factors[i]);
                if let Some(columns) = self.columns {
                    columns.back::<V>(sums, col);
                }
                let at = (first_row + i) * shape.width() + self.head.head * shape.head_dim + col;
                // SAFETY: no other task writes this head's columns of this row.
                rows::copy::<V>(unsafe { self.y.piece(at, sums.len()) }, sums);
            },
        );
    }
}

/// What the softmax of a block sums up, one query a lane.
pub(super) struct Sums {
    /// The largest scaled score.
    largest: [f32; PANEL],
    /// The sum of the exponentials.
    pub(super) totals: [f32; PANEL],
}

impl Sums {
    /// Scores `[keys][PANEL]` to `exp(scale * (score - largest))` in place.
    ///
    /// Lanes past those of the last query are left alone: what they hold may be numbers so small that a product of one costs an Intel
    /// processor more than a hundred others.
    #[inline(always)]
    pub(super) fn exponentials<V: Vector>(scores: &mut [f32], scale: f32, queries: usize) -> Self {
        let (mut largest, mut totals) = ([0.0; PANEL], [0.0; PANEL]);
        let factor = V::splat(scale);
        for lane in (0..queries).step_by(V::LANES) {
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
            sum.store(&mut totals[lane..]);
        }
        Self { largest, totals }
    }

    /// Writes this head's log-sum-exp of the rows of a block.
    fn write_lse(&self, head: &Head<'_>, lse: SharedMut, block: &Range<usize>) {
        for (i, query) in block.clone().enumerate() {
            let at = (head.rows.start + query) * head.shape.heads + head.head;
            // SAFETY: no other task writes this head's column of this row.
            unsafe { lse.piece(at, 1)[0] = self.largest[i] + self.totals[i].ln() };
        }
    }
}
