//! Rotary position embedding of queries and keys (Su et al. 2021), in the convention of transformers: value `c` of a head is
//! rotated against value `c + head_dim / 2`.
//!
//! The angle of a token at place `p` is `p / theta^(2c / head_dim)`, computed in `f32` in the order in which transformers
//! computes it: at place 8,000 a difference in the last digit of a frequency is a difference of 5e-4 in the angle. The
//! backward is the rotation by the opposite angle. Nothing is kept.

use std::sync::{Arc, RwLock};

use matryo_ops::{AttentionShape, Mat, MatMut, Rotary as RotaryArgs};

use crate::{RotarySpec, arena::Buffer, pass::Pass};

/// The rotation of queries and keys, shared by all blocks that rotate alike.
#[derive(Debug)]
pub(crate) struct Rotary {
    spec: RotarySpec,
    shape: AttentionShape,
    frequencies: Vec<f32>,
    /// Per place, cosines and then sines of its angles; a power of two of places, enough for the longest text so far.
    table: RwLock<Arc<Mat>>,
}

impl Rotary {
    pub(crate) fn new(spec: RotarySpec, shape: AttentionShape) -> Self {
        Self {
            spec,
            shape,
            frequencies: frequencies(spec.theta, shape.head_dim),
            table: RwLock::default(),
        }
    }

    /// Whether it is the rotation that `spec` describes, for heads as `shape` has them.
    pub(crate) fn is(&self, spec: RotarySpec, shape: AttentionShape) -> bool {
        let heads = |shape: AttentionShape| (shape.heads, shape.head_dim);
        self.spec == spec && heads(self.shape) == heads(shape)
    }

    /// Rotates queries and keys of a fused `[t, 3 * heads * head_dim]`, in place.
    pub(crate) fn forward(&self, pass: &Pass<'_>, qkv: &mut Buffer) {
        self.rotate(pass, qkv.view_mut(), false);
    }

    /// Rotates their gradients back.
    pub(crate) fn backward(&self, pass: &Pass<'_>, d_qkv: &mut Buffer) {
        self.rotate(pass, d_qkv.view_mut(), true);
    }

    fn rotate(&self, pass: &Pass<'_>, x: MatMut<'_>, inverse: bool) {
        let places = pass
            .places
            .iter()
            .max()
            .map_or(0, |last| *last as usize + 1);
        let table = self.table(places);
        pass.ops.rotary(RotaryArgs {
            x,
            // Of queries and keys together.
            heads: 2 * self.shape.heads,
            head_dim: self.shape.head_dim,
            positions: &pass.places,
            table: table.view(),
            inverse,
        });
    }

    /// A table of at least so many places. It grows to a power of two, so that texts of growing length do not make one each.
    fn table(&self, places: usize) -> Arc<Mat> {
        const POISONED: &str = "computing angles does not panic";
        let table = self.table.read().expect(POISONED).clone();
        if table.rows() >= places {
            return table;
        }
        let mut shared = self.table.write().expect(POISONED);
        if shared.rows() < places {
            *shared = Arc::new(angles(&self.frequencies, places.next_power_of_two()));
        }
        shared.clone()
    }
}

/// `1 / theta^(2c / head_dim)`, each step rounded to `f32` as PyTorch does.
fn frequencies(theta: f64, head_dim: usize) -> Vec<f32> {
    let frequency = |c: usize| {
        let exponent = (2 * c) as f32 / head_dim as f32;
        1.0 / theta.powf(f64::from(exponent)) as f32
    };
    (0..head_dim / 2).map(frequency).collect()
}

fn angles(frequencies: &[f32], places: usize) -> Mat {
    let half = frequencies.len();
    let mut table = Mat::zeros(places, 2 * half);
    for place in 0..places {
        let (cosines, sines) = table.row_mut(place).split_at_mut(half);
        for ((cosine, sine), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
            let (s, c) = f64::from(place as f32 * frequency).sin_cos();
            (*cosine, *sine) = (c as f32, s as f32);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `ModernBertRotaryEmbedding` of transformers 5.24 for a head of 16 and theta 10,000.
    #[test]
    fn frequencies_are_those_of_transformers() {
        let found = frequencies(10_000.0, 16);
        let expected = [
            1.0,
            0.316_227_76,
            0.1,
            0.031_622_775,
            0.01,
            0.003_162_277_6,
            0.001,
            0.000_316_227_76,
        ];
        assert_eq!(found.len(), 8);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found / expected - 1.0_f32).abs() < 2e-7,
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn tables_grow_and_keep_their_rows() {
        let rotary = Rotary::new(RotarySpec { theta: 1e4 }, AttentionShape::new(2, 8));
        let small = rotary.table(5);
        let large = rotary.table(100);
        assert_eq!((small.rows(), large.rows()), (8, 128));
        assert_eq!(small.data(), large.view().row_range(0, 8).to_mat().data());
        assert_eq!(small.row(0), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(Arc::ptr_eq(&large, &rotary.table(3)));
    }
}
