//! The bias of attention scores by bucketed distance (Raffel et al. 2020), one table for all blocks.
//!
//! Its gradient is the sum over the blocks. Nothing is kept: a table of all distances is a few thousand values.

use matryo_ops::Mat;

use crate::{
    RelativeSpec,
    pass::{Backward, Pass},
    weights::{VectorParam, accumulate},
};

/// The bias of one block; all blocks have the same table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relative {
    /// `[rows, heads]`.
    pub(crate) table: VectorParam,
    pub(crate) heads: usize,
    pub(crate) spec: RelativeSpec,
}

impl Relative {
    /// The bias of every head for all distances that occur in the pass: `[heads, 2 reach + 1]`, the score of query `i` with key `j` in
    /// column `reach + i - j`.
    pub(crate) fn expand(&self, pass: &Pass<'_>) -> Mat {
        let table = pass.weights.vector(self.table);
        let buckets = self.buckets(pass);
        let mut bias = Mat::zeros(self.heads, buckets.len());
        for head in 0..self.heads {
            let values = bias.row_mut(head).iter_mut().zip(&buckets);
            values.for_each(|(value, bucket)| *value = table[bucket * self.heads + head]);
        }
        bias
    }

    /// Adds the gradient of the table, given that of what [`Self::expand`] made.
    pub(crate) fn backward(&self, cx: &mut Backward<'_>, d_bias: &Mat) {
        let buckets = self.buckets(&cx.pass);
        accumulate(cx.grads, [Some(self.table.tensor)], |[d_table]| {
            let Some(d_table) = d_table else { return };
            for head in 0..self.heads {
                for (d, bucket) in d_bias.row(head).iter().zip(&buckets) {
                    d_table[bucket * self.heads + head] += d;
                }
            }
        });
    }

    /// The row of the table for each column of the bias.
    fn buckets(&self, pass: &Pass<'_>) -> Vec<usize> {
        let reach = pass
            .places
            .iter()
            .max()
            .map_or(0, |&place| i64::from(place));
        // Column `reach + i - j`: the key is `j - i` tokens after the query.
        (-reach..=reach)
            .map(|distance| bucket(self.spec, -distance))
            .collect()
    }
}

/// The bucket of a key that stands `distance` tokens after its query: half of them for keys before and half for keys after, in each
/// half one a distance at first, then in logarithmic steps up to the greatest distance. In `f32`, as transformers computes it.
fn bucket(spec: RelativeSpec, distance: i64) -> usize {
    let half = spec.buckets / 2;
    let side = if distance > 0 { half } else { 0 };
    let (distance, exact) = (distance.unsigned_abs() as usize, half / 2);
    if distance < exact {
        return side + distance;
    }
    let farthest = (spec.max_distance as f64 / exact as f64).ln() as f32;
    let steps = (distance as f32 / exact as f32).ln() / farthest * (half - exact) as f32;
    side + (exact + steps as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds of the buckets of `MPNetEncoder.relative_position_bucket` and of T5's: the least distance of each.
    #[test]
    fn buckets_of_32_up_to_128() {
        let spec = RelativeSpec {
            rows: 32,
            buckets: 32,
            max_distance: 128,
        };
        let starts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        for (index, start) in starts.into_iter().enumerate() {
            assert_eq!(bucket(spec, -start), index, "{start} before");
            if start > 0 {
                assert_eq!(bucket(spec, start), 16 + index, "{start} after");
                assert_eq!(bucket(spec, 1 - start), index - 1, "{start} before");
            }
        }
        assert_eq!((bucket(spec, -8), bucket(spec, 8)), (8, 24));
        assert_eq!((bucket(spec, -5000), bucket(spec, 5000)), (15, 31));
    }
}
