//! The reference: every operation that has a fast kernel, as the plain loop it must equal.
//!
//! Slow on purpose: one thread, no blocking, f64 inside. Tests compare the fast kernels to these, and a reader who wants
//! to know what a kernel computes reads the loop here. No `unsafe`, so the compiler vouches for every access.

#![forbid(unsafe_code)]

mod activation;
mod attention;
mod bag;
mod embed;
mod gate;
mod layer_norm;
mod optimizer;
mod product;
mod rotary;
mod scan;

pub use activation::{activate, activation, activation_bwd, derivative};
pub use attention::{attention, attention_bwd};
pub use bag::{bag, bag_bwd};
pub use embed::{embed, embed_bwd};
pub use gate::{gate, gate_bwd};
pub use layer_norm::{layer_norm, layer_norm_bwd};
pub use optimizer::{adamw, sum_squares};
pub use product::{linear, linear_bwd, matmul};
pub use rotary::rotary;
pub use scan::{scan_bits, scan_f32, scan_i8};
