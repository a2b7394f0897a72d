//! Exact nearest-neighbour search in memory.
//!
//! [`Search`] is the search of many queries in a corpus that comes in chunks, with any score. [`FlatIndex`] holds its rows, as floats or in
//! fewer bits, and answers single queries at the speed of memory; [`Funnel`] lets few of the values of a vector decide which rows
//! deserve all of them.
//!
//! ```
//! use matryo_index::{FlatIndex, Funnel, Mat, Metric, Rescore, Storage, recall};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vectors = Mat::from_vec(3, 2, vec![1.0, 0.0, 0.6, 0.8, 0.0, 1.0]);
//! let query = Mat::from_vec(1, 2, vec![0.5, 0.5]);
//! let exact = FlatIndex::new(vectors.view(), Storage::Float32, Metric::Cosine).search(query.view(), 1);
//! assert_eq!(exact[0][0].row, 1);
//!
//! let bytes = FlatIndex::new(vectors.view(), Storage::Int8, Metric::Cosine);
//! let found = bytes.search_rescored(query.view(), 1, Rescore { multiplier: 2, vectors: Some(vectors.view()) });
//! assert_eq!(recall(&found, &exact), 1.0);
//!
//! let funnel = Funnel::new(vectors.view(), "1:2,2:1".parse()?, Storage::Float32, Metric::Cosine)?;
//! assert_eq!(funnel.search(query.view())[0].len(), 1);
//! # Ok(())
//! # }
//! ```

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
