//! Rows to batches of row numbers, in the orders that sentence-transformers' trainer visits them.

mod batch;
mod no_duplicates;
mod python_set;
mod walk;

pub use batch::BatchSampler;
pub use no_duplicates::NoDuplicates;

use crate::Rows;

/// Turns rows into batches of row numbers.
pub trait Sampler: Send + Sync {
    /// The batches of epoch `epoch` (from 0), a pure function of its arguments: resuming needs only (epoch, batch).
    fn epoch(&self, rows: &dyn Rows, epoch: u64) -> Vec<Vec<u32>>;
}

/// Whose order is reproduced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compat {
    /// sentence-transformers 5.7.
    #[default]
    Current,
    /// sentence-transformers 3.0.
    V3_0,
}

/// Batches that upstream's loader reckons with: `ceil(rows / batch_size)`, or rounded down when the last one is dropped.
/// A sampler may make more: [`NoDuplicates`] does when duplicates leave batches short.
pub fn batches_per_epoch(rows: usize, batch_size: usize, drop_last: bool) -> usize {
    if drop_last {
        rows / batch_size
    } else {
        rows.div_ceil(batch_size)
    }
}
