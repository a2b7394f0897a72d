//! Exact nearest-neighbour search in memory.
//!
//! [`Search`] is the search of many queries in a corpus that comes in chunks, with any score. [`FlatIndex`] holds its rows, as floats or in
//! fewer bits, and answers single queries at the speed of memory; [`Funnel`] lets few of the values of a vector decide which rows
//! deserve all of them.

mod bits;
mod candidates;
mod error;
mod exact;
mod flat;
mod funnel;
mod int8;
mod metric;
mod pass;
mod recall;
mod search;
mod stages;
mod storage;
mod top_k;

pub use error::IndexError;
pub use flat::{FlatIndex, Rescore};
pub use funnel::Funnel;
pub use matryo_kernels::{Level, Mat, MatRef};
pub use metric::Metric;
pub use recall::recall;
pub use search::{Search, Ties, semantic_search};
pub use stages::{Stage, Stages};
pub use storage::Storage;
pub use top_k::{Hit, TopK};
