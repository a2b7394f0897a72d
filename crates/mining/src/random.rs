//! Random numbers that are the same everywhere: SplitMix64 (Steele, Lea and Flood 2014).

pub(crate) struct Random(u64);

impl Random {
    /// The sequence of a seed and the number of a restart.
    pub(crate) fn new(seed: u64, restart: usize) -> Self {
        let mut own = Self(seed);
        // A restart begins at a number of the seed's sequence that no other begins at.
        for _ in 0..restart {
            own.next();
        }
        Self(own.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 up to, but not including, 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        const BITS: u32 = f64::MANTISSA_DIGITS;
        (self.next() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }

    /// Evenly one of `0..len`.
    pub(crate) fn below(&mut self, len: usize) -> usize {
        ((self.uniform() * len as f64) as usize).min(len - 1)
    }
}
