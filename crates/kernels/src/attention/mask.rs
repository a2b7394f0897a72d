//! Which keys of its text a query sees.

use std::ops::Range;

use crate::tile::PANEL;

/// Score of a key that a query must not see. Below any score that occurs, so that its exponential is the smallest one, 1.6e-28, which
/// changes no sum; an infinity would make the differences of the softmax NaN where a lane has no other score.
const HIDDEN: f32 = -1e30;

/// Keys that a query sees: query `i` of a text sees those of its keys `i - left ..= i + right` that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionMask {
    /// Number of keys before the query's own that it sees.
    pub left: usize,
    /// Number of keys after the query's own that it sees.
    pub right: usize,
}

impl AttentionMask {
    /// Every query sees every key of its text.
    pub const FULL: Self = Self {
        left: usize::MAX,
        right: usize::MAX,
    };

    /// Every query sees the keys up to its own.
    pub const CAUSAL: Self = Self {
        left: usize::MAX,
        right: 0,
    };

    /// Every query sees `left` keys before its own, its own, and `right` keys after it.
    pub const fn window(left: usize, right: usize) -> Self {
        Self { left, right }
    }

    /// Keys of a text of `len` tokens that at least one query of a block sees.
    pub(super) fn keys(self, queries: &Range<usize>, len: usize) -> Range<usize> {
        let start = queries.start.saturating_sub(self.left);
        let end = queries.end.saturating_add(self.right).min(len);
        start..end
    }

    /// Upper bound of the length of [`Self::keys`] for any block of [`PANEL`] queries.
    pub(super) fn most_keys(self, len: usize) -> usize {
        let reach = self.left.saturating_add(self.right);
        PANEL.saturating_add(reach).min(len)
    }

    /// Hides keys from those queries of a block that must not see them; `scores` `[keys][PANEL]` has a row for each of `keys`.
    ///
    /// Only the keys at both edges of the range are hidden from some queries and not from others: at most 31 at each.
    #[inline(always)]
    pub(super) fn hide(self, scores: &mut [f32], queries: &Range<usize>, keys: &Range<usize>) {
        let last = queries.end - 1;
        // Too far to the left of the later queries.
        for key in keys.start..last.saturating_sub(self.left) {
            let hidden = key + self.left + 1 - queries.start;
            let row = (key - keys.start) * PANEL;
            scores[row + hidden..row + queries.len()].fill(HIDDEN);
        }
        // Too far to the right of the earlier queries.
        let first_hidden = queries.start.saturating_add(self.right).saturating_add(1);
        for key in first_hidden..keys.end {
            let hidden = key - self.right - queries.start;
            let row = (key - keys.start) * PANEL;
            scores[row..row + hidden].fill(HIDDEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Block by block, what is hidden is what the definition says, and no key that is seen lies outside the range.
    #[test]
    #[cfg_attr(miri, ignore = "too slow for an interpreter")]
    fn exactly_the_keys_outside_the_window_are_hidden() {
        let sides = [0, 1, 3, 31, 32, 40, 99, 100, usize::MAX];
        for len in [1, 5, 32, 33, 70, 100] {
            for left in sides {
                for right in sides {
                    check(AttentionMask::window(left, right), len);
                }
            }
        }
    }

    fn check(mask: AttentionMask, len: usize) {
        for start in (0..len).step_by(PANEL) {
            let queries = start..(start + PANEL).min(len);
            let keys = mask.keys(&queries, len);
            assert!(keys.len() <= mask.most_keys(len));
            let mut scores = vec![0.0; keys.len() * PANEL];
            mask.hide(&mut scores, &queries, &keys);
            for query in queries.clone() {
                for key in 0..len {
                    let before = query.saturating_sub(key);
                    let after = key.saturating_sub(query);
                    let seen = before <= mask.left && after <= mask.right;
                    let lane = query - queries.start;
                    let found =
                        keys.contains(&key) && scores[(key - keys.start) * PANEL + lane] != HIDDEN;
                    assert_eq!(found, seen, "{mask:?}, {len}: {query} and {key}");
                }
            }
        }
    }
}
