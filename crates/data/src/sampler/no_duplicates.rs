//! `no_duplicates`: no text twice in a batch, so that no in-batch negative is somebody's positive.

use super::python_set::PythonSet;
use super::walk::Walk;
use super::{Compat, Sampler};
use crate::Rows;
use crate::randperm::randperm;
use crate::text_ids::TextIds;

/// Batches without a repeated text, in any column.
///
/// Each batch walks over the rows that are left and takes those that share no text with it, until it is full. 5.7 walks
/// in the order `randperm(rows, epoch)`: the training seed has no effect, because upstream's trainer does not pass it to
/// this sampler. 3.0 does not shuffle: it walks in the order of a Python set, ascending but for the wrapping around
/// when few rows are left.
///
/// All batches are given, also those beyond [`batches_per_epoch`](super::batches_per_epoch): whether they are trained on
/// is the trainer's rule.
#[derive(Debug, Clone)]
pub struct NoDuplicates {
    /// Rows per batch, at least 1.
    pub batch_size: usize,
    /// Whether batches that are not full are left out, with their rows.
    pub drop_last: bool,
    /// Whose order.
    pub compat: Compat,
}

impl NoDuplicates {
    fn shuffled(&self, ids: &TextIds, rows: usize, epoch: u64) -> Vec<Vec<u32>> {
        let mut walk = Walk::new(ids, randperm(rows, epoch));
        let mut batches = Vec::with_capacity(rows.div_ceil(self.batch_size));
        while walk.left() > 0 {
            batches.push(walk.next_batch(self.batch_size));
        }
        batches
    }

    fn in_set_order(&self, ids: &TextIds, rows: usize) -> Vec<Vec<u32>> {
        let mut set = PythonSet::of_numbers_below(rows);
        let mut walk = Walk::new(ids, ascending(rows));
        let mut batches = Vec::with_capacity(rows.div_ceil(self.batch_size));
        while walk.left() > 0 {
            let batch = walk.next_batch(self.batch_size);
            if let Some(order) = set.remove(batch.len(), || walk.rest()) {
                walk = Walk::new(ids, order);
            }
            batches.push(batch);
        }
        batches
    }
}

fn ascending(rows: usize) -> Vec<u32> {
    (0..u32::try_from(rows).expect("row numbers fit into 32 bits")).collect()
}

impl Sampler for NoDuplicates {
    fn epoch(&self, rows: &dyn Rows, epoch: u64) -> Vec<Vec<u32>> {
        assert!(self.batch_size > 0, "batches of at least one row");
        let ids = TextIds::new(rows);
        let mut batches = match self.compat {
            Compat::Current => self.shuffled(&ids, rows.len(), epoch),
            Compat::V3_0 => self.in_set_order(&ids, rows.len()),
        };
        batches.retain(|batch| !self.drop_last || batch.len() == self.batch_size);
        batches
    }
}
