//! Seeds of single batches: functions of the run's seed and the batch's place alone, so that a resumed run repeats them.

/// The seed of micro-batch `index` of `epoch`.
pub(crate) fn of_batch(seed: u64, epoch: u64, index: u64) -> u64 {
    mix(mix(mix(seed) ^ epoch) ^ index)
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_is_splitmix64() {
        // First outputs of the reference implementation seeded with 1234567.
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(
            mix(1_234_567_u64.wrapping_add(0x9E37_79B9_7F4A_7C15)),
            3_203_168_211_198_807_973
        );
    }

    #[test]
    fn every_place_has_its_own() {
        let seeds: std::collections::HashSet<u64> = (0..10)
            .flat_map(|epoch| (0..100).map(move |index| of_batch(42, epoch, index)))
            .collect();
        assert_eq!(seeds.len(), 1000);
    }
}
