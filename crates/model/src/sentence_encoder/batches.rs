//! How texts are cut: into windows that bound memory, and within a window into batches of similar length.

use std::ops::Range;

/// A window is tokenized at once and sorted by length; larger ones would pack no better and hold more.
const TEXTS_PER_WINDOW: usize = 100_000;
const BYTES_PER_WINDOW: usize = 16 << 20;

/// Consecutive texts, at least one a window.
pub(super) fn windows<S: AsRef<str>>(texts: &[S]) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, text) in texts.iter().enumerate() {
        bytes += text.as_ref().len();
        if i + 1 - start == TEXTS_PER_WINDOW || bytes >= BYTES_PER_WINDOW || i + 1 == texts.len() {
            windows.push(start..i + 1);
            (start, bytes) = (i + 1, 0);
        }
    }
    windows
}

/// Places of texts with `lengths`, longest first, cut so that a batch has at most `budget` tokens or one text.
///
/// Attention costs the square of a length, so texts of one length together leave no thread waiting for one long text.
pub(super) fn batches(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
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
    fn windows_cover_the_texts() {
        let many = vec!["a"; TEXTS_PER_WINDOW + 1];
        assert_eq!(windows(&many), [0..TEXTS_PER_WINDOW, TEXTS_PER_WINDOW..TEXTS_PER_WINDOW + 1]);
        let long = "a".repeat(BYTES_PER_WINDOW);
        assert_eq!(windows(&["b", &long, "c"]), [0..2, 2..3]);
        assert!(windows::<&str>(&[]).is_empty());
    }
}
