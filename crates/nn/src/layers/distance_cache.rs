//! Projected vectors of distances of a model that is only used: they depend on nothing but its weights.
//!
//! A batch of a few hundred tokens would else project as many vectors as tokens, in each block. What is kept grows with the longest text so
//! far, so that a program that embeds one short text does not project the whole table.

use std::{
    ops::Range,
    sync::{Arc, RwLock},
};

use matryo_ops::Mat;

/// Reach that is projected at least: growing again and again costs more than a few rows.
const LEAST_REACH: i64 = 64;

/// The vectors of one block.
#[derive(Debug, Default)]
pub(super) struct DistanceCache {
    largest: RwLock<Option<Arc<CachedVectors>>>,
}

/// Vectors of all distances up to a reach.
#[derive(Debug)]
pub(super) struct CachedVectors {
    reach: i64,
    /// Rows of the table.
    pub(super) rows: Range<usize>,
    /// `[rows, parts * width]`.
    pub(super) vectors: Mat,
}

impl DistanceCache {
    /// Vectors of all distances from `-reach` to `reach`, or more. `compute` is given a reach and returns the rows of its distances and
    /// their vectors.
    ///
    /// Threads that ask at the same time may each compute them, with the same bits: waiting for each other they could wait forever,
    /// since a thread that computes takes on other batches while its product is shared.
    pub(super) fn reaching(
        &self,
        reach: i64,
        compute: impl FnOnce(i64) -> (Range<usize>, Mat),
    ) -> Arc<CachedVectors> {
        let present = self.largest.read().expect("no panic while held").clone();
        if let Some(cached) = present.filter(|cached| cached.reach >= reach) {
            return cached;
        }
        let reach = (reach.max(LEAST_REACH) as u64).next_power_of_two() as i64;
        let (rows, vectors) = compute(reach);
        let computed = Arc::new(CachedVectors {
            reach,
            rows,
            vectors,
        });
        let mut largest = self.largest.write().expect("no panic while held");
        if largest.as_ref().is_none_or(|cached| cached.reach < reach) {
            *largest = Some(computed.clone());
        }
        computed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_far_enough_is_computed_once() {
        let cache = DistanceCache::default();
        let ask = |reach: i64| {
            let mut computed = None;
            let cached = cache.reaching(reach, |reach| {
                computed = Some(reach);
                (0..1, Mat::zeros(1, 1))
            });
            assert!(cached.reach >= reach);
            computed
        };
        assert_eq!(ask(3), Some(64));
        assert_eq!(ask(64), None);
        assert_eq!(ask(65), Some(128));
        assert_eq!(ask(10), None, "the largest serves all");
    }
}
