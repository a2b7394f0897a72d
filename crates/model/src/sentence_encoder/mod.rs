//! A model folder, opened: texts in, embeddings out.

mod batches;
mod encode;
mod options;
mod prompt;
mod tokens;

use std::{path::Path, sync::Arc};

use matryo_ops::{Mat, Ops, Precision};

pub use options::{EncodeOptions, Encoded};
use tokens::TokenMemory;

use crate::{Embed, Encoder, ModelError, ModelFolder, Role, SimilarityFn, Tokenizer, similarity};

/// Tokenizer, encoder and settings of one model.
pub struct SentenceEncoder {
    folder: ModelFolder,
    tokenizer: Tokenizer,
    encoder: Encoder,
    max_seq_length: usize,
    token_memory: TokenMemory,
}

impl SentenceEncoder {
    /// Opens a model folder for encoding, on the CPU.
    ///
    /// Fails if a file is missing or broken, or if the model is of a kind that matryo cannot compute.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        Self::open_on(path, matryo_ops::cpu())
    }

    /// As [`SentenceEncoder::open`], on a device of choice.
    pub fn open_on(path: impl AsRef<Path>, ops: Arc<dyn Ops>) -> Result<Self, ModelError> {
        Self::with(ModelFolder::open(path.as_ref())?, |folder| {
            Encoder::for_inference(folder, ops)
        })
    }

    /// As [`SentenceEncoder::open`], with the linear layers multiplied in a precision of choice.
    pub fn open_in(path: impl AsRef<Path>, precision: Precision) -> Result<Self, ModelError> {
        Self::open_on(path, matryo_ops::cpu_in(Some(precision)))
    }

    /// Opens a model folder for training; see [`Encoder::for_training`] for `frozen`.
    pub fn open_for_training(
        path: impl AsRef<Path>,
        ops: Arc<dyn Ops>,
        frozen: &[String],
    ) -> Result<Self, ModelError> {
        Self::with(ModelFolder::open(path.as_ref())?, |folder| {
            Encoder::for_training(folder, ops, frozen)
        })
    }

    fn with(
        folder: ModelFolder,
        encoder: impl FnOnce(&ModelFolder) -> Result<Encoder, ModelError>,
    ) -> Result<Self, ModelError> {
        let tokenizer = Tokenizer::open(&folder)?;
        let encoder = encoder(&folder)?;
        let (found, rows) = (tokenizer.vocab_size(), encoder.spec().vocab);
        if found > rows {
            return Err(ModelError::VocabularySize {
                folder: folder.path,
                found,
                rows,
            });
        }
        let mut model = Self {
            max_seq_length: 0,
            folder,
            tokenizer,
            encoder,
            token_memory: TokenMemory::default(),
        };
        model.set_max_seq_length(model.folder.max_seq_length)?;
        Ok(model)
    }

    /// What the folder's small files say.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The encoder, to train it.
    pub fn encoder_mut(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// Tokens of the longest input, special tokens included; what is longer is cut.
    pub fn max_seq_length(&self) -> usize {
        self.max_seq_length
    }

    /// Changes the longest input. Fails on 0 and beyond the model's positions.
    pub fn set_max_seq_length(&mut self, tokens: usize) -> Result<(), ModelError> {
        self.max_seq_length = self.checked_length(tokens)?;
        Ok(())
    }

    /// From now on keeps the token ids of up to `bytes` of what is encoded, so that the same texts in one call again, as in an
    /// evaluation after every epoch, are not tokenized again. Changes no embedding. Until this is called nothing is kept.
    pub fn keep_tokens(&mut self, bytes: usize) {
        self.token_memory = TokenMemory::with_room(bytes);
    }

    /// Texts that encoding has tokenized since [`SentenceEncoder::keep_tokens`] was called, or the model opened.
    pub fn texts_tokenized(&self) -> usize {
        self.token_memory.tokenized()
    }

    /// Embeddings `[texts, dim]` with the model's default prompt and truncation.
    pub fn encode<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Mat, ModelError> {
        Ok(self
            .encode_with(texts, &EncodeOptions::default())?
            .embeddings)
    }

    /// How alike each row of `a` is to each row of `b`, `[a.rows, b.rows]`, by the model's similarity function.
    pub fn similarity(&self, a: &Mat, b: &Mat) -> Mat {
        similarity(self.similarity_fn(), a.view(), b.view())
    }

    /// The similarity function that the model names; cosine if it names none.
    pub fn similarity_fn(&self) -> SimilarityFn {
        self.folder.settings.similarity.unwrap_or_default()
    }

    fn checked_length(&self, tokens: usize) -> Result<usize, ModelError> {
        let positions = self.encoder.spec().positions;
        if (1..=positions).contains(&tokens) {
            return Ok(tokens);
        }
        Err(ModelError::SequenceLength {
            found: tokens,
            positions,
        })
    }
}

impl Embed for SentenceEncoder {
    fn dim(&self) -> usize {
        self.folder
            .settings
            .truncate_dim
            .unwrap_or(self.encoder.dim())
    }

    fn embed(&self, texts: &[&str], role: Role) -> Result<Mat, ModelError> {
        Ok(self
            .encode_with(
                texts,
                &EncodeOptions {
                    role,
                    ..EncodeOptions::default()
                },
            )?
            .embeddings)
    }
}
