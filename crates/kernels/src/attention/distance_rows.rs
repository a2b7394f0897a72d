//! Scores or their gradients of up to 32 tokens, with all tokens of the text, one row for each of the 32.
//!
//! The distances of a token's pairs are consecutive places, in the order of the other token for a key, in the reverse order for a query.
//! So both orders are kept in one layout, in which each row begins one value before the one above it:
//!
//! ```text
//! row i:   [32 + 31 - i values]   score with token 0, 1, 2, ...   [the rest]
//! ```
//! Then all rows have one place in a column. Up to 32 rows of vectors with one distance each are 32 consecutive columns, which move as
//! whole vectors, and neither the ends of a text nor those of a block need a mask: what is moved too much falls into the margins, or is
//! written over by the run that follows.

use std::ops::Range;

use super::disentangled::{Run, Side, overlap};
use crate::{MatRef, pack, rows, simd::Vector, tile::PANEL};

/// See the module.
pub(super) struct DistanceRows<'a> {
    /// `[PANEL][stride]`, and a margin.
    values: &'a mut [f32],
    side: Side,
    /// At most [`PANEL`].
    tokens: Range<usize>,
    /// Tokens of the text.
    len: usize,
}

/// Values from the start of one row to the start of the next.
fn stride(len: usize) -> usize {
    len + 3 * PANEL
}

/// Where the scores of a block of queries lie: blocks of [`PANEL`] queries, in each a row for each key.
pub(super) fn block_start(len: usize, query: usize) -> usize {
    query / PANEL * len * PANEL
}

impl<'a> DistanceRows<'a> {
    /// Floats of `storage`.
    pub(super) fn storage_len(len: usize) -> usize {
        PANEL * stride(len) + PANEL
    }

    pub(super) fn new(
        storage: &'a mut [f32],
        side: Side,
        tokens: Range<usize>,
        len: usize,
    ) -> Self {
        Self {
            values: storage,
            side,
            tokens,
            len,
        }
    }

    /// Column of the score of a token with the first token of the text.
    #[inline(always)]
    fn first(&self, token: usize) -> usize {
        PANEL + self.tokens.end - 1 - token
    }

    #[inline(always)]
    fn row(&mut self, token: usize) -> &mut [f32] {
        let stride = stride(self.len);
        &mut self.values[(token - self.tokens.start) * stride..][..stride]
    }

    /// Column of a place, which is in the same row or up to [`PANEL`] places before or after.
    #[inline(always)]
    fn column(&self, place: usize) -> usize {
        match self.side {
            Side::Queries => PANEL + self.tokens.end + self.len - 2 - place,
            Side::Keys => PANEL + place + self.tokens.end - self.len,
        }
    }

    /// The places of a run that a token has.
    #[inline(always)]
    fn places(&self, token: usize, run: &Run) -> Range<usize> {
        overlap(
            &self.side.places(&(token..token + 1), self.len),
            &run.places,
        )
    }

    /// Puts the products of a token with the rows of a run where their distances lie. Runs come in ascending order. `numbers` are the
    /// rows of all places.
    #[inline(always)]
    pub(super) fn spread(
        &mut self,
        token: usize,
        run: &Run,
        numbers: &[u32],
        products: &[f32; PANEL],
    ) {
        if run.is_one_to_one {
            let column = self.column(run.places.start);
            match self.side {
                Side::Queries => {
                    let mut reversed = *products;
                    reversed.reverse();
                    self.row(token)[column + 1 - PANEL..=column].copy_from_slice(&reversed);
                }
                Side::Keys => {
                    self.row(token)[column..column + PANEL].copy_from_slice(products);
                }
            }
            return;
        }
        for place in self.places(token, run) {
            let column = self.column(place);
            self.row(token)[column] = products[numbers[place] as usize - run.rows.start];
        }
    }

