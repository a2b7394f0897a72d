//! Seeds of single batches: functions of the run's seed and the batch's place alone, so that a resumed run repeats them.

use matryo_base::mix;

/// The seed of micro-batch `index` of `epoch`.
pub(crate) fn of_batch(seed: u64, epoch: u64, index: u64) -> u64 {
    mix(mix(mix(seed) ^ epoch) ^ index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_own() {
        let seeds: std::collections::HashSet<u64> = (0..10)
            .flat_map(|epoch| (0..100).map(move |index| of_batch(42, epoch, index)))
            .collect();
        assert_eq!(seeds.len(), 1000);
    }
}
