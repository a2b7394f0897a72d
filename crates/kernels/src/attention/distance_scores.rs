//! The terms of content and distance of all scores of one head of one text, forward and backward.
//!
//! 1. Tokens go in blocks of 32. Their products with the vectors of the distances that they have, one panel of 32 rows after the other,
//!    are put where their distances lie (`distance_rows.rs`); so a table of `n` distances costs about as much as the product of
//!    queries and keys, not twice that.
//! 2. Both terms of all pairs of a text are written into one matrix of scores, block by block of queries as the attention reads it:
//!    `len * len` floats for one head of one text, while it is computed.
//! 3. In the backward the matrix receives the gradients of the scores, which go the same way back: into sums for each token and row of
//!    vectors, [`GROUP`] tokens at a time, and from there into products of up to [`GROUP`] tokens.

use std::ops::Range;

use super::{
    disentangled::{HeadDistances, Run, Side, overlap},
    distance_rows::{DistanceRows, block_start},
    head::Head,
    products::{Panels, ScoreProduct, Strips},
};
use crate::{pack, rows, simd::Vector, tile::PANEL};

/// Tokens whose sums are kept at a time: enough that the products with them cost more than adding these up, few enough that their sums
/// stay in the second-level cache.
const GROUP: usize = 4 * PANEL;

/// The terms of all scores of one head of one text; in the backward the gradients of the scores take their place.
pub(super) struct DistanceScores<'a> {
    distances: HeadDistances<'a>,
    runs: Vec<Run>,
    /// Blocks of [`PANEL`] queries, in each a row for each key.
    scores: &'a mut [f32],
    /// The storage that [`DistanceRows`] works in.
    by_place: &'a mut [f32],
    /// `[PANEL][PANEL]`.
    panel: &'a mut [f32],
}

/// Consecutive parts of `all`.
fn parts(all: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let end = all.end;
    all.step_by(len)
        .map(move |start| start..(start + len).min(end))
}

/// Gradients of the scores of some tokens with one run of vectors, on their way into two products.
struct RunProduct<'a> {
    /// For each token a row of [`PANEL`] sums, one for each vector of the run.
    sums: &'a [f32],
    /// The run's rows of vectors.
    rows: &'a Range<usize>,
    /// Values of a vector.
    dim: usize,
}

impl<'a> RunProduct<'a> {
    fn with(
        &self,
        by_query: bool,
        values: &'a [f32],
        rows: usize,
        first: usize,
    ) -> ScoreProduct<'a> {
        ScoreProduct {
            scores: self.sums,
            by_query,
            queries: self.rows.len(),
            panels: Panels {
                values,
                rows,
                first,
                width: self.dim,
            },
        }
    }

    /// The product with the vectors of the run: gradients of the tokens.
    fn with_vectors(&self, panels: &'a [f32]) -> ScoreProduct<'a> {
        self.with(false, panels, self.rows.len(), 0)
    }

    /// Adds the product with tokens from `first` on, of `len` in panels, to the gradients of all vectors.
    #[inline(always)]
    fn add_with_tokens<V: Vector>(
        &self,
        panels: &'a [f32],
        len: usize,
        first: usize,
        d_vectors: &mut [f32],
    ) {
        self.with(true, panels, len, first).run::<V>(
            0..self.rows.len(),
            #[inline(always)]
            |i, col, sums| {
                let at = (self.rows.start + i) * self.dim + col;
                rows::add::<V>(&mut d_vectors[at..at + sums.len()], sums);
            },
        );
    }
}

impl<'a> DistanceScores<'a> {
    /// Floats of the scratch memory of [`Self::compute`] for a text of `len` tokens and so many runs.
    pub(super) fn scratch_len(len: usize, dim: usize, runs: usize) -> usize {
        len.next_multiple_of(PANEL) * len
            + DistanceRows::storage_len(len)
            + PANEL * PANEL
            + PANEL * dim
            + runs * dim * PANEL
    }

    /// Computes all terms.
    #[inline(always)]
    pub(super) fn compute<V: Vector>(
        head: &Head<'a>,
        distances: HeadDistances<'a>,
        scratch: &'a mut [f32],
    ) -> Self {
        let (len, dim) = (head.len(), head.shape.head_dim);
        let (scores, rest) = scratch.split_at_mut(len.next_multiple_of(PANEL) * len);
        let (by_place, rest) = rest.split_at_mut(DistanceRows::storage_len(len));
        let (panel, rest) = rest.split_at_mut(PANEL * PANEL);
        let (strips, vector_panels) = rest.split_at_mut(PANEL * dim);
        let mut all = Self {
            runs: distances.runs(),
            distances,
            scores,
            by_place,
            panel,
        };
        for term in 0..all.distances.terms.len() {
            let (side, vectors) = all.distances.terms[term];
            for (panel, run) in vector_panels.chunks_exact_mut(dim * PANEL).zip(&all.runs) {
                let vectors = vectors.row_range(run.rows.start, run.rows.end);
                pack::transpose_panel::<V>(panel, vectors);
            }
            for tokens in parts(0..len, PANEL) {
                let part = head.part(side.part());
                let from = part.row_range(tokens.start, tokens.end);
                let strips = Strips::pack::<V>(&mut strips[..tokens.len() * dim], from);
                all.compute_block::<V>(&strips, vector_panels, (side, tokens), term > 0);
            }
        }
        all
    }

