//! The backward of one head of one text.

use std::ops::Range;

use super::{
    distance_scores::DistanceScores,
    head::{Added, Head, HeadSize, Masks},
    products::{Panels, ScoreProduct, Strips},
    relative::{self, Collected, HeadBias},
};
use crate::{
    MatRef,
    cpu::Kernel,
    pack,
    parallel::SharedMut,
    rows,
    simd::{Vector, math},
    tile::PANEL,
};

pub(super) struct Backward<'a> {
    pub(super) head: Head<'a>,
    pub(super) dqkv: SharedMut,
    /// This head's part of the text, as `y`.
    pub(super) dy: MatRef<'a>,
    pub(super) y: MatRef<'a>,
    /// Of all texts and heads.
    pub(super) lse: MatRef<'a>,
    /// Receives this head's sums of the gradient of the bias; see `relative::Collected`.
    pub(super) d_bias: Option<SharedMut>,
    /// Receives this head's sums of the gradients of the vectors of distances; empty without them.
    pub(super) d_vectors: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

/// Keys and values in strips, keys in panels; of a block of queries: q or dy transposed, q or dy in panels, `p` and `ds`; the bias and
/// the sums of its gradient; with vectors of distances, what their scores need, the queries in panels, and what goes back to them.
pub(super) fn scratch_len(size: HeadSize) -> usize {
    let (len, dim) = (size.len, size.shape.head_dim);
    2 * len * dim
        + size.panels_len()
        + dim * PANEL
        + dim.next_multiple_of(PANEL) * PANEL
        + 2 * size.scores_len()
        + 2 * size.bias_len()
        + size.distances_len().iter().sum::<usize>()
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self {
            head,
            dqkv,
            dy,
            y,
            lse,
            d_bias,
            d_vectors,
            scratch,
        } = self;
        let mut buffers = Buffers::pack::<V>(&head, scratch);
        let write = Write { head: &head, dqkv };
        // End of the keys that earlier blocks saw. Ranges of keys ascend with the blocks and leave no gap, since a query sees
        // its own key.
        let mut reached = 0;
        for queries in head.blocks() {
            let block = Block {
                q: head.part(0).row_range(queries.start, queries.end),
                dy: dy.row_range(queries.start, queries.end),
                keys: head.keys(&queries),
                queries,
            };
            let y = y.row_range(block.queries.start, block.queries.end);
            let terms = QueryTerms::new(&head, block.dy, y, lse, &block.queries);
            buffers.gradients_of_scores::<V>(&head, &block, &terms);
            buffers.multiply::<V>(&write, &block, reached);
            reached = block.keys.end;
        }
        buffers.gradients_of_distances::<V>(&write, d_vectors);
        if let Some(d_bias) = d_bias {
            let (len, heads) = (head.len(), head.shape.heads);
            let start = Collected::start(&head.rows, heads, head.head);
            // SAFETY: no other task writes the sums of this head of this text.
            let out = unsafe { d_bias.piece(start, 2 * len - 1) };
            out.copy_from_slice(&buffers.d_bias[..2 * len - 1]);
        }
    }
}

/// A block of queries, the keys that at least one of them sees, and their rows.
struct Block<'a> {
    queries: Range<usize>,
    keys: Range<usize>,
    q: MatRef<'a>,
    dy: MatRef<'a>,
}

/// The parts of the scratch memory; see [`scratch_len`].
struct Buffers<'a> {
    p: &'a mut [f32],
    ds: &'a mut [f32],
    key_panels: &'a mut [f32],
    /// Rows of the block, q or dy.
    block_panels: &'a mut [f32],
    /// Rows of the block, q or dy, transposed.
    transposed: &'a mut [f32],
    key_strips: Strips<'a>,
    value_strips: Strips<'a>,
    bias: Option<HeadBias<'a>>,
    /// By distance; empty without a bias.
    d_bias: &'a mut [f32],
    distances: Option<DistanceBuffers<'a>>,
}

/// What vectors of distances need besides.
struct DistanceBuffers<'a> {
    scores: DistanceScores<'a>,
    query_panels: &'a mut [f32],
    /// Scratch memory of the backward of the scores.
    scratch: &'a mut [f32],
}

