//! Reading weights, building networks, and what their passes promise.

mod checkpoint;
mod invariance;
mod memory;
mod random;