    /// Computes one term of the scores of up to [`PANEL`] tokens, and assigns or adds it.
    #[inline(always)]
    fn compute_block<V: Vector>(
        &mut self,
        strips: &Strips<'_>,
        vector_panels: &[f32],
        (side, tokens): (Side, Range<usize>),
        adds: bool,
    ) {
        let (len, numbers) = (self.distances.len, self.distances.rows);
        let mut by_place = DistanceRows::new(self.by_place, side, tokens.clone(), len);
        let panel_len = strips.k() * PANEL;
        for (vectors, run) in vector_panels.chunks_exact(panel_len).zip(&self.runs) {
            let of_run = overlap(&side.tokens(&run.places, len), &tokens);
            if of_run.is_empty() {
                continue;
            }
            let rows = of_run.start - tokens.start..of_run.end - tokens.start;
            let products = &mut self.panel[..rows.len() * PANEL];
            strips.multiply(products, &rows, vectors, run.rows.len());
            for (token, products) in of_run.zip(products.as_chunks().0) {
                by_place.spread(token, run, numbers, products);
            }
        }
        by_place.write::<V>(self.scores, adds);
    }

    /// Scores of a block of queries with all keys, `[keys][PANEL]`.
    pub(super) fn block(&self, queries: &Range<usize>) -> &[f32] {
        let len = self.distances.len;
        &self.scores[block_start(len, queries.start)..][..len * PANEL]
    }

    /// Puts the gradients of a block's scores in the place of the scores.
    pub(super) fn replace<V: Vector>(&mut self, queries: &Range<usize>, ds: &[f32]) {
        let len = self.distances.len;
        let block = &mut self.scores[block_start(len, queries.start)..][..len * PANEL];
        rows::copy::<V>(block, ds);
    }

    /// Floats of the scratch memory of [`Self::backward`] for a text of `len` tokens and so many runs.
    pub(super) fn backward_len(len: usize, dim: usize, runs: usize) -> usize {
        dim.next_multiple_of(PANEL) * PANEL + runs * GROUP.min(len) * PANEL
    }

    /// Multiplies the gradients of all scores into those of queries and keys, which `add` adds to (side, first token, product), and into
    /// those of the vectors, added to `d_vectors`, `[rows, head_dim]` for each term. `tokens` are the queries and the keys in panels.
    #[inline(always)]
    pub(super) fn backward<V: Vector>(
        &mut self,
        tokens: [&[f32]; 2],
        d_vectors: &mut [f32],
        scratch: &mut [f32],
        add: impl Fn(Side, Range<usize>, ScoreProduct<'_>),
    ) {
        let len = self.distances.len;
        let share = d_vectors.len() / self.distances.terms.len().max(1);
        for (term, d_vectors) in d_vectors.chunks_exact_mut(share.max(1)).enumerate() {
            let (side, vectors) = self.distances.terms[term];
            let width = vectors.cols().next_multiple_of(PANEL);
            let (vector_panels, sums) = scratch.split_at_mut(width * PANEL);
            for group in parts(0..len, GROUP) {
                self.gather::<V>(side, &group, sums);
                let sums_of_runs = sums.chunks_exact(GROUP.min(len) * PANEL);
                for (run, sums) in self.runs.iter().zip(sums_of_runs) {
                    let of_run = overlap(&side.tokens(&run.places, len), &group);
                    if of_run.is_empty() {
                        continue;
                    }
                    let vectors = vectors.row_range(run.rows.start, run.rows.end);
                    pack::copy_panels(vector_panels, vectors);
                    let first = of_run.start - group.start;
                    let product = RunProduct {
                        sums: &sums[first * PANEL..][..of_run.len() * PANEL],
                        rows: &run.rows,
                        dim: vectors.cols(),
                    };
                    add(side, of_run.clone(), product.with_vectors(vector_panels));
                    let tokens = tokens[side.part()];
                    product.add_with_tokens::<V>(tokens, len, of_run.start, d_vectors);
                }
            }
        }
    }

    /// Sums of the gradients of the scores of a group of tokens, for each run, token and row.
    #[inline(always)]
    fn gather<V: Vector>(&mut self, side: Side, group: &Range<usize>, sums: &mut [f32]) {
        let (len, numbers) = (self.distances.len, self.distances.rows);
        for tokens in parts(group.clone(), PANEL) {
            let mut by_place = DistanceRows::new(self.by_place, side, tokens.clone(), len);
            by_place.read::<V>(self.scores, self.panel);
            for (run, sums) in self
                .runs
                .iter()
                .zip(sums.chunks_exact_mut(GROUP.min(len) * PANEL))
            {
                let of_run = overlap(&side.tokens(&run.places, len), &tokens);
                for token in of_run {
                    let sums = &mut sums[(token - group.start) * PANEL..];
                    let sums = sums.first_chunk_mut().expect("a panel of sums");
                    by_place.gather(token, run, numbers, sums);
                }
            }
        }
    }
}
