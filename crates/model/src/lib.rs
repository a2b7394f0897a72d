//! Sentence-embedding models: model folders and the hub, tokenizer, encoder, pooling, encoding.

mod arch;
mod batch;
mod checkpoint;
mod embed;
mod encoder;
mod error;
mod folder;
mod hub;
mod params;
mod pipeline;
mod quantize;
mod save;
mod sentence_encoder;
mod similarity;
mod spec;
mod tokenizer;

pub use batch::TokenBatch;
pub use checkpoint::Checkpoint;
pub use embed::{Embed, Role};
pub use encoder::{Activations, Encoder};
pub use error::ModelError;
pub use folder::{ModelFolder, Settings, SimilarityFn, UnknownSimilarity};
pub use hub::{HubOptions, HubProgress, resolve};
pub use matryo_ops::Precision;
pub use params::{Entry, Grads, Layout, Params};
pub use pipeline::{Dense, Module, Pooling};
pub use quantize::{Quantization, Quantized, Ranges, UnknownQuantization, quantize};
pub use save::{FolderLayout, SaveOptions, save, write_tensors};
pub use sentence_encoder::{EncodeOptions, Encoded, SentenceEncoder};
pub use similarity::{pairwise_similarity, similarity};
pub use spec::Spec;
pub use tokenizer::{TokenIds, Tokenizer};
