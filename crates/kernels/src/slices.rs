//! How the steps of a product are cut into slices, and where a slice's words lie in a packed operand.

use std::ops::Range;

use crate::precision::Format;

/// Most values of a slice.
const MOST: usize = 1024;

/// The slices of `k` steps in a format. Without steps there is one slice, of nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    k: usize,
    /// Values of every slice but the last.
    values: usize,
    format: Format,
}

impl Slices {
    pub(crate) fn new(k: usize, format: Format) -> Self {
        let values = k
            .div_ceil(k.div_ceil(MOST).max(1))
            .next_multiple_of(format.multiple())
            .max(format.multiple());
        Self { k, values, format }
    }

    pub(crate) fn count(&self) -> usize {
        self.k.div_ceil(self.values).max(1)
    }

    /// The steps of slice `i`.
    pub(crate) fn values(&self, i: usize) -> Range<usize> {
        (i * self.values).min(self.k)..((i + 1) * self.values).min(self.k)
    }

    /// Words of one part of slice `i`.
    pub(crate) fn part(&self, i: usize) -> usize {
        self.values(i)
            .len()
            .div_ceil(self.format.values_per_word())
            .next_multiple_of(self.format.step())
    }

    /// Words of slice `i`, all parts.
    pub(crate) fn words(&self, i: usize) -> usize {
        self.part(i) * self.format.parts()
    }

    /// Values of slice `i` with the zeros that fill it up.
    pub(crate) fn stored(&self, i: usize) -> usize {
        self.part(i) * self.format.values_per_word()
    }

    /// Values that are rotated at a time, for which there must be room: a row of the longest slice, if the format rotates.
    pub(crate) fn rotated(&self) -> usize {
        if self.format.is_rotated() {
            self.stored(0)
        } else {
            0
        }
    }

    /// Where the words of slice `i` begin.
    pub(crate) fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { i * self.words(0) }
    }

    /// Words of all slices.
    pub(crate) fn total(&self) -> usize {
        let last = self.count() - 1;
        self.start(last) + self.words(last)
    }

    /// Steps.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_the_steps() {
        for k in [0, 1, 2, 31, 33, 768, 1024, 1025, 2100, 3072, 4097] {
            for format in [
                Format::F32,
                Format::Int16,
                Format::Tiles3,
                Format::Bytes,
                Format::WideBytes,
            ] {
                let slices = Slices::new(k, format);
                let mut next = (0, 0);
                for i in 0..slices.count() {
                    let values = slices.values(i);
                    assert_eq!((values.start, slices.start(i)), next, "slice {i} of {k}");
                    assert!(
                        values.len() <= MOST
                            && slices.words(i) * format.values_per_word() >= values.len()
                    );
                    next = (values.end, slices.start(i) + slices.words(i));
                }
                assert_eq!(next, (k, slices.total()));
            }
        }
    }
}
