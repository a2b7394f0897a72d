//! Sentence-embedding models: model folders and the hub, tokenizer, encoder, pooling, encoding.

mod batch;
mod embed;
mod error;
mod params;
mod pipeline;

pub use batch::TokenBatch;
pub use embed::{Embed, Role};
pub use error::ModelError;
pub use params::{Entry, Grads, Layout, Params};
pub use pipeline::{Dense, Module, Pooling};
