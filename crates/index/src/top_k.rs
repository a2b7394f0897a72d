//! The k best of many scores, with the ties of Python's `heapq`.

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
    key: u64,
    row: u32,
    score: f32,
}

impl Item {
    /// Order of the tuples (score, rank).
    fn less(&self, other: &Self) -> bool {
        self.key < other.key
    }
}

/// A number that is larger for the better of two scores, and among equal ones for the larger rank. A NaN is worse than any number, and
/// -0 equals 0.
pub(crate) fn key(score: f32, rank: u32) -> u64 {
    u64::from(ordered(score)) << 32 | u64::from(rank)
}

/// Larger for larger scores; 0 for a NaN.
fn ordered(score: f32) -> u32 {
    // The sum makes -0 positive.
    let bits = (score + 0.0).to_bits();
    match () {
        () if score.is_nan() => 0,
        () if bits >> 31 == 0 => bits | 1 << 31,
        () => !bits,
    }
}

/// The score of a key, but for a NaN, which is minus infinity: what a score must reach to be as good.
pub(crate) fn reach(key: u64) -> f32 {
    match (key >> 32) as u32 {
        0 => f32::NEG_INFINITY,
        ordered if ordered >> 31 == 1 => f32::from_bits(ordered & !(1 << 31)),
        ordered => f32::from_bits(!ordered),
    }
}

/// Whether a score is out where `least` must be reached; minus infinity lets all in, NaN too.
pub(crate) fn is_out(score: f32, least: f32) -> bool {
    least > f32::NEG_INFINITY && (score < least || score.is_nan())
}

/// Whether all of some scores are out, told at a glance: compared side by side, not one by one.
pub(crate) fn are_out(scores: &[f32], least: f32) -> bool {
    least > f32::NEG_INFINITY
        && !scores
            .iter()
            .fold(false, |any, &score| any | (score >= least))
}

impl TopK {
    /// Keeps `k` at most.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            heap: Vec::new(),
        }
    }

    /// Offers `row`, and says whether it was taken; among equal scores the larger `rank` is kept.
    pub fn push(&mut self, score: f32, rank: u32, row: u32) -> bool {
        let item = Item {
            key: key(score, rank),
            row,
            score,
        };
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

    /// What a score must reach to be taken. Minus infinity where all are, or where a NaN may be.
    pub fn least(&self) -> f32 {
        match self.heap.first() {
            Some(least) if self.heap.len() == self.k => reach(least.key),
            _ => f32::NEG_INFINITY,
        }
    }

    /// What was kept, best first.
    pub fn into_sorted(self) -> Vec<Hit> {
        let mut hits: Vec<_> = self
            .heap
            .iter()
            .map(|i| Hit {
                row: i.row as usize,
                score: i.score,
            })
            .collect();
        hits.sort_by_key(|hit| std::cmp::Reverse(ordered(hit.score)));
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
            let child = if right < len && !self.heap[left].less(&self.heap[right]) {
                right
            } else {
                left
            };
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
        scores
            .iter()
            .zip(0..)
            .for_each(|(&score, row)| _ = top.push(score, row, row));
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
        assert!(top.push(f32::NAN, 1, 1) && top.least() == f32::NEG_INFINITY);
        assert!(top.push(0.25, 2, 2) && top.least() == 0.25);
        assert!(!top.push(0.125, 3, 3) && top.push(0.25, 4, 4));
        assert!(!TopK::new(0).push(1.0, 0, 0));
    }

    #[test]
    fn keys_order_scores_and_give_them_back() {
        let scores = [
            f32::NEG_INFINITY,
            -2.5,
            -1e-40,
            0.0,
            1e-40,
            0.5,
            f32::INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(key(pair[0], 9) < key(pair[1], 0), "{pair:?}");
            assert_eq!(
                (reach(key(pair[0], 3)), reach(key(pair[1], 3))),
                (pair[0], pair[1])
            );
        }
        assert_eq!(key(-0.0, 1), key(0.0, 1));
        assert!(
            key(f32::NAN, 9) < key(f32::NEG_INFINITY, 0) && key(f32::NAN, 1) == key(-f32::NAN, 1)
        );
    }

    #[test]
    fn what_is_out() {
        assert!(is_out(1.0, 2.0) && is_out(f32::NAN, 2.0) && !is_out(2.0, 2.0));
        assert!(!is_out(f32::NAN, f32::NEG_INFINITY) && !are_out(&[f32::NAN], f32::NEG_INFINITY));
        assert!(are_out(&[1.0, f32::NAN], 2.0) && !are_out(&[1.0, 2.0], 2.0));
    }

    #[test]
    fn a_nan_displaces_no_number() {
        assert_eq!(rows(2, &[f32::NAN, 0.1, f32::NAN, 0.2, f32::NAN]), [3, 1]);
    }
}
