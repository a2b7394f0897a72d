//! The backward of one head of one text.

use std::ops::Range;

use super::{Head, Masks, ScoreProduct, strip_height, transposed_scores};
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
    pub(super) scratch: &'a mut [f32],
}

/// Keys and values in strips, keys in panels; of a block of queries: q and dy transposed, q and dy in panels, `p` and `ds`.
pub(super) fn scratch_len(head: &Head<'_>) -> usize {
    let (len, dim) = (head.len(), head.shape.head_dim);
    2 * len * dim
        + head.panels_len()
        + 2 * dim * PANEL
        + 2 * dim.next_multiple_of(PANEL) * PANEL
        + 2 * len * PANEL
}

/// Of each query of a block.
struct QueryTerms {
    lse: [f32; PANEL],
    d: [f32; PANEL],
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
            scratch,
        } = self;
        let (len, dim) = (head.len(), head.shape.head_dim);
        let (p, rest) = scratch.split_at_mut(len * PANEL);
        let (ds, rest) = rest.split_at_mut(len * PANEL);
        let (key_panels, rest) = rest.split_at_mut(head.panels_len());
        let (block_panels, rest) = rest.split_at_mut(dim.next_multiple_of(PANEL) * PANEL);
        let (transposed, rest) = rest.split_at_mut(dim * PANEL);
        let (keys, rest) = rest.split_at_mut(len * dim);
        let values = &mut rest[..len * dim];
        let height = strip_height::<V>(len);
        pack::transpose_strips::<V>(keys, head.part(1), height);
        pack::transpose_strips::<V>(values, head.part(2), height);
        pack::copy_panels(key_panels, head.part(1));
        for block in head.blocks() {
            let (q, g) = (
                head.part(0).row_range(block.start, block.end),
                dy.row_range(block.start, block.end),
            );
            pack::transpose_panel::<V>(transposed, q);
            transposed_scores::<V>(p, keys, transposed, block.len(), height);
            pack::transpose_panel::<V>(transposed, g);
            transposed_scores::<V>(ds, values, transposed, block.len(), height);
            let terms = QueryTerms::new(&head, g, y.row_range(block.start, block.end), lse, &block);
            gradients::<V>(
                p,
                ds,
                &terms,
                head.shape.scale(),
                head.masks(&block).as_ref(),
            );

            let queries = block.len();
            let write = Write {
                head: &head,
                dqkv,
                add: block.start > 0,
            };
            let product = ScoreProduct {
                scores: ds,
                by_query: true,
                queries,
                panels: key_panels,
                width: dim,
            };
            write.assign_queries::<V>(product, block.start);
            pack::copy_panels(block_panels, q);
            write.keys::<V>(
                1,
                ScoreProduct {
                    scores: ds,
                    by_query: false,
                    queries,
                    panels: block_panels,
                    width: dim,
                },
            );
            pack::copy_panels(block_panels, g);
            write.keys::<V>(
                2,
                ScoreProduct {
                    scores: p,
                    by_query: false,
                    queries,
                    panels: block_panels,
                    width: dim,
                },
            );
        }
    }
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

/// `p` holds scores and becomes masked probabilities; `ds` holds `g . v` and becomes the gradient of `q . k`.
#[inline(always)]
fn gradients<V: Vector>(
    p: &mut [f32],
    ds: &mut [f32],
    terms: &QueryTerms,
    scale: f32,
    masks: Option<&Masks>,
) {
    let scale = V::splat(scale);
    for (i, (p, ds)) in p
        .chunks_exact_mut(PANEL)
        .zip(ds.chunks_exact_mut(PANEL))
        .enumerate()
    {
        let mask = masks.map_or([1.0; PANEL], |masks| masks.of_key(i));
        for lane in (0..PANEL).step_by(V::LANES) {
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
    /// Whether an earlier block has assigned the keys' rows.
    add: bool,
}

impl Write<'_> {
    /// Place of row `row` of part `part` of this head.
    #[inline(always)]
    fn at(&self, part: usize, row: usize) -> usize {
        let (shape, row) = (self.head.shape, self.head.rows.start + row);
        (3 * row + part) * shape.width() + self.head.head * shape.head_dim
    }

    /// Gradients of the block's queries.
    #[inline(always)]
    fn assign_queries<V: Vector>(&self, product: ScoreProduct<'_>, first: usize) {
        product.run::<V>(
            #[inline(always)]
            |i, col, sums| {
                // SAFETY: no other task writes this head's columns of this text's rows.
                let out = unsafe { self.dqkv.piece(self.at(0, first + i) + col, sums.len()) };
                rows::copy::<V>(out, sums);
            },
        );
    }

    /// The block's share of the gradients of all keys (part 1) or values (part 2).
    #[inline(always)]
    fn keys<V: Vector>(&self, part: usize, product: ScoreProduct<'_>) {
        product.run::<V>(
            #[inline(always)]
            |i, col, sums| {
                // SAFETY: no other task writes this head's columns of this text's rows.
                let out = unsafe { self.dqkv.piece(self.at(part, i) + col, sums.len()) };
                if self.add {
                    rows::add::<V>(out, sums);
                } else {
                    rows::copy::<V>(out, sums);
                }
            },
        );
    }
}