    /// Sums of the values of a token over the distances of each row of a run; columns past the rows hold anything.
    #[inline(always)]
    pub(super) fn gather(
        &mut self,
        token: usize,
        run: &Run,
        numbers: &[u32],
        sums: &mut [f32; PANEL],
    ) {
        if run.is_one_to_one {
            let column = self.column(run.places.start);
            match self.side {
                Side::Queries => {
                    sums.copy_from_slice(&self.row(token)[column + 1 - PANEL..=column]);
                    sums.reverse();
                }
                Side::Keys => sums.copy_from_slice(&self.row(token)[column..column + PANEL]),
            }
            return;
        }
        sums.fill(0.0);
        for place in self.places(token, run) {
            let column = self.column(place);
            sums[numbers[place] as usize - run.rows.start] += self.row(token)[column];
        }
    }

    /// Writes the rows to the scores of the text, or adds them.
    #[inline(always)]
    pub(super) fn write<V: Vector>(&mut self, scores: &mut [f32], adds: bool) {
        match self.side {
            Side::Queries => self.write_queries::<V>(scores, adds),
            Side::Keys => self.write_keys::<V>(scores, adds),
        }
    }

    /// A row is a column of the block of the queries.
    #[inline(always)]
    fn write_queries<V: Vector>(&self, scores: &mut [f32], adds: bool) {
        assert!(!adds, "terms of queries come first");
        let (len, stride) = (self.len, stride(self.len));
        let block = &mut scores[block_start(len, self.tokens.start)..][..len * PANEL];
        // Rows begin one value earlier each.
        let start = self.first(self.tokens.start);
        let values = &self.values[start..][..self.tokens.len() * (stride - 1)];
        let shifted = MatRef::new(self.tokens.len(), stride - 1, values).first_cols(len);
        pack::transpose_panel::<V>(block, shifted);
    }

    /// A row is one row in each block of queries.
    #[inline(always)]
    fn write_keys<V: Vector>(&mut self, scores: &mut [f32], adds: bool) {
        let len = self.len;
        for key in self.tokens.clone() {
            let first = self.first(key);
            let row = self.row(key);
            for query in (0..len).step_by(PANEL) {
                let scores = &mut scores[block_start(len, query) + key * PANEL..][..PANEL];
                let terms = &row[first + query..][..PANEL];
                match adds {
                    true => rows::add::<V>(scores, terms),
                    false => rows::copy::<V>(scores, terms),
                }
            }
        }
    }

    /// Fills the rows with gradients of the scores of the text, and what is around them with zeros. `panel` has room for
    /// `PANEL * PANEL` values.
    #[inline(always)]
    pub(super) fn read<V: Vector>(&mut self, scores: &[f32], panel: &mut [f32]) {
        match self.side {
            Side::Queries => self.read_queries::<V>(scores, panel),
            Side::Keys => self.read_keys::<V>(scores),
        }
        let len = self.len;
        for token in self.tokens.clone() {
            let first = self.first(token);
            let row = self.row(token);
            row[..first].fill(0.0);
            row[first + len..].fill(0.0);
        }
    }

    #[inline(always)]
    fn read_queries<V: Vector>(&mut self, scores: &[f32], panel: &mut [f32]) {
        let len = self.len;
        let block = &scores[block_start(len, self.tokens.start)..][..len * PANEL];
        for (i, keys) in block.chunks(PANEL * PANEL).enumerate() {
            let rows_of_keys = MatRef::new(keys.len() / PANEL, PANEL, keys);
            pack::transpose_panel::<V>(panel, rows_of_keys);
            for (query, values) in self.tokens.clone().zip(panel.chunks_exact(PANEL)) {
                let first = self.first(query) + i * PANEL;
                rows::copy::<V>(&mut self.row(query)[first..][..PANEL], values);
            }
        }
    }

    #[inline(always)]
    fn read_keys<V: Vector>(&mut self, scores: &[f32]) {
        let len = self.len;
        for key in self.tokens.clone() {
            let first = self.first(key);
            let row = self.row(key);
            for query in (0..len).step_by(PANEL) {
                let scores = &scores[block_start(len, query) + key * PANEL..][..PANEL];
                rows::copy::<V>(&mut row[first + query..][..PANEL], scores);
            }
        }
    }
}
