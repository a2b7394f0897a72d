//! Reading weights, building networks, and what their passes promise.

mod checkpoint;
mod distances;
mod invariance;
mod memory;
mod random;
