//! One dependency for users of the library: the public API of the crates above `kernels`.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = matryo::SentenceEncoder::open("my-model")?;
//! let embeddings = model.encode(&["What is goodwill?", "How is revenue recognised?"])?;
//! let scores = model.similarity(&embeddings, &embeddings);
//! # Ok(())
//! # }
//! ```

pub use matryo_base as base;
pub use matryo_classify as classify;
#[cfg(feature = "collections")]
pub use matryo_collection as collection;
pub use matryo_data as data;
pub use matryo_distill as distill;
pub use matryo_eval as eval;
pub use matryo_index as index;
pub use matryo_losses as losses;
pub use matryo_mining as mining;
pub use matryo_model as model;
pub use matryo_ops as ops;
pub use matryo_train as train;

pub use matryo_index::{FlatIndex, Funnel, Metric, Storage};
pub use matryo_model::{
    Embed, EncodeOptions, Encoded, ModelError, Role, SentenceEncoder, SimilarityFn,
};
pub use matryo_ops::{Mat, Precision};
pub use matryo_train::{TrainConfig, Trainer};
