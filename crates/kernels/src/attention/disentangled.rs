//! Scores with terms of content and distance, as DeBERTa has them (He et al. 2021).
//!
//! ```text
//! s[i][j] = scale * (q[i] . k[j] + q[i] . K[r] + k[j] . Q[r])              r = row of the distance i - j
//! ```
//! 1. Products are computed for runs of up to 32 rows, the width of a panel, by the tokens that occur at their distances: a table of
//!    `n` distances costs about as much as the product of queries and keys, not twice that.
//! 2. Both terms of all pairs of a text are spread into one matrix of scores, block by block of queries as the attention reads it:
//!    `len * len` floats for one head of one text, while it is computed.
//! 3. In the backward the matrix receives the gradients of the scores, and the same runs gather from it.

use std::ops::Range;

use super::{
    AttentionMask, AttentionShape, Spans,
    head::Head,
    products::{Panels, ScoreProduct, Strips},
};
use crate::{MatRef, pack, rows, simd::Vector, tile::PANEL};

/// Vectors of distances that queries and keys are multiplied with.
#[derive(Clone, Copy, Debug)]
pub struct Disentangled<'a> {
    /// `[rows, columns]`.
    pub vectors: MatRef<'a>,
    /// First of the columns, as many as all heads have, that queries are multiplied with.
    pub for_queries: Option<usize>,
    /// First of the columns, as many as all heads have, that keys are multiplied with.
    pub for_keys: Option<usize>,
    /// `2 reach + 1` ascending numbers of rows: query `i` and key `j` have that at place `reach + i - j`. `reach` is at least the length
    /// of the longest text, less one.
    pub rows: &'a [u32],
}

/// Which operand of the scores a vector is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Queries,
    Keys,
}

impl<'a> Disentangled<'a> {
    /// Panics unless the columns are there, and a row for each distance in the longest text; and on a mask, which would leave scores
    /// without a gradient.
    pub(super) fn check(self, shape: AttentionShape, spans: Spans<'_>) {
        let longest = (0..spans.texts()).map(|text| spans.rows(text).len()).max();
        assert!(
            self.terms()
                .all(|(_, first)| first + shape.width() <= self.vectors.cols()),
            "attention: columns of the vectors of distances"
        );
        assert!(
            self.rows.len() % 2 == 1 && self.rows.is_sorted(),
            "attention: rows of distances ascend"
        );
        assert!(
            longest.is_none_or(|longest| longest <= self.rows.len() / 2 + 1),
            "attention: distances"
        );
        assert!(
            self.rows
                .last()
                .is_none_or(|last| (*last as usize) < self.vectors.rows()),
            "attention: vectors of distances"
        );
        assert_eq!(shape.mask, AttentionMask::FULL, "attention: mask");
    }

    /// Both sides, or the one there is, with their first columns.
    fn terms(self) -> impl Iterator<Item = (Side, usize)> {
        let terms = [
            (Side::Queries, self.for_queries),
            (Side::Keys, self.for_keys),
        ];
        terms
            .into_iter()
            .filter_map(|(side, first)| Some((side, first?)))
    }

    /// Number of terms.
    pub(super) fn count(self) -> usize {
        self.terms().count()
    }

    /// First column of each term.
    pub(super) fn columns(self) -> impl Iterator<Item = usize> {
        self.terms().map(|(_, first)| first)
    }

    /// What one head of a text of `len` tokens is multiplied with.
    pub(super) fn of_head(self, head: usize, len: usize, dim: usize) -> HeadDistances<'a> {
        let reach = self.rows.len() / 2;
        let terms = self.terms().map(|(side, first)| {
            let first = first + head * dim;
            (side, self.vectors.col_range(first, first + dim))
        });
        HeadDistances {
            terms: terms.collect(),
            rows: &self.rows[reach + 1 - len..reach + len],
            len,
        }
    }
}

impl Side {
    /// The part of a fused q, k and v.
    pub(super) fn part(self) -> usize {
        match self {
            Self::Queries => 0,
            Self::Keys => 1,
        }
    }

    /// Tokens of a text of `len` that occur on this side of a pair at one of `places`; a place is `len - 1 + query - key`.
    fn tokens(self, places: &Range<usize>, len: usize) -> Range<usize> {
        match self {
            Self::Queries => (places.start + 1).saturating_sub(len)..places.end.min(len),
            Self::Keys => len.saturating_sub(places.end)..(2 * len - 1 - places.start).min(len),
        }
    }

    /// Calls `pair` with each of `places` at which `token` has a partner in its text, and where their score lies.
    #[inline(always)]
    fn pairs(
        self,
        token: usize,
        places: &Range<usize>,
        len: usize,
        mut pair: impl FnMut(usize, usize),
    ) {
        match self {
            Self::Queries => {
                let first = score_at(len, token, 0);
                for place in places.start.max(token)..places.end.min(token + len) {
                    pair(place, first + (token + len - 1 - place) * PANEL);
                }
            }
            Self::Keys => {
                let nearest = len - 1 - token;
                for place in places.start.max(nearest)..places.end.min(nearest + len) {
                    pair(place, score_at(len, place - nearest, token));
                }
            }
        }
    }
}

/// Where the score of a query with a key lies: blocks of [`PANEL`] queries, in each a row for each key.
#[inline(always)]
fn score_at(len: usize, query: usize, key: usize) -> usize {
    (query / PANEL * len + key) * PANEL + query % PANEL
}

/// Up to [`PANEL`] consecutive rows of vectors, and the places of their distances.
struct Run {
    rows: Range<usize>,
    places: Range<usize>,
}

