//! Buffers of `f32` that start on a cache line, so that a full vector never straddles two.
//!
//! The allocator places a large buffer 16 bytes behind the start of a page: there every vector of 64 bytes lies in two lines, and a
//! row of a tile's sums in three. It also keeps large buffers that were freed, for later ones that may not fit into them; so large
//! buffers are asked of the system itself, which gets them back: encoding 300 texts with a model of 23 M parameters took 6 MiB less.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// A cache line.
const LINE_BYTES: usize = 64;

/// Floats that the start of a buffer may have to move by.
const SPARE: usize = LINE_BYTES / size_of::<f32>() - 1;

/// Where values start in a map, one line behind the start of a page. If all buffers start on pages, one text of 16 tokens takes 6 % longer
/// (BERT-base, f32, AVX-512, medians of five pairs); presumably they meet in the same sets of the caches.
const MAP_START: usize = LINE_BYTES / size_of::<f32>();

/// Buffers of so many floats are maps of their own. Smaller ones would waste a notable part of their last page.
const LEAST_MAPPED: usize = 1 << 15;

/// As many values as it was made for, the first on a cache line.
#[derive(Debug, Default)]
pub struct AlignedVec {
    storage: Storage,
    start: usize,
    len: usize,
}

#[derive(Debug)]
enum Storage {
    Heap(Vec<f32>),
    Map(MmapMut),
}

impl Default for Storage {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl AlignedVec {
    /// `len` zeros. The system provides the memory of a large buffer as it is written.
    pub fn zeros(len: usize) -> Self {
        if let Some(map) = map(len + MAP_START) {
            return Self {
                storage: Storage::Map(map),
                start: MAP_START,
                len,
            };
        }
        let storage = vec![0.0; len + SPARE];
        // An interpreter need not tell the offset; a buffer that is not aligned costs time only.
        let start = storage.as_ptr().align_offset(LINE_BYTES).min(SPARE);
        Self {
            storage: Storage::Heap(storage),
            start,
            len,
        }
    }

    /// The first `len` values, whatever they are: of a new buffer if this one is too short.
    pub(crate) fn first_mut(&mut self, len: usize) -> &mut [f32] {
        if len > self.len {
            *self = Self::zeros(len);
        }
        &mut self[..len]
    }
}

/// Memory of the system for a large buffer; `None` for a small one, or where the system refuses.
fn map(len: usize) -> Option<MmapMut> {
    // An interpreter has no such memory.
    let is_large = len >= LEAST_MAPPED && !cfg!(miri);
    if !is_large {
        return None;
    }
    MmapMut::map_anon(len.checked_mul(size_of::<f32>())?).ok()
}

impl Deref for AlignedVec {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let all = match &self.storage {
            Storage::Heap(values) => values,
            Storage::Map(map) => bytemuck::cast_slice(map),
        };
        &all[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedVec {
    fn deref_mut(&mut self) -> &mut [f32] {
        let all = match &mut self.storage {
            Storage::Heap(values) => &mut values[..],
            Storage::Map(map) => bytemuck::cast_slice_mut(map),
        };
        &mut all[self.start..self.start + self.len]
    }
}

impl From<&[f32]> for AlignedVec {
    fn from(values: &[f32]) -> Self {
        let mut all = Self::zeros(values.len());
        all.copy_from_slice(values);
        all
    }
}

impl Clone for AlignedVec {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl PartialEq for AlignedVec {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "an interpreter need not align")]
    fn every_buffer_starts_on_a_line() {
        for len in [0, 1, 15, 16, 1000, 1 << 20] {
            let mut buffer = AlignedVec::zeros(len);
            buffer.fill(1.0);
            let copy = buffer.clone();
            assert!(buffer == copy && copy.len() == len);
            assert!(
                [buffer.as_ptr(), copy.as_ptr()]
                    .iter()
                    .all(|p| p.addr().is_multiple_of(LINE_BYTES)),
                "{len}"
            );
        }
    }

    #[test]
    fn a_buffer_grows_and_does_not_shrink() {
        let mut buffer = AlignedVec::default();
        assert_eq!(buffer.first_mut(5), [0.0; 5]);
        let place = buffer.as_ptr();
        assert_eq!(buffer.first_mut(2).as_ptr(), place);
        assert_eq!(buffer.len(), 5);
    }
}
