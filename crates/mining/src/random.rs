//! Random choices that are the same everywhere.

use matryo_base::SplitMix64;

pub(crate) struct Random(SplitMix64);

impl Random {
    /// The sequence of a seed and the number of a restart.
    pub(crate) fn new(seed: u64, restart: usize) -> Self {
        let mut seeds = SplitMix64::new(seed);
        // A restart begins at a number of the seed's sequence that no other begins at.
        for _ in 0..restart {
            seeds.next_u64();
        }
        Self(SplitMix64::new(seeds.next_u64()))
    }

    /// Evenly from 0 up to, but not including, 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        const BITS: u32 = f64::MANTISSA_DIGITS;
        (self.0.next_u64() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }

    /// Evenly one of `0..len`.
    pub(crate) fn below(&mut self, len: usize) -> usize {
        ((self.uniform() * len as f64) as usize).min(len - 1)
    }
}
