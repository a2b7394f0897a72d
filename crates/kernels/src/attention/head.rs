//! One head of one text: its columns of rows, its blocks of queries and their dropout masks.

use std::ops::Range;

use super::{
    AttentionShape, Disentangled, RelativeBias, Spans,
    disentangled::HeadDistances,
    distance_scores::DistanceScores,
    products::Strips,
    relative::{self, HeadBias},
};
use crate::{
    Dropout, MatRef,
    dropout::{Rate, RowWords},
    rows,
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
    pub(super) bias: Option<RelativeBias<'a>>,
    distances: Option<Disentangled<'a>>,
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

    /// Scores of a block of queries with `keys`, as forward and backward see them: products that the softmax scales, with what is
    /// added to them, and hidden where a query must not see a key. `queries` holds the block's q, transposed.
    #[inline(always)]
    pub(super) fn scores<V: Vector>(
        &self,
        scores: &mut [f32],
        key_strips: &Strips<'_>,
        queries: &[f32],
        added: Added<'_>,
        block: &Range<usize>,
        keys: &Range<usize>,
    ) {
        key_strips.multiply(scores, keys, queries, block.len());
        if let Some(bias) = added.bias {
            bias.add::<V>(scores, block, keys);
        }
        if let Some(distances) = added.distances {
            rows::add::<V>(scores, distances.block(block));
        }
        self.shape.mask.hide(scores, block, keys);
    }

    /// The bias of scores that `scale` multiplies, packed into `storage`.
    pub(super) fn pack_bias<'s>(&self, storage: &'s mut [f32], scale: f32) -> Option<HeadBias<'s>> {
        let bias = self.bias?;
        Some(HeadBias::pack(storage, bias, self.head, self.len(), scale))
    }

    /// What terms of distances are computed from, if there are any.
    pub(super) fn distances(&self) -> Option<HeadDistances<'a>> {
        let (len, dim) = (self.len(), self.shape.head_dim);
        Some(self.distances?.of_head(self.head, len, dim))
    }

    /// What the scratch memory depends on.
    pub(super) fn size(&self) -> HeadSize {
        let len = self.len();
        HeadSize {
            shape: self.shape,
            len,
            has_bias: self.bias.is_some(),
            runs: self.distances.map(|distances| distances.most_runs(len)),
        }
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

/// What the scratch memory of a head depends on. Lengths are in floats.
#[derive(Clone, Copy)]
pub(super) struct HeadSize {
    pub(super) shape: AttentionShape,
    /// Tokens of the text.
    pub(super) len: usize,
    pub(super) has_bias: bool,
    /// Runs of distances; `None` without terms of distances.
    pub(super) runs: Option<usize>,
}

impl HeadSize {
    /// The packed bias.
    pub(super) fn bias_len(self) -> usize {
        match self.has_bias {
            true => relative::scratch_len(self.len),
            false => 0,
        }
    }

    /// The terms of distances, and what their backward needs besides.
    pub(super) fn distances_len(self) -> [usize; 2] {
        let (len, dim) = (self.len, self.shape.head_dim);
        self.runs.map_or([0, 0], |runs| {
            [
                DistanceScores::scratch_len(len, dim, runs),
                self.panels_len() + DistanceScores::backward_len(len, dim, runs),
            ]
        })
    }

    /// The scores of any block.
    pub(super) fn scores_len(self) -> usize {
        self.shape.mask.most_keys(self.len) * PANEL
    }

    /// The head's rows packed as panels.
    pub(super) fn panels_len(self) -> usize {
        self.len * self.shape.head_dim.next_multiple_of(PANEL)
    }
}

/// What is added to the products of queries and keys.
#[derive(Clone, Copy)]
pub(super) struct Added<'a> {
    pub(super) bias: Option<&'a HeadBias<'a>>,
    pub(super) distances: Option<&'a DistanceScores<'a>>,
}

/// Dropout masks of a block of queries.
pub(super) struct Masks {
    words: [RowWords; PANEL],
    rate: Rate,
}

impl Masks {
    /// Multiplies probabilities `[keys][PANEL]` by their factors.
    #[inline(always)]
    pub(super) fn apply<V: Vector>(&self, probabilities: &mut [f32], keys: &Range<usize>) {
        for (key, probabilities) in keys.clone().zip(probabilities.chunks_exact_mut(PANEL)) {
            rows::multiply::<V>(probabilities, &self.of_key(key));
        }
    }

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

/// What all heads of all texts share.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) qkv: MatRef<'a>,
    pub(super) spans: Spans<'a>,
    pub(super) shape: AttentionShape,
    pub(super) bias: Option<RelativeBias<'a>>,
    pub(super) distances: Option<Disentangled<'a>>,
    pub(super) dropout: Option<Dropout<'a>>,
}

impl<'a> Shared<'a> {
    /// Calls `f` with every head of every text, one per task.
    pub(super) fn for_each_head(self, f: impl Fn(Head<'a>) + Sync) {
        let heads = self.shape.heads;
        team::for_each(self.spans.texts() * heads, &|task| {
            self.with_head(task / heads, task % heads, &f);
        });
    }

    /// Calls `f` with the number of every group of texts and every head of each of its texts: one head of one group per task, its texts
    /// in their order.
    pub(super) fn for_each_head_of(
        self,
        groups: &[Range<usize>],
        f: impl Fn(usize, Head<'a>) + Sync,
    ) {
        let heads = self.shape.heads;
        team::for_each(groups.len() * heads, &|task| {
            let group = task / heads;
            for text in groups[group].clone() {
                self.with_head(text, task % heads, |head| f(group, head));
            }
        });
    }

    /// Calls `f` with a head of a text, unless the text is empty.
    fn with_head(self, text: usize, head: usize, f: impl FnOnce(Head<'a>)) {
        let rows = self.spans.rows(text);
        if !rows.is_empty() {
            f(Head {
                qkv: self.qkv,
                rows,
                head,
                shape: self.shape,
                bias: self.bias,
                distances: self.distances,
                dropout: self.dropout,
            });
        }
    }
}