impl<'a> Buffers<'a> {
    /// Packs what all blocks share.
    #[inline(always)]
    fn pack<V: Vector>(head: &Head<'a>, scratch: &'a mut [f32]) -> Self {
        let (len, dim) = (head.len(), head.shape.head_dim);
        let size = head.size();
        let (p, rest) = scratch.split_at_mut(size.scores_len());
        let (ds, rest) = rest.split_at_mut(size.scores_len());
        let (key_panels, rest) = rest.split_at_mut(size.panels_len());
        let (block_panels, rest) = rest.split_at_mut(dim.next_multiple_of(PANEL) * PANEL);
        let (transposed, rest) = rest.split_at_mut(dim * PANEL);
        let (key_strips, rest) = rest.split_at_mut(len * dim);
        let (value_strips, rest) = rest.split_at_mut(len * dim);
        let (bias, rest) = rest.split_at_mut(size.bias_len());
        let (d_bias, rest) = rest.split_at_mut(size.bias_len());
        d_bias.fill(0.0);
        pack::copy_panels(key_panels, head.part(1));
        let key_strips = Strips::pack::<V>(key_strips, head.part(1));
        let distances = DistanceBuffers::pack::<V>(head, rest);
        Self {
            p,
            ds,
            key_panels,
            block_panels,
            transposed,
            key_strips,
            value_strips: Strips::pack::<V>(value_strips, head.part(2)),
            bias: head.pack_bias(bias, head.shape.scale),
            d_bias,
            distances,
        }
    }

    /// Masked probabilities of a block in `p`, the gradients of its scores in `ds`.
    #[inline(always)]
    fn gradients_of_scores<V: Vector>(
        &mut self,
        head: &Head<'_>,
        block: &Block<'_>,
        terms: &QueryTerms,
    ) {
        let (keys, queries) = (&block.keys, block.queries.len());
        let p = &mut self.p[..keys.len() * PANEL];
        let ds = &mut self.ds[..keys.len() * PANEL];
        pack::transpose_panel::<V>(self.transposed, block.q);
        let added = Added {
            bias: self.bias.as_ref(),
            distances: self.distances.as_ref().map(|distances| &distances.scores),
        };
        head.scores::<V>(
            p,
            &self.key_strips,
            self.transposed,
            added,
            &block.queries,
            keys,
        );
        pack::transpose_panel::<V>(self.transposed, block.dy);
        self.value_strips
            .multiply(ds, keys, self.transposed, queries);
        let masks = head.masks(&block.queries);
        gradients::<V>(p, ds, terms, head.shape.scale, masks.as_ref(), keys.start);
        if self.bias.is_some() {
            relative::collect::<V>(self.d_bias, ds, head.len(), &block.queries, keys);
        }
        if let Some(distances) = &mut self.distances {
            distances.scores.replace::<V>(&block.queries, ds);
        }
    }

    /// Multiplies what [`Self::gradients_of_scores`] found into the gradients of queries, keys and values.
    #[inline(always)]
    fn multiply<V: Vector>(&mut self, write: &Write<'_>, block: &Block<'_>, reached: usize) {
        let (keys, queries) = (&block.keys, block.queries.len());
        let (len, width) = (write.head.len(), write.head.shape.head_dim);
        let p = &self.p[..keys.len() * PANEL];
        let ds = &self.ds[..keys.len() * PANEL];
        let product = ScoreProduct {
            scores: ds,
            by_query: true,
            queries,
            panels: Panels {
                values: self.key_panels,
                rows: len,
                first: keys.start,
                width,
            },
        };
        write.assign::<V>(0, block.queries.start, 0..queries, &product);
        for (part, rows, scores) in [(1, block.q, ds), (2, block.dy, p)] {
            pack::copy_panels(self.block_panels, rows);
            let product = ScoreProduct {
                scores,
                by_query: false,
                queries,
                panels: Panels {
                    values: self.block_panels,
                    rows: queries,
                    first: 0,
                    width,
                },
            };
            // Two passes over the rows, so that no loop has to ask which rows were assigned before.
            let assigned = reached.saturating_sub(keys.start);
            write.add::<V>(part, keys.start, 0..assigned, &product);
            write.assign::<V>(part, keys.start, assigned..keys.len(), &product);
        }
    }

    /// Multiplies the gradients of all scores into those of the vectors of distances, and of queries and keys through them.
    #[inline(always)]
    fn gradients_of_distances<V: Vector>(&mut self, write: &Write<'_>, d_vectors: &mut [f32]) {
        let Some(distances) = &mut self.distances else {
            return;
        };
        distances.scores.backward::<V>(
            [distances.query_panels, self.key_panels],
            d_vectors,
            distances.scratch,
            #[inline(always)]
            |side, tokens, product| {
                write.add::<V>(side.part(), tokens.start, 0..tokens.len(), &product);
            },
        );
    }
}

