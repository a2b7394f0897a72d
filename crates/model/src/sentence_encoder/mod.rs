//! A model folder, opened: texts in, embeddings out.

mod encode;
mod options;

use std::{path::Path, sync::Arc};

use matryo_nn::{Frozen, Network, TablePlace, Trainable, Weights};
use matryo_ops::{Mat, Ops, Precision};

pub use encode::TOKENS_PER_BATCH;
pub use options::{EncodeOptions, Encoded};

use crate::{
    Embed, ExpectedPrompts, ModelError, ModelFolder, Pipeline, PromptChoice, Role, SimilarityFn,
    Tokenizer, expected_prompts::Watch, similarity,
};

/// Pipeline, network and settings of one model: [`Frozen`] for use, [`Trainable`] for training.
pub struct SentenceEncoder<W = Frozen> {
    folder: ModelFolder,
    pipeline: Pipeline,
    network: Network<W>,
    watch: Option<Watch>,
}

impl SentenceEncoder<Frozen> {
    /// Opens a model folder for encoding, on the CPU.
    ///
    /// # Errors
    /// A file that is missing or broken, or a model of a kind that matryo cannot compute.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        Self::open_on(path, matryo_ops::cpu())
    }

    /// As [`SentenceEncoder::open`], on a device of choice.
    ///
    /// # Errors
    /// As [`SentenceEncoder::open`].
    pub fn open_on(path: impl AsRef<Path>, ops: Arc<dyn Ops>) -> Result<Self, ModelError> {
        Self::open_with(path, ops, TablePlace::default())
    }

    /// As [`SentenceEncoder::open`], with the linear layers multiplied in a precision of choice.
    ///
    /// # Errors
    /// As [`SentenceEncoder::open`].
    pub fn open_in(path: impl AsRef<Path>, precision: Precision) -> Result<Self, ModelError> {
        Self::open_on(path, matryo_ops::cpu_in(Some(precision)))
    }

    /// As [`SentenceEncoder::open_on`], with large tables where `tables` says.
    ///
    /// # Errors
    /// As [`SentenceEncoder::open`].
    pub fn open_with(
        path: impl AsRef<Path>,
        ops: Arc<dyn Ops>,
        tables: TablePlace,
    ) -> Result<Self, ModelError> {
        let folder = ModelFolder::open(path.as_ref())?;
        let pipeline = Pipeline::open(&folder)?;
        let network = Network::for_inference(&folder.places(), ops, tables)?;
        // What reading the vocabulary and the weights left behind: 2.7 MiB with 30,000 tokens.
        matryo_ops::trim_heap();
        Ok(Self {
            folder,
            pipeline,
            network,
            watch: None,
        })
    }
}

impl SentenceEncoder<Trainable> {
    /// Opens a model folder for training; see [`Network::for_training`] for `frozen`. Texts are read as a copy that is saved will read them.
    ///
    /// # Errors
    /// As [`SentenceEncoder::open`] and [`Network::for_training`].
    pub fn open_for_training(
        path: impl AsRef<Path>,
        ops: Arc<dyn Ops>,
        frozen: &[String],
    ) -> Result<Self, ModelError> {
        let folder = ModelFolder::open(path.as_ref())?.into_saved_form();
        let pipeline = Pipeline::open(&folder)?;
        let network = Network::for_training(&folder.places(), ops, frozen)?;
        matryo_ops::trim_heap();
        Ok(Self {
            folder,
            pipeline,
            network,
            watch: None,
        })
    }

    /// The network, to train it.
    pub fn network_mut(&mut self) -> &mut Network<Trainable> {
        &mut self.network
    }
}

impl<W: Weights> SentenceEncoder<W> {
    /// What the folder's small files say.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// Prompts, tokenization and batching.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Prompts, tokenization and batching, to change their settings.
    pub fn pipeline_mut(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    /// From now on calls `tell`, once at most, when texts are encoded without the prompt that the model wants; see
    /// [`ModelFolder::expected_prompts`]. An empty prompt that a call gives is its choice. Until this is called nobody is told.
    pub fn on_missing_prompt(&mut self, tell: impl Fn(&ExpectedPrompts) + Send + Sync + 'static) {
        self.watch = Some(Watch::new(self.folder.expected_prompts(), tell));
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.pipeline.tokenizer()
    }

    /// The network.
    pub fn network(&self) -> &Network<W> {
        &self.network
    }

    /// The tokenizer of texts in a role.
    ///
    /// # Errors
    /// The model has routes, and none of them for such texts.
    pub fn tokenizer_of(&self, role: Role) -> Result<&Tokenizer, ModelError> {
        let choice = PromptChoice {
            role,
            ..PromptChoice::default()
        };
        Ok(self.pipeline.tokenizer_of(self.pipeline.route_of(&choice)?))
    }

    /// Tokens of the longest input, special tokens included; what is longer is cut. Of several routes it is that of the longest.
    pub fn max_seq_length(&self) -> usize {
        self.pipeline.max_seq_length()
    }

    /// Embeddings `[texts, dim]` with the model's default prompt and truncation.
    ///
    /// # Errors
    /// A text that the tokenizer or the model cannot express.
    pub fn encode<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Mat, ModelError> {
        let encoded = self.encode_with(texts, &EncodeOptions::default())?;
        Ok(encoded.embeddings)
    }

    /// Similarity of each row of `a` and each row of `b`, `[a.rows, b.rows]`, by the model's similarity function.
    pub fn similarity(&self, a: &Mat, b: &Mat) -> Mat {
        similarity(self.similarity_fn(), a.view(), b.view())
    }

    /// The similarity function that the model names; cosine if it names none.
    pub fn similarity_fn(&self) -> SimilarityFn {
        self.folder.settings.similarity.unwrap_or_default()
    }
}

impl<W: Weights> Embed for SentenceEncoder<W> {
    fn dim(&self) -> usize {
        let truncated = self.folder.settings.truncate_dim;
        truncated.unwrap_or(self.network.dim())
    }

    fn embed(&self, texts: &[&str], role: Role) -> Result<Mat, ModelError> {
        let options = EncodeOptions {
            role,
            ..EncodeOptions::default()
        };
        Ok(self.encode_with(texts, &options)?.embeddings)
    }
}
