//! What a caller of encode may choose, and what comes back.

use matryo_base::progress::{Cancel, Progress};
use matryo_ops::Mat;

use crate::Role;

/// Options of one call. The default is what the model's files say.
#[derive(Clone, Default)]
pub struct EncodeOptions<'a> {
    /// Put before every text; beats `prompt_name` and `role`.
    pub prompt: Option<String>,
    /// Name of one of the model's prompts; beats `role`.
    pub prompt_name: Option<String>,
    /// Chooses a prompt by what the texts are, and in a model with routes their route.
    pub role: Role,
    /// Task of the texts, by which a model with routes chooses one; beats `role` in that.
    pub task: Option<String>,
    /// Scales each embedding to length 1, after truncation.
    pub normalize: bool,
    /// Keeps this many leading values; beats the model's own setting.
    pub truncate_dim: Option<usize>,
    /// Tokens of the longest input; beats the model's own setting.
    pub max_seq_length: Option<usize>,
    /// Tokens per batch; `None` chooses. Changes speed and memory, and no bit of an embedding.
    pub tokens_per_batch: Option<usize>,
    /// Called after each batch with texts done and texts in all, from any thread.
    pub progress: Progress<'a>,
    /// Ends the call between two batches when it is set.
    pub cancel: Option<&'a Cancel>,
}

/// Embeddings, and what happened to the texts on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// One row per text, in their order.
    pub embeddings: Mat,
    /// Texts that were cut to the longest input.
    pub truncated: usize,
    /// Tokens that went through the model.
    pub tokens: u64,
}
