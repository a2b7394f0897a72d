//! The k best of many rows in no order: a pool that is cut to its best half when it is full.
//!
//! A heap moves log k entries for a row that it takes; here a row costs an append, and a share of a selection that is linear.

use crate::{
    pass::Keep,
    top_k::{key, reach},
};

/// The `k` rows of the largest (score, row) pairs offered so far, and at most `k` others.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    k: usize,
    keys: Vec<u64>,
    /// Keys at which the pool is full.
    full: usize,
    least: f32,
}

impl Candidates {
    /// `k` is at least 1.
    pub(crate) fn new(k: usize) -> Self {
        // The first cut as early as it tells anything, the others as rarely as memory allows.
        Self {
            k,
            keys: Vec::new(),
            full: k,
            least: f32::NEG_INFINITY,
        }
    }

    /// The `k` best, by row.
    pub(crate) fn into_rows(mut self) -> Vec<u32> {
        self.cut();
        let mut rows: Vec<_> = self.keys.into_iter().map(|key| key as u32).collect();
        rows.sort_unstable();
        rows
    }

    fn cut(&mut self) {
        if self.keys.len() >= self.k && self.k > 0 {
            let (_, last, _) = self
                .keys
                .select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.least = reach(*last);
            self.keys.truncate(self.k);
        }
    }
}

impl Keep for Candidates {
    /// The k-th best, as it was when last looked for.
    fn least(&self) -> f32 {
        self.least
    }

    fn offer(&mut self, score: f32, row: u32) {
        self.keys.push(key(score, row));
        if self.keys.len() >= self.full {
            self.cut();
            self.full = self.k.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use matryo_testkit::pseudo_random;

    use super::*;

    #[test]
    fn they_are_those_of_a_sorted_list() {
        let mut scores: Vec<f32> = pseudo_random(1000, 3)
            .iter()
            .map(|x| (x * 30.0).round())
            .collect();
        scores[7] = f32::NAN;
        for k in [1, 2, 10, 333, 999, 1000, 2000] {
            let mut pool = Candidates::new(k);
            (0..)
                .zip(&scores)
                .for_each(|(row, &score)| pool.offer(score, row));
            let mut keys: Vec<_> = (0..)
                .zip(&scores)
                .map(|(row, &score)| key(score, row))
                .collect();
            keys.sort_unstable_by(|a, b| b.cmp(a));
            keys.truncate(k);
            assert!(keys.len() < k || keys.iter().all(|&key| reach(key) >= pool.least()));
            let mut rows: Vec<_> = keys.into_iter().map(|key| key as u32).collect();
            rows.sort_unstable();
            assert_eq!(pool.into_rows(), rows, "k {k}");
        }
    }
}
