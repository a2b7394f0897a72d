//! CPU arithmetic on slices: the only crate with `unsafe`, and the bottom of the crate graph.

mod matrix;

pub use matrix::{Mat, MatMut, MatRef};

/// A weight packed for the matrix product.
pub struct PackedWeight;
