//! Vectors as points of a plane, neighbours near each other: t-SNE from the two main directions on.

mod affinities;
mod pca;
mod quadtree;
mod tsne;

pub use tsne::{TsneOptions, tsne};

/// A point of the plane.
pub type Point = [f64; 2];
