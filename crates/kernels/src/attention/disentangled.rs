//! Vectors of distances, as DeBERTa multiplies queries and keys with them (He et al. 2021).
//!
//! ```text
//! s[i][j] = scale * (q[i] . k[j] + q[i] . K[r] + k[j] . Q[r])              r = row of the distance i - j
//! ```
//! Rows are numbers that ascend with the distance. Near distances have one row each, so that consecutive distances are consecutive rows;
//! far ones may share rows. A run is what one panel of a product holds: up to 32 rows, and the distances that have them.

use std::ops::Range;

use super::{AttentionMask, AttentionShape, Spans};
use crate::{MatRef, tile::PANEL};

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

    /// Rows of the distances in a text of `len` tokens, by place.
    fn of_text(self, len: usize) -> &'a [u32] {
        let reach = self.rows.len() / 2;
        &self.rows[reach + 1 - len..reach + len]
    }

    /// Runs of a text of `len` tokens, at most.
    pub(super) fn most_runs(self, len: usize) -> usize {
        match self.of_text(len) {
            [first, .., last] => (last - first) as usize / PANEL + 1,
            _ => 1,
        }
    }

    /// What one head of a text of `len` tokens is multiplied with.
    pub(super) fn of_head(self, head: usize, len: usize, dim: usize) -> HeadDistances<'a> {
        let terms = self.terms().map(|(side, first)| {
            let first = first + head * dim;
            (side, self.vectors.col_range(first, first + dim))
        });
        HeadDistances {
            terms: terms.collect(),
            rows: self.of_text(len),
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

    /// Places of all pairs of one of `tokens` in a text of `len`; a place is `len - 1 + query - key`.
    pub(super) fn places(self, tokens: &Range<usize>, len: usize) -> Range<usize> {
        match self {
            Self::Queries => tokens.start..tokens.end + len - 1,
            Self::Keys => len - tokens.end..2 * len - 1 - tokens.start,
        }
    }

    /// Tokens of a text of `len` that occur on this side of a pair at one of `places`.
    pub(super) fn tokens(self, places: &Range<usize>, len: usize) -> Range<usize> {
        match self {
            Self::Queries => (places.start + 1).saturating_sub(len)..places.end.min(len),
            Self::Keys => len.saturating_sub(places.end)..(2 * len - 1 - places.start).min(len),
        }
    }
}

/// Up to [`PANEL`] consecutive rows of vectors, and the places of their distances.
pub(super) struct Run {
    pub(super) rows: Range<usize>,
    pub(super) places: Range<usize>,
    /// Whether each of the rows belongs to one place.
    pub(super) is_one_to_one: bool,
}

impl Run {
    fn new(rows: &[u32], places: Range<usize>) -> Self {
        let of_run = &rows[places.clone()];
        Self {
            rows: of_run[0] as usize..of_run[of_run.len() - 1] as usize + 1,
            is_one_to_one: of_run.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            places,
        }
    }
}

/// The vectors of one head of one text.
pub(super) struct HeadDistances<'a> {
    /// `[rows, head_dim]` for each side.
    pub(super) terms: Vec<(Side, MatRef<'a>)>,
    /// By `len - 1 + query - key`.
    pub(super) rows: &'a [u32],
    pub(super) len: usize,
}

impl HeadDistances<'_> {
    /// All places, in ascending order.
    pub(super) fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut start = 0;
        while let Some(first) = self.rows.get(start) {
            let ahead = &self.rows[start..];
            let end = start + ahead.partition_point(|row| *row < first + PANEL as u32);
            runs.push(Run::new(self.rows, start..end));
            start = end;
        }
        runs
    }
}

/// What two ranges share.
pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start.max(b.start)..a.end.min(b.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(rows: &[u32]) -> Vec<Run> {
        let distances = HeadDistances {
            terms: Vec::new(),
            rows,
            len: rows.len() / 2 + 1,
        };
        distances.runs()
    }

    #[test]
    fn a_run_is_a_panel_of_rows() {
        let rows: Vec<u32> = (3..3 + 65).collect();
        let found = runs(&rows).into_iter().map(|run| (run.rows, run.places));
        let expected = [(3..35, 0..32), (35..67, 32..64), (67..68, 64..65)];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(runs(&rows).iter().all(|run| run.is_one_to_one));
    }

    #[test]
    fn rows_of_several_places_and_of_none_are_not_one_to_one() {
        // Three places in three rows, of which one has two places and one has none.
        for rows in [&[0, 0, 1][..], &[0, 2, 3], &[0, 0, 2]] {
            assert!(!runs(rows)[0].is_one_to_one, "{rows:?}");
        }
    }

    #[test]
    fn tokens_and_places_belong_to_each_other() {
        let len = 7;
        for side in [Side::Queries, Side::Keys] {
            for token in 0..len {
                for place in 0..2 * len - 1 {
                    let of_token = side.places(&(token..token + 1), len);
                    let at_place = side.tokens(&(place..place + 1), len);
                    let expected = of_token.contains(&place);
                    assert_eq!(
                        at_place.contains(&token),
                        expected,
                        "{side:?} {token} {place}"
                    );
                }
            }
        }
    }
}
