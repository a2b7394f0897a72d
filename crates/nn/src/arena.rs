//! Buffers that are used again: passes over batches of a steady size allocate nothing and fill nothing with zeros.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use matryo_ops::{AlignedVec, MatMut, MatRef};

/// Free buffers by the width of the matrices they were made for.
type Free = Arc<Mutex<HashMap<usize, Vec<AlignedVec>>>>;

/// Lends buffers; they come back when they are dropped.
#[derive(Clone, Default)]
pub struct Arena {
    free: Free,
}

/// A matrix `[rows, cols]` whose values are whatever the last user left, until they are written.
pub struct Buffer {
    rows: usize,
    cols: usize,
    data: AlignedVec,
    home: Free,
}

/// Lengths are rounded up by at most an eighth, so that batches cut by a token budget share buffers.
const STEPS_PER_OCTAVE: usize = 8;

impl Arena {
    /// A buffer with unspecified values.
    pub(crate) fn take(&self, rows: usize, cols: usize) -> Buffer {
        let len = rows * cols;
        let data = self
            .reuse(len, cols)
            .unwrap_or_else(|| AlignedVec::zeros(rounded(len)));
        Buffer {
            rows,
            cols,
            data,
            home: self.free.clone(),
        }
    }

    /// A buffer of zeros, for what is added to.
    pub(crate) fn zeros(&self, rows: usize, cols: usize) -> Buffer {
        let mut buffer = self.take(rows, cols);
        buffer.data_mut().fill(0.0);
        buffer
    }

    /// A buffer with the values of another.
    pub(crate) fn copy(&self, source: &Buffer) -> Buffer {
        let mut buffer = self.take(source.rows, source.cols);
        buffer.data_mut().copy_from_slice(source.data());
        buffer
    }

    /// A buffer with the values of a matrix.
    pub(crate) fn of(&self, source: MatRef<'_>) -> Buffer {
        let mut buffer = self.take(source.rows(), source.cols());
        for row in 0..source.rows() {
            let place = row * source.cols();
            buffer.data_mut()[place..place + source.cols()].copy_from_slice(source.row(row));
        }
        buffer
    }

    /// Place and length of every free buffer, and the bytes of all of them; for tests.
    pub(crate) fn free_buffers(&self) -> (Vec<(usize, usize)>, usize) {
        let free = self
            .free
            .lock()
            .expect("no one panics while holding the lists");
        let mut all: Vec<_> = free
            .values()
            .flatten()
            .map(|data| (data.as_ptr() as usize, data.len()))
            .collect();
        all.sort_unstable();
        let bytes = all.iter().map(|(_, len)| len * size_of::<f32>()).sum();
        (all, bytes)
    }

    /// The smallest free buffer of this width that is large enough.
    ///
    /// If there is none, the largest is given up for the one to come: batches that grow from one to the next would else
    /// leave a set of buffers a size. Each width keeps to its own, so that a narrow matrix never takes a wide one's
    /// buffer, for which a new one would have to be made.
    fn reuse(&self, len: usize, cols: usize) -> Option<AlignedVec> {
        let mut free = self
            .free
            .lock()
            .expect("no one panics while holding the lists");
        let free = free.get_mut(&cols)?;
        let sizes = || free.iter().map(|data| data.len()).enumerate();
        if let Some((fit, _)) = sizes()
            .filter(|(_, size)| *size >= len)
            .min_by_key(|(_, size)| *size)
        {
            return Some(free.swap_remove(fit));
        }
        let outgrown = sizes().max_by_key(|(_, size)| *size)?.0;
        free.swap_remove(outgrown);
        None
    }
}

impl Buffer {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn data(&self) -> &[f32] {
        &self.data[..self.rows * self.cols]
    }

    pub(crate) fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data[..self.rows * self.cols]
    }

    /// `self += factor * x`.
    pub(crate) fn add_multiple(&mut self, x: &Self, factor: f32) {
        let pairs = self.data_mut().iter_mut().zip(x.data());
        pairs.for_each(|(y, x)| *y += factor * x);
    }

    pub(crate) fn view(&self) -> MatRef<'_> {
        MatRef::new(self.rows, self.cols, self.data())
    }

    pub(crate) fn view_mut(&mut self) -> MatMut<'_> {
        MatMut::new(self.rows, self.cols, self.data_mut())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Ok(mut free) = self.home.lock() {
            free.entry(self.cols)
                .or_default()
                .push(std::mem::take(&mut self.data));
        }
    }
}

/// Bytes of matrices of `rows` rows and these widths. What rounding adds is never written, so the system never provides it.
pub(crate) fn bytes(rows: usize, widths: &[usize]) -> usize {
    rows * widths.iter().sum::<usize>() * size_of::<f32>()
}

fn rounded(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / (2 * STEPS_PER_OCTAVE)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_for_less() {
        let arena = Arena::default();
        let first = arena.take(100, 8).data().as_ptr();
        assert_eq!(
            arena.take(60, 8).data().as_ptr(),
            first,
            "dropped and taken again, smaller"
        );
        assert_ne!(arena.take(100, 7).data().as_ptr(), first, "another width");
    }

    #[test]
    fn growing_batches_leave_no_small_buffers_behind() {
        let arena = Arena::default();
        for rows in 10..40 {
            let _two = (arena.take(rows, 8), arena.take(rows, 8));
        }
        assert_eq!(arena.free_buffers().0.len(), 2);
    }

    #[test]
    fn two_buffers_at_a_time_are_two() {
        let arena = Arena::default();
        let (a, b) = (arena.take(4, 4), arena.take(4, 4));
        assert_ne!(a.data().as_ptr(), b.data().as_ptr());
    }

    #[test]
    fn zeros_are_zeros_after_use() {
        let arena = Arena::default();
        arena.take(4, 4).data_mut().fill(7.0);
        assert_eq!(arena.zeros(4, 4).data(), &[0.0; 16]);
    }

    #[test]
    fn rounding_wastes_an_eighth_at_most() {
        for len in [1, 7, 100, 4097, 1_000_003] {
            assert!(
                rounded(len) >= len && rounded(len) <= len + len / 8 + 1,
                "{len}"
            );
        }
    }
}
