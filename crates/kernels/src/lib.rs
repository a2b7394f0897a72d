//! CPU arithmetic on slices: the only crate with `unsafe`, and the bottom of the crate graph.

mod map;
mod matrix;

pub use map::{MappedFile, map_file};
pub use matrix::{Mat, MatMut, MatRef};

/// A weight packed for the matrix product.
pub struct PackedWeight;
