//! `batch_sampler`, the default: all rows shuffled, cut into batches.

use super::{Compat, Sampler};
use crate::Rows;
use crate::mt19937::Mt19937;
use crate::randperm::{next_randperm, randperm};

/// What a `torch.Generator` starts from when nobody seeds it.
const UNSEEDED: u64 = 67_280_421_310_721;

/// Batches of shuffled rows.
///
/// 5.7: accelerate puts its `SeedableRandomSampler` in place of the shuffling, so epoch `e` is
/// `randperm(rows, (data_seed or seed) + e)`. 3.0: the epochs take one permutation after the other from a single
/// generator, seeded with `seed` (left unseeded when `seed` is 0); `data_seed` has no effect.
#[derive(Debug, Clone)]
pub struct BatchSampler {
    /// Rows per batch, at least 1.
    pub batch_size: usize,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
    /// The training seed.
    pub seed: u64,
    /// The seed of the order, when it has its own.
    pub data_seed: Option<u64>,
    /// Whose order.
    pub compat: Compat,
}

impl BatchSampler {
    fn order(&self, rows: usize, epoch: u64) -> Vec<u32> {
        match self.compat {
            Compat::Current => randperm(
                rows,
                self.data_seed.unwrap_or(self.seed).wrapping_add(epoch),
            ),
            Compat::V3_0 => {
                let seed = if self.seed == 0 { UNSEEDED } else { self.seed };
                let mut generator = Mt19937::new(seed as u32);
                // The earlier epochs' draws have to be made to get past them: a few milliseconds per million rows.
                (0..epoch).for_each(|_| drop(next_randperm(rows, &mut generator)));
                next_randperm(rows, &mut generator)
            }
        }
    }
}

impl Sampler for BatchSampler {
    fn epoch(&self, rows: &dyn Rows, epoch: u64) -> Vec<Vec<u32>> {
        assert!(self.batch_size > 0, "batches of at least one row");
        let order = self.order(rows.len(), epoch);
        let keep = |batch: &&[u32]| !self.drop_last || batch.len() == self.batch_size;
        order
            .chunks(self.batch_size)
            .filter(keep)
            .map(<[u32]>::to_vec)
            .collect()
    }
}