impl<'a> DistanceBuffers<'a> {
    /// Computes the terms of all scores and packs what their backward needs; `None` without vectors of distances.
    #[inline(always)]
    fn pack<V: Vector>(head: &Head<'a>, scratch: &'a mut [f32]) -> Option<Self> {
        let distances = head.distances()?;
        let size = head.size();
        let (scores, rest) = scratch.split_at_mut(size.distances_len()[0]);
        let (query_panels, scratch) = rest.split_at_mut(size.panels_len());
        pack::copy_panels(query_panels, head.part(0));
        Some(Self {
            scores: DistanceScores::compute::<V>(head, distances, scores),
            query_panels,
            scratch,
        })
    }
}

/// Log-sum-exp and `D` of each query of a block.
struct QueryTerms {
    queries: usize,
    lse: [f32; PANEL],
    d: [f32; PANEL],
}

impl QueryTerms {
    #[inline(always)]
    fn new(
        head: &Head<'_>,
        g: MatRef<'_>,
        y: MatRef<'_>,
        lse: MatRef<'_>,
        block: &Range<usize>,
    ) -> Self {
        let mut terms = Self {
            queries: block.len(),
            lse: [0.0; PANEL],
            d: [0.0; PANEL],
        };
        for (i, query) in block.clone().enumerate() {
            terms.lse[i] = lse.row(head.rows.start + query)[head.head];
            terms.d[i] = g.row(i).iter().zip(y.row(i)).map(|(g, y)| g * y).sum();
        }
        terms
    }
}

/// `p` holds scores and becomes masked probabilities; `ds` holds `g . v` and becomes the gradient of `q . k`. `first` is the place of
/// the first key in the text.
#[inline(always)]
fn gradients<V: Vector>(
    p: &mut [f32],
    ds: &mut [f32],
    terms: &QueryTerms,
    scale: f32,
    masks: Option<&Masks>,
    first: usize,
) {
    let scale = V::splat(scale);
    for (i, (p, ds)) in p
        .chunks_exact_mut(PANEL)
        .zip(ds.chunks_exact_mut(PANEL))
        .enumerate()
    {
        let mask = masks.map_or([1.0; PANEL], |masks| masks.of_key(first + i));
        for lane in (0..terms.queries).step_by(V::LANES) {
            let shift = V::splat(0.0).sub(V::load(&terms.lse[lane..]));
            let probability = math::exp(V::load(&p[lane..]).fma(scale, shift));
            let mask = V::load(&mask[lane..]);
            let d_probability = V::load(&ds[lane..])
                .mul(mask)
                .sub(V::load(&terms.d[lane..]));
            d_probability
                .mul(probability)
                .mul(scale)
                .store(&mut ds[lane..]);
            probability.mul(mask).store(&mut p[lane..]);
        }
    }
}

/// Where gradients go.
struct Write<'a> {
    head: &'a Head<'a>,
    dqkv: SharedMut,
}

impl Write<'_> {
    /// Place of row `row` of part `part` of this head.
    #[inline(always)]
    fn at(&self, part: usize, row: usize) -> usize {
        let (shape, row) = (self.head.shape, self.head.rows.start + row);
        (3 * row + part) * shape.width() + self.head.head * shape.head_dim
    }

    /// Assigns some rows of a product, whose first is that of token `first` of the text, to the gradients of queries (part 0), keys (1) or
    /// values (2).
    #[inline(always)]
    fn assign<V: Vector>(
        &self,
        part: usize,
        first: usize,
        rows: Range<usize>,
        product: &ScoreProduct<'_>,
    ) {
        product.run::<V>(
            rows,
            #[inline(always)]
            |i, col, sums| {
                // SAFETY: no other task writes this head's columns of this text's rows.
                let out = unsafe { self.dqkv.piece(self.at(part, first + i) + col, sums.len()) };
                rows::copy::<V>(out, sums);
            },
        );
    }

    /// As [`Self::assign`], but adds.
    #[inline(always)]
    fn add<V: Vector>(
        &self,
        part: usize,
        first: usize,
        rows: Range<usize>,
        product: &ScoreProduct<'_>,
    ) {
        product.run::<V>(
            rows,
            #[inline(always)]
            |i, col, sums| {
                // SAFETY: no other task writes this head's columns of this text's rows.
                let out = unsafe { self.dqkv.piece(self.at(part, first + i) + col, sums.len()) };
                rows::add::<V>(out, sums);
            },
        );
    }
}
