//! Sentence-embedding models: model folders and the hub, tokenizer, pipeline, encoding, saving.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = matryo_model::SentenceEncoder::open("my-model")?;
//! let embeddings = model.encode(&["What is goodwill?", "How is revenue recognised?"])?;
//! assert_eq!(embeddings.cols(), model.network().dim());
//! # Ok(())
//! # }
//! ```

mod convert;
mod embed;
mod error;
mod expected_prompts;
mod folder;
mod hub;
mod pipeline;
mod quantize;
mod save;
mod sentence_encoder;
mod similarity;
mod tokenizer;

pub use convert::{Converted, convert};
pub use embed::{Embed, Role};
pub use error::ModelError;
pub use expected_prompts::ExpectedPrompts;
pub use folder::{FolderModule, ModelFolder, Routes, Settings, SimilarityFn, UnknownSimilarity};
pub use hub::{HubOptions, HubProgress, resolve};
pub use matryo_nn::{
    Activations, BatchSize, Checkpoint, Entry, FolderLayout, Frozen, Grads, Layout, Module,
    Network, NnError, Params, TablePlace, Tensor, TokenBatch, TokenRules, Trainable, UNLIMITED,
    Weights, WriteConfig, limit, pooling_modes,
};
pub use matryo_ops::Precision;
pub use pipeline::{BYTES_BESIDE_IDS, Pipeline, Prompt, PromptChoice, TextOrPair, Tokens, batches};
pub use quantize::{Quantization, Quantized, Ranges, UnknownQuantization, quantize};
pub use save::{SaveOptions, save, write_tensors};
pub use sentence_encoder::{EncodeOptions, Encoded, SentenceEncoder, TOKENS_PER_BATCH};
pub use similarity::{pairwise_similarity, similarity};
pub use tokenizer::{TokenIds, Tokenizer};
