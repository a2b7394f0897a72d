//! Files to rows to batches of row numbers: readers, samplers, checks.

/// Rows of texts in named columns.
pub trait Rows: Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the columns, in the order that decides their roles.
    fn columns(&self) -> &[String];

    /// One text.
    fn text(&self, row: usize, column: usize) -> &str;
}

/// Turns rows into batches of row numbers.
pub trait Sampler: Send + Sync {
    /// The batches of epoch `epoch` (from 0), a pure function of its arguments: resuming needs only (epoch, batch).
    fn epoch(&self, rows: &dyn Rows, epoch: u64) -> Vec<Vec<u32>>;
}
