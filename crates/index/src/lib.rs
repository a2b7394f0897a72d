//! Exact nearest-neighbour search in memory.

mod search;
mod top_k;

pub use matryo_kernels::{Mat, MatRef};
pub use search::{Search, Ties, semantic_search};
pub use top_k::{Hit, TopK};
