//! The Mersenne Twister MT19937, as PyTorch's CPU generator runs it.
//!
//! Makoto Matsumoto and Takuji Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random
//! number generator", 1998, with the seeding of 2002 (`init_genrand`).

const STATE: usize = 624;
const SHIFT: usize = 397;
const UPPER_BIT: u32 = 0x8000_0000;
const MATRIX: u32 = 0x9908_b0df;

/// A generator of 32-bit numbers.
#[derive(Debug, Clone)]
pub struct Mt19937 {
    state: [u32; STATE],
    used: usize,
}

impl Mt19937 {
    /// The generator after `torch.manual_seed(seed)`, which keeps the low 32 bits of a seed.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; STATE];
        for i in 1..STATE {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        Self { state, used: STATE }
    }

    /// The next number.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == STATE {
            self.refill();
        }
        let mut y = self.state[self.used];
        self.used += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for i in 0..STATE {
            let y = (self.state[i] & UPPER_BIT) | (self.state[(i + 1) % STATE] & !UPPER_BIT);
            let twisted = (y >> 1) ^ if y & 1 == 1 { MATRIX } else { 0 };
            self.state[i] = self.state[(i + SHIFT) % STATE] ^ twisted;
        }
        self.used = 0;
    }
}
