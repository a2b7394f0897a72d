//! One head of one text: its columns of rows, its blocks of queries and their dropout masks.

use std::ops::Range;

use super::{AttentionShape, Spans, products::Strips};
use crate::{
    Dropout, MatRef,
    dropout::{Rate, RowWords},
    simd::Vector,
    team,
    tile::PANEL,
};

/// One head of one text.
pub(super) struct Head<'a> {
    qkv: MatRef<'a>,
    pub(super) rows: Range<usize>,
    pub(super) head: usize,
    pub(super) shape: AttentionShape,
    dropout: Option<Dropout<'a>>,
}

impl<'a> Head<'a> {
    /// Tokens.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Keys that at least one query of a block sees.
    pub(super) fn keys(&self, queries: &Range<usize>) -> Range<usize> {
        self.shape.mask.keys(queries, self.len())
    }

    /// Scores of a block of queries with `keys`, as forward and backward see them: products that the softmax scales, and
    /// hidden where a query must not see a key. `queries` holds the block's q, transposed.
    #[inline(always)]
    pub(super) fn scores<V: Vector>(
        &self,
        scores: &mut [f32],
        key_strips: &Strips<'_>,
        queries: &[f32],
        block: &Range<usize>,
        keys: &Range<usize>,
    ) {
        key_strips.multiply::<V>(scores, keys, queries, block.len());
        self.shape.mask.hide(scores, block, keys);
    }

    /// Floats of the scores of any block.
    pub(super) fn scores_len(&self) -> usize {
        self.shape.mask.most_keys(self.len()) * PANEL
    }

    /// Floats of the head's rows packed as panels.
    pub(super) fn panels_len(&self) -> usize {
        self.len() * self.shape.head_dim.next_multiple_of(PANEL)
    }

    /// This head's columns of part `part` (of as many parts as `m` has: q, k, v or only one) of this text's rows.
    pub(super) fn columns_of<'m>(&self, m: MatRef<'m>, part: usize) -> MatRef<'m> {
        let first = part * self.shape.width() + self.head * self.shape.head_dim;
        m.row_range(self.rows.start, self.rows.end)
            .col_range(first, first + self.shape.head_dim)
    }

    /// This text's q (0), k (1) or v (2) of this head, `[len, head_dim]`.
    pub(super) fn part(&self, part: usize) -> MatRef<'a> {
        self.columns_of(self.qkv, part)
    }

    /// Blocks of up to [`PANEL`] queries.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len();
        (0..len)
            .step_by(PANEL)
            .map(move |first| first..(first + PANEL).min(len))
    }

    /// The dropout masks of a block of queries.
    pub(super) fn masks(&self, queries: &Range<usize>) -> Option<Masks> {
        let dropout = self.dropout?;
        let mut words = [RowWords::default(); PANEL];
        for (words, query) in words.iter_mut().zip(queries.clone()) {
            *words = dropout.row(self.rows.start + query, self.head);
        }
        Some(Masks {
            words,
            rate: dropout.rate(),
        })
    }
}

/// Dropout masks of a block of queries.
pub(super) struct Masks {
    words: [RowWords; PANEL],
    rate: Rate,
}

impl Masks {
    /// Factors of all queries for the key at place `key` of the text.
    #[inline(always)]
    pub(super) fn of_key(&self, key: usize) -> [f32; PANEL] {
        let mut factors = [0.0; PANEL];
        for (factor, words) in factors.iter_mut().zip(&self.words) {
            *factor = words.factor(key as u32, self.rate);
        }
        factors
    }
}

/// Calls `f` with every head of every text, one per task.
pub(super) fn for_each_head<'a>(
    qkv: MatRef<'a>,
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'a>>,
    f: impl Fn(Head<'a>) + Sync,
) {
    team::for_each(spans.texts() * shape.heads, &|task| {
        let rows = spans.rows(task / shape.heads);
        if !rows.is_empty() {
            f(Head {
                qkv,
                rows,
                head: task % shape.heads,
                shape,
                dropout,
            });
        }
    });
}
