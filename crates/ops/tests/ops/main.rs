//! Operations on batches: gradients, pooling, threads.

mod gradients;
mod pooling;
mod threads;
