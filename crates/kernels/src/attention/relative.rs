//! A bias of the scores by head and by the distance of a query from its key, as MPNet and T5 have it.

use std::ops::Range;

use super::Spans;
use crate::{MatMut, MatRef, parallel::SharedMut, rows, simd::Vector, tile::PANEL};

/// What is added to every scaled score.
#[derive(Clone, Copy, Debug)]
pub struct RelativeBias<'a> {
    /// `[heads, 2 reach + 1]`: the score of query `i` with key `j` receives column `reach + i - j`. `reach` is at least the length of
    /// the longest text, less one.
    pub values: MatRef<'a>,
}

impl RelativeBias<'_> {
    /// Columns of the distances in a text of `len` tokens, from that of the first query to the last key on.
    pub(crate) fn columns(self, len: usize) -> Range<usize> {
        let reach = self.values.cols() / 2;
        reach + 1 - len..reach + len
    }

    /// Panics unless there is a row for each head, and a column for each distance in the longest text.
    pub(super) fn check(self, heads: usize, spans: Spans<'_>) {
        let longest = (0..spans.texts()).map(|text| spans.rows(text).len()).max();
        assert!(
            self.values.rows() == heads && self.values.cols() % 2 == 1,
            "attention: bias"
        );
        assert!(
            longest.is_none_or(|longest| longest <= self.values.cols() / 2 + 1),
            "attention: distances of the bias"
        );
    }
}

/// The bias of one head in one text, divided by the factor of the scores, by which the softmax multiplies.
pub(super) struct HeadBias<'a> {
    /// By `len - 1 + query - key`. Lanes past the last query read what lies past the end.
    values: &'a [f32],
    len: usize,
}

/// Floats of a [`HeadBias`], or of the sums that are its gradient.
pub(super) fn scratch_len(len: usize) -> usize {
    2 * len + PANEL
}

/// Place of the first query of a block with `key` among the distances of a text.
fn place(len: usize, block: &Range<usize>, key: usize) -> usize {
    len - 1 + block.start - key
}

impl<'a> HeadBias<'a> {
    /// Copies the row of `head` for a text of `len` tokens.
    pub(super) fn pack(
        storage: &'a mut [f32],
        bias: RelativeBias<'_>,
        head: usize,
        len: usize,
        scale: f32,
    ) -> Self {
        let from = &bias.values.row(head)[bias.columns(len)];
        let (values, past) = storage.split_at_mut(from.len());
        let pairs = values.iter_mut().zip(from);
        pairs.for_each(|(value, from)| *value = from / scale);
        past.fill(0.0);
        Self {
            values: storage,
            len,
        }
    }

    /// Adds the bias to the scores of a block, `[keys][PANEL]`.
    #[inline(always)]
    pub(super) fn add<V: Vector>(
        &self,
        scores: &mut [f32],
        block: &Range<usize>,
        keys: &Range<usize>,
    ) {
        for (key, scores) in keys.clone().zip(scores.chunks_exact_mut(PANEL)) {
            let at = place(self.len, block, key);
            rows::add::<V>(scores, &self.values[at..at + PANEL]);
        }
    }
}

/// Adds gradients of a block's products of queries and keys to `sums`, by distance.
#[inline(always)]
pub(super) fn collect<V: Vector>(
    sums: &mut [f32],
    ds: &[f32],
    len: usize,
    block: &Range<usize>,
    keys: &Range<usize>,
) {
    for (key, ds) in keys.clone().zip(ds.chunks_exact(PANEL)) {
        let at = place(len, block, key);
        rows::add::<V>(&mut sums[at..at + block.len()], &ds[..block.len()]);
    }
}

/// Sums of every head of every text: each task writes its own, and they are added in the order of the texts.
pub(super) struct Collected {
    sums: Vec<f32>,
    heads: usize,
}

impl Collected {
    pub(super) fn new(tokens: usize, heads: usize) -> Self {
        Self {
            sums: vec![0.0; 2 * tokens * heads],
            heads,
        }
    }

    pub(super) fn shared(&mut self) -> SharedMut {
        SharedMut::new(&mut self.sums)
    }

    /// Where the sums of `head` of the text of these rows begin.
    pub(super) fn start(rows: &Range<usize>, heads: usize, head: usize) -> usize {
        2 * (rows.start * heads + head * rows.len())
    }

    /// Adds all of them to `d_bias`, which is laid out as `bias`. The sums are gradients of products that `scale` multiplies.
    pub(super) fn add_to(
        &self,
        d_bias: &mut MatMut<'_>,
        bias: RelativeBias<'_>,
        spans: Spans<'_>,
        scale: f32,
    ) {
        for rows in (0..spans.texts()).map(|text| spans.rows(text)) {
            if rows.is_empty() {
                continue;
            }
            let columns = bias.columns(rows.len());
            for head in 0..self.heads {
                let sums = &self.sums[Self::start(&rows, self.heads, head)..][..columns.len()];
                let row = &mut d_bias.row(head)[columns.clone()];
                let pairs = row.iter_mut().zip(sums);
                pairs.for_each(|(d, sum)| *d += sum / scale);
            }
        }
    }
}
