//! Which values of a long buffer were written since it was zero.
//!
//! A step of training reads a thousand rows of a word table that may have a quarter of a million, and rows that were never read
//! have gradients and moments of 0. Visiting them would cost XLM-R-base a tenth of a step of 32 pairs and a gigabyte and a half of moments.

use std::ops::Range;

use crate::parallel::BLOCK;

/// Values that one bit stands for. A word of bits is then a block of the passes over whole buffers.
const GRANULE: usize = BLOCK / u64::BITS as usize;

/// The values of a buffer that may differ from 0, in granules of 256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    words: Vec<u64>,
    len: usize,
}

/// The part of a [`Touched`] that belongs to some neighbouring values, numbered from the first of them.
#[derive(Clone, Copy, Debug)]
pub struct TouchedPart<'a> {
    touched: &'a Touched,
    start: usize,
    len: usize,
}

impl Touched {
    /// Says that all of `len` values are 0.
    pub fn none(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(BLOCK)],
            len,
        }
    }

    /// Says that each of `len` values may be anything.
    pub fn all(len: usize) -> Self {
        Self {
            words: vec![u64::MAX; len.div_ceil(BLOCK)],
            len,
        }
    }

    /// Says which of these values have a bit set, so that a negative zero counts.
    pub fn of(values: &[f32]) -> Self {
        let mut touched = Self::none(values.len());
        for (i, granule) in values.chunks(GRANULE).enumerate() {
            if granule.iter().any(|value| value.to_bits() != 0) {
                touched.set(i);
            }
        }
        touched
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Says that the values of `range` were written.
    pub fn mark(&mut self, range: Range<usize>) {
        assert!(range.end <= self.len, "touched: {range:?} of {}", self.len);
        if !range.is_empty() {
            (range.start / GRANULE..=(range.end - 1) / GRANULE).for_each(|i| self.set(i));
        }
    }

    /// Adds what `other`, of the same length, says.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.len, other.len, "touched: lengths");
        let words = self.words.iter_mut().zip(&other.words);
        words.for_each(|(word, other)| *word |= other);
    }

    /// Sets to 0 what was written of `values`, and says so.
    pub fn zero(&mut self, values: &mut [f32]) {
        assert_eq!(self.len, values.len(), "touched: lengths");
        for run in self.whole().runs(0..self.len) {
            values[run].fill(0.0);
        }
        self.words.fill(0);
    }

    /// The part that belongs to `range`.
    pub fn part(&self, range: Range<usize>) -> TouchedPart<'_> {
        assert!(range.end <= self.len, "touched: {range:?} of {}", self.len);
        TouchedPart {
            touched: self,
            start: range.start,
            len: range.len(),
        }
    }

    /// The part that is all of it.
    pub fn whole(&self) -> TouchedPart<'_> {
        self.part(0..self.len)
    }

    fn set(&mut self, granule: usize) {
        self.words[granule / 64] |= 1 << (granule % 64);
    }

    fn is_set(&self, granule: usize) -> bool {
        self.words[granule / 64] >> (granule % 64) & 1 == 1
    }
}

impl TouchedPart<'_> {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The longest runs of touched values among those of `range`, numbered from its first.
    pub(crate) fn runs(self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let (first, end) = (self.start + range.start, self.start + range.end);
        let mut next = first;
        std::iter::from_fn(move || {
            let boundary = |at: usize| ((at / GRANULE + 1) * GRANULE).min(end);
            while next < end && !self.touched.is_set(next / GRANULE) {
                next = boundary(next);
            }
            let start = next;
            while next < end && self.touched.is_set(next / GRANULE) {
                next = boundary(next);
            }
            (start < next).then(|| start - first..next - first)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(part: TouchedPart<'_>, range: Range<usize>) -> Vec<(usize, usize)> {
        part.runs(range).map(|run| (run.start, run.end)).collect()
    }

    #[test]
    fn what_was_marked_comes_back_in_whole_granules() {
        let mut touched = Touched::none(3 * BLOCK + 10);
        assert!(runs(touched.whole(), 0..touched.len()).is_empty());
        touched.mark(0..0);
        assert_eq!(touched, Touched::none(touched.len()));
        touched.mark(GRANULE - 1..GRANULE + 1);
        touched.mark(BLOCK - 1..BLOCK + 1);
        touched.mark(3 * BLOCK + 9..3 * BLOCK + 10);
        let expected = [
            (0, 2 * GRANULE),
            (BLOCK - GRANULE, BLOCK + GRANULE),
            (3 * BLOCK, 3 * BLOCK + 10),
        ];
        assert_eq!(runs(touched.whole(), 0..touched.len()), expected);
    }

    #[test]
    fn a_part_counts_from_its_first_value() {
        let mut touched = Touched::none(BLOCK);
        touched.mark(2 * GRANULE..3 * GRANULE);
        let part = touched.part(GRANULE + 5..BLOCK);
        let expected = [(GRANULE - 5, 2 * GRANULE - 5)];
        assert_eq!(runs(part, 0..part.len()), expected);
        assert_eq!(runs(part, GRANULE..part.len()), [(0, GRANULE - 5)]);
        assert_eq!(runs(part, GRANULE..GRANULE + 7), [(0, 7)]);
    }

    #[test]
    fn values_tell_what_was_written() {
        let mut values = vec![0.0; 4 * GRANULE];
        (values[GRANULE], values[4 * GRANULE - 1]) = (-0.0, 1.0);
        let mut touched = Touched::of(&values);
        let mut expected = Touched::none(values.len());
        expected.mark(GRANULE..GRANULE + 1);
        assert_ne!(touched, expected);
        let mut last = Touched::none(values.len());
        last.mark(3 * GRANULE..4 * GRANULE);
        expected.merge(&last);
        assert_eq!(touched, expected);
        touched.zero(&mut values);
        assert!(values.iter().all(|value| value.to_bits() == 0));
        assert_eq!(touched, Touched::none(values.len()));
        assert_eq!(runs(Touched::all(5).whole(), 0..5), [(0, 5)]);
    }
}
