//! How texts are cut: into windows that bound memory, and within a window into batches of similar length. This is the only
//! batcher.

use std::ops::Range;

/// A window is tokenized at once, while the one before it is encoded, and sorted by length. The first is small, since
/// nothing can be encoded meanwhile, and each is twice as large as the one before, up to where larger ones would pack no
/// better. Memory holds the token ids of two windows.
const FIRST: Limit = Limit {
    texts: 1024,
    bytes: 256 << 10,
};
const LARGEST: Limit = Limit {
    texts: 50_000,
    bytes: 8 << 20,
};

/// Where a window ends: with its last text, or with the text that brings the last of its bytes.
#[derive(Clone, Copy)]
struct Limit {
    texts: usize,
    bytes: usize,
}

impl Limit {
    fn next(self) -> Self {
        Self {
            texts: (2 * self.texts).min(LARGEST.texts),
            bytes: (2 * self.bytes).min(LARGEST.bytes),
        }
    }
}

/// Windows of consecutive texts, at least one text each. Where they are cut follows from the texts alone.
pub(crate) fn windows<S: AsRef<str>>(texts: &[S]) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let (mut start, mut bytes, mut limit) = (0, 0, FIRST);
    for (i, text) in texts.iter().enumerate() {
        bytes += text.as_ref().len();
        if i + 1 - start == limit.texts || bytes >= limit.bytes || i + 1 == texts.len() {
            windows.push(start..i + 1);
            (start, bytes, limit) = (i + 1, 0, limit.next());
        }
    }
    windows
}

/// Cuts texts of these lengths into batches of at most `budget` tokens, or of one longer text. A batch holds places in
/// `lengths`; the longest texts come first, and equally long ones stay in their order.
///
/// Attention costs the square of a length, so texts of one length together leave no thread waiting for one long text.
pub fn batches(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for i in order {
        match batches.last_mut() {
            Some(batch) if lengths[i] <= room => batch.push(i),
            _ => {
                batches.push(vec![i]);
                room = budget.max(lengths[i]);
            }
        }
        room -= lengths[i];
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_one_batch_longest_first() {
        let batches = batches(&[3, 9, 2, 5, 5, 1], 10);
        assert_eq!(batches, [vec![1], vec![3, 4], vec![0, 2, 5]]);
    }

    #[test]
    fn a_text_beyond_the_budget_is_a_batch() {
        assert_eq!(batches(&[4, 30, 4], 8), [vec![1], vec![0, 2]]);
        assert!(batches(&[], 8).is_empty());
    }

    #[test]
    fn windows_cover_the_texts_and_grow() {
        let many = vec!["a"; 200_000];
        let windows = windows(&many);
        let sizes: Vec<usize> = windows.iter().map(Range::len).collect();
        assert_eq!(sizes[..7], [1024, 2048, 4096, 8192, 16_384, 32_768, 50_000]);
        assert!(sizes.iter().all(|size| *size <= LARGEST.texts));
        assert!(
            windows.iter().cloned().flatten().eq(0..many.len()),
            "every text once, in order"
        );
    }

    #[test]
    fn long_texts_make_windows_of_few() {
        let long = "a".repeat(FIRST.bytes);
        assert_eq!(windows(&["b", &long, "c", &long, "d"]), [0..2, 2..5]);
        let huge = "a".repeat(LARGEST.bytes);
        assert_eq!(windows(&[&huge; 3]), [0..1, 1..2, 2..3]);
        assert!(windows::<&str>(&[]).is_empty());
    }
}
