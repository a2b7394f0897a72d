//! Random numbers that are the same on every machine: SplitMix64 (Steele, Lea & Flood 2014).

/// 2^64 divided by the golden ratio: the distance between two states.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The first number of the generator seeded with `x`: a number that looks random and depends on `x` alone.
#[inline]
pub fn mix(x: u64) -> u64 {
    finalise(x.wrapping_add(GOLDEN))
}

/// The generator SplitMix64.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The sequence of a seed; its first number is [`mix`] of the seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number of the sequence.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        finalise(self.state)
    }
}

#[inline]
fn finalise(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the reference implementation for one seed.
    const SEED: u64 = 1_234_567;
    const FIRST: [u64; 2] = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = SplitMix64::new(SEED);
        assert_eq!([random.next_u64(), random.next_u64()], FIRST);
    }

    #[test]
    fn the_mixer_is_one_output_of_it() {
        assert_eq!(mix(SEED), FIRST[0]);
        assert_eq!(mix(SEED.wrapping_add(GOLDEN)), FIRST[1]);
    }
}
