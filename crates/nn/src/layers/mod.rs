//! The layers of an encoder. What a layer computes, how it goes backward, what it keeps for that, how many bytes that is and
//! which parameters it has stand in one file each.
//!
//! Gradients of activations are assigned, gradients of parameters accumulate. A layer's `Kept` holds what its backward
//! cannot recompute cheaply: outputs of normalisations are recomputed from their inputs, since keeping them would cost a
//! seventh more memory and saves one pass over it.

pub(crate) mod attention;
pub(crate) mod block;
pub(crate) mod convolution;
pub(crate) mod disentangled;
mod distance_cache;
pub(crate) mod embeddings;
pub(crate) mod encoder;
pub(crate) mod feed_forward;
pub(crate) mod half;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod params;
pub(crate) mod relative;
pub(crate) mod rotary;
