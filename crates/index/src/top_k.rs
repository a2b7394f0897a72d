//! The k best of many scores, with the ties of Python's `heapq`.

use std::cmp::Ordering;

/// Scores that are worth a look together before each is offered.
pub(crate) const GLANCE: usize = 16;

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its number in the corpus.
    pub row: usize,
    /// Its score; more is better.
    pub score: f32,
}

/// The k largest of the (score, rank) pairs pushed so far.
///
/// Upstream keeps them in a list ordered by `heapq` (CPython 3) and sorts that list stably by score alone, so equal scores come out
/// in the order of the list. The moves are therefore those of `heapq`, which no heap of the standard library promises.
/// A push costs one comparison once k better ones are known, else O(log k).
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    heap: Vec<Item>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    score: f32,
    rank: u32,
    row: u32,
}

impl Item {
    /// Order of the tuples (score, rank).
    fn less(&self, other: &Self) -> bool {
        by_score(self.score, other.score).then(self.rank.cmp(&other.rank)).is_lt()
    }
}

/// Ascending; a NaN is worse than any number, and -0 equals 0.
fn by_score(a: f32, b: f32) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

impl TopK {
    /// Keeps `k` at most.
    pub fn new(k: usize) -> Self {
        Self { k, heap: Vec::new() }
    }

    /// Offers `row`, and says whether it was taken; among equal scores the larger `rank` is kept.
    pub fn push(&mut self, score: f32, rank: u32, row: u32) -> bool {
        let item = Item { score, rank, row };
        if self.heap.len() < self.k {
            self.heap.push(item);
            self.move_towards_root(self.heap.len() - 1);
        } else if self.heap.first().is_some_and(|least| least.less(&item)) {
            self.heap[0] = item;
            self.sink_from_root();
        } else {
            return false;
        }
        true
    }

    /// What a score must reach to be taken: below it none is. A NaN if any number is taken, and minus infinity if all scores are.
    pub fn least(&self) -> f32 {
        match self.heap.first() {
            Some(least) if self.heap.len() == self.k => least.score,
            _ => f32::NEG_INFINITY,
        }
    }

    /// Whether none of `scores` would be taken, told by a comparison each: for a few at a time.
    pub(crate) fn refuses(&self, scores: &[f32]) -> bool {
        let least = self.least();
        // Not `all`, which stops at the first and so compares one by one.
        scores.iter().fold(true, |worse, &score| worse & (score < least))
    }

    /// What was kept, best first.
    pub fn into_sorted(self) -> Vec<Hit> {
        let mut hits: Vec<_> = self.heap.iter().map(|i| Hit { row: i.row as usize, score: i.score }).collect();
        hits.sort_by(|a, b| by_score(b.score, a.score));
        hits
    }

    fn move_towards_root(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.heap[at].less(&self.heap[parent]) {
                break;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    /// As `heapq` does it: down to a leaf along the smaller children, then up again to its place.
    fn sink_from_root(&mut self) {
        let (mut at, len) = (0, self.heap.len());
        while 2 * at + 1 < len {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if right < len && !self.heap[left].less(&self.heap[right]) { right } else { left };
            self.heap.swap(at, child);
            at = child;
        }
        self.move_towards_root(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(k: usize, scores: &[f32]) -> Vec<usize> {
        let mut top = TopK::new(k);
        scores.iter().zip(0..).for_each(|(&score, row)| _ = top.push(score, row, row));
        top.into_sorted().iter().map(|hit| hit.row).collect()
    }

    #[test]
    fn the_largest_come_first() {
        assert_eq!(rows(3, &[0.1, 0.9, -1.0, 0.5, 0.7]), [1, 4, 3]);
    }

    #[test]
    fn fewer_than_k_are_all_kept_and_none_of_zero() {
        assert_eq!(rows(9, &[0.1, 0.9]), [1, 0]);
        assert_eq!(rows(0, &[0.1, 0.9]), [0usize; 0]);
    }

    #[test]
    fn the_least_is_known_once_k_are() {
        let mut top = TopK::new(2);
        assert!(top.push(0.5, 0, 0) && top.least() == f32::NEG_INFINITY);
        assert!(top.push(f32::NAN, 1, 1) && top.least().is_nan());
        assert!(top.push(0.25, 2, 2) && top.least() == 0.25);
        assert!(!top.push(0.125, 3, 3) && top.push(0.25, 4, 4));
        assert!(!TopK::new(0).push(1.0, 0, 0));
    }

    #[test]
    fn a_nan_displaces_no_number() {
        assert_eq!(rows(2, &[f32::NAN, 0.1, f32::NAN, 0.2, f32::NAN]), [3, 1]);
    }
}
