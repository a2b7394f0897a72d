//! Sums of the gradients of vectors of distances, which all texts share.

use std::ops::Range;

use super::{Disentangled, Spans};
use crate::{MatMut, parallel};

/// Sums of every head of every group of texts: each task writes its own, and they are added in the order of the groups.
///
/// Groups depend on the texts alone. One has at least as many tokens as its sums have rows, so all sums together are hardly larger than
/// one matrix as wide as the hidden states.
pub(super) struct CollectedVectors {
    /// `[groups, heads, terms, rows, head_dim]`.
    sums: Vec<f32>,
    /// Consecutive texts.
    groups: Vec<Range<usize>>,
    /// Floats of one head of one group.
    share: usize,
}

impl CollectedVectors {
    /// Without vectors every text is a group, whose sums are empty.
    pub(super) fn new(
        distances: Option<Disentangled<'_>>,
        spans: Spans<'_>,
        heads: usize,
        dim: usize,
    ) -> Self {
        let rows = distances.map_or(0, |distances| distances.count() * distances.vectors.rows());
        let groups = groups(spans, rows);
        Self {
            sums: vec![0.0; groups.len() * heads * rows * dim],
            groups,
            share: rows * dim,
        }
    }

    /// Floats of all sums for a batch of `tokens` tokens, at most; `rows` are those of all terms, `width` that of all heads.
    pub(super) fn most(tokens: usize, rows: usize, width: usize) -> usize {
        // Every group but the last has as many tokens as rows.
        let groups = if rows == 0 { 0 } else { tokens.div_ceil(rows) };
        groups * rows * width
    }

    pub(super) fn groups(&self) -> &[Range<usize>] {
        &self.groups
    }

    /// Floats of the sums of one head of one group.
    pub(super) fn share(&self) -> usize {
        self.share
    }

    pub(super) fn sums(&mut self) -> &mut [f32] {
        &mut self.sums
    }

    /// Adds all of them to `d_vectors`, which is laid out as the vectors.
    pub(super) fn add_to(
        &self,
        mut d_vectors: MatMut<'_>,
        distances: Disentangled<'_>,
        heads: usize,
        dim: usize,
    ) {
        let (rows, cols) = (d_vectors.rows(), d_vectors.cols());
        let add = |row: usize, d_row: &mut [f32]| {
            for shares in self.sums.chunks_exact(heads * self.share) {
                for (head, share) in shares.chunks_exact(self.share).enumerate() {
                    for (term, first) in distances.columns().enumerate() {
                        let sums = &share[(term * rows + row) * dim..][..dim];
                        let out = &mut d_row[first + head * dim..][..dim];
                        out.iter_mut().zip(sums).for_each(|(d, sum)| *d += sum);
                    }
                }
            }
        };
        if self.share > 0 {
            parallel::for_parts(d_vectors.data(), cols, add);
        }
    }
}

/// Consecutive texts of at least `tokens` tokens together, but for the last of them.
fn groups(spans: Spans<'_>, tokens: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut first = 0;
    for text in 0..spans.texts() {
        if spans.bounds[text + 1] - spans.bounds[first] >= tokens as u32 {
            groups.push(first..text + 1);
            first = text + 1;
        }
    }
    if first < spans.texts() {
        groups.push(first..spans.texts());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_one_group_of_enough_tokens() {
        let spans = Spans {
            bounds: &[0, 5, 5, 9, 30, 31, 33],
        };
        assert_eq!(groups(spans, 8), [0..3, 3..4, 4..6]);
        assert_eq!(groups(spans, 30), [0..4, 4..6]);
        assert_eq!(groups(spans, 0), [0..1, 1..2, 2..3, 3..4, 4..5, 5..6]);
        assert_eq!(groups(spans, 100).len(), 1);
        assert_eq!(groups(Spans { bounds: &[0] }, 4), []);
    }
}