/// The vectors of one head of one text.
pub(super) struct HeadDistances<'a> {
    /// `[rows, head_dim]` for each side.
    terms: Vec<(Side, MatRef<'a>)>,
    /// By `len - 1 + query - key`.
    rows: &'a [u32],
    len: usize,
}

impl HeadDistances<'_> {
    fn runs(&self) -> impl Iterator<Item = Run> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let first = *self.rows.get(start)?;
            let ahead = &self.rows[start..];
            let places = start..start + ahead.partition_point(|row| *row < first + PANEL as u32);
            start = places.end;
            Some(Run {
                rows: first as usize..self.rows[places.end - 1] as usize + 1,
                places,
            })
        })
    }
}

/// Floats of all scores of a text, in the order of [`score_at`].
fn all_scores_len(len: usize) -> usize {
    len.next_multiple_of(PANEL) * len
}

/// The terms of all scores of one head of one text; in the backward the gradients of the scores take their place.
pub(super) struct DistanceScores<'a> {
    distances: HeadDistances<'a>,
    scores: &'a mut [f32],
    /// A row for each token, a column for each row of a run.
    products: &'a mut [f32],
}

impl<'a> DistanceScores<'a> {
    /// Floats of the scratch memory of [`Self::compute`].
    pub(super) fn scratch_len(len: usize, dim: usize) -> usize {
        all_scores_len(len) + len * PANEL + dim * PANEL + len * dim
    }

    /// Computes both terms; `keys` are the keys of the text.
    #[inline(always)]
    pub(super) fn compute<V: Vector>(
        head: &Head<'a>,
        distances: HeadDistances<'a>,
        keys: &Strips<'_>,
        scratch: &'a mut [f32],
    ) -> Self {
        let (len, dim) = (head.len(), head.shape.head_dim);
        let (scores, rest) = scratch.split_at_mut(all_scores_len(len));
        let (products, rest) = rest.split_at_mut(len * PANEL);
        let (panel, rest) = rest.split_at_mut(dim * PANEL);
        let queries = Strips::pack::<V>(&mut rest[..len * dim], head.part(0));
        scores.fill(0.0);
        for (side, vectors) in &distances.terms {
            let strips = match side {
                Side::Queries => &queries,
                Side::Keys => keys,
            };
            for run in distances.runs() {
                let tokens = side.tokens(&run.places, len);
                let products = &mut products[..tokens.len() * PANEL];
                let vectors = vectors.row_range(run.rows.start, run.rows.end);
                pack::transpose_panel::<V>(panel, vectors);
                strips.multiply::<V>(products, &tokens, panel, run.rows.len());
                for (token, products) in tokens.zip(products.chunks_exact(PANEL)) {
                    side.pairs(token, &run.places, len, |place, at| {
                        scores[at] += products[distances.rows[place] as usize - run.rows.start];
                    });
                }
            }
        }
        Self {
            distances,
            scores,
            products,
        }
    }

    /// Scores of a block of queries with all keys, `[keys][PANEL]`.
    pub(super) fn block(&self, queries: &Range<usize>) -> &[f32] {
        let len = self.distances.len;
        &self.scores[score_at(len, queries.start, 0)..][..len * PANEL]
    }

    /// Puts the gradients of a block's scores in the place of the scores.
    pub(super) fn replace<V: Vector>(&mut self, queries: &Range<usize>, ds: &[f32]) {
        let len = self.distances.len;
        rows::copy::<V>(
            &mut self.scores[score_at(len, queries.start, 0)..][..len * PANEL],
            ds,
        );
    }

    /// Floats of the scratch memory of [`Self::backward`].
    pub(super) fn backward_len(dim: usize) -> usize {
        dim.next_multiple_of(PANEL) * PANEL
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
        let (len, runs) = (self.distances.len, self.distances.runs());
        let runs: Vec<Run> = runs.collect();
        let share = d_vectors.len() / self.distances.terms.len().max(1);
        for ((side, vectors), d_vectors) in self
            .distances
            .terms
            .iter()
            .zip(d_vectors.chunks_exact_mut(share.max(1)))
        {
            let dim = vectors.cols();
            for run in &runs {
                let of_run = side.tokens(&run.places, len);
                let ds = &mut self.products[..of_run.len() * PANEL];
                gather(ds, self.scores, self.distances.rows, (*side, run), len);
                pack::copy_panels(scratch, vectors.row_range(run.rows.start, run.rows.end));
                let of_tokens = ScoreProduct {
                    scores: ds,
                    by_query: false,
                    queries: run.rows.len(),
                    panels: Panels {
                        values: scratch,
                        rows: run.rows.len(),
                        first: 0,
                        width: dim,
                    },
                };
                add(*side, of_run.clone(), of_tokens);
                let of_vectors = ScoreProduct {
                    scores: ds,
                    by_query: true,
                    queries: run.rows.len(),
                    panels: Panels {
                        values: tokens[side.part()],
                        rows: len,
                        first: of_run.start,
                        width: dim,
                    },
                };
                of_vectors.run::<V>(
                    0..run.rows.len(),
                    #[inline(always)]
                    |i, col, sums| {
                        let at = (run.rows.start + i) * dim + col;
                        rows::add::<V>(&mut d_vectors[at..at + sums.len()], sums);
                    },
                );
            }
        }
    }
}

/// Sums of the gradients of scores, for each token of a run and each of its rows.
#[inline(always)]
fn gather(ds: &mut [f32], scores: &[f32], rows: &[u32], (side, run): (Side, &Run), len: usize) {
    ds.fill(0.0);
    let tokens = side.tokens(&run.places, len);
    for (token, ds) in tokens.zip(ds.chunks_exact_mut(PANEL)) {
        side.pairs(token, &run.places, len, |place, at| {
            ds[rows[place] as usize - run.rows.start] += scores[at];
        });
    }
}
