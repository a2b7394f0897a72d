//! Reading weights, building networks, and what their passes promise.

mod checkpoint;
mod distances;
mod gradients;
mod invariance;
mod memory;
mod random;
