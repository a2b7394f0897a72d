//! What modules hand on to each other: named features, as the features dictionary of sentence-transformers.

use matryo_ops::{Mat, MatRef};

use crate::arena::Buffer;

/// A feature that modules read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// One row per token.
    Tokens,
    /// One row per text.
    Sentence,
    /// One row of scores per text, from a module that was told to write them apart from the embedding.
    Logits,
}

impl Feature {
    /// All features.
    pub const ALL: [Self; 3] = [Self::Tokens, Self::Sentence, Self::Logits];

    /// Key in the features dictionary of sentence-transformers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "token_embeddings",
            Self::Sentence => "sentence_embedding",
            Self::Logits => "logits",
        }
    }

    /// The feature of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

/// Width of each feature, `None` where no module has written it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    tokens: Option<usize>,
    sentence: Option<usize>,
    logits: Option<usize>,
}

impl Widths {
    /// Width of a feature.
    pub fn of(&self, feature: Feature) -> Option<usize> {
        match feature {
            Feature::Tokens => self.tokens,
            Feature::Sentence => self.sentence,
            Feature::Logits => self.logits,
        }
    }

    /// A copy of these widths in which one feature has another width.
    pub fn with(mut self, feature: Feature, width: usize) -> Self {
        let place = match feature {
            Feature::Tokens => &mut self.tokens,
            Feature::Sentence => &mut self.sentence,
            Feature::Logits => &mut self.logits,
        };
        *place = Some(width);
        self
    }
}

/// The features of one batch: `t` tokens, `n` texts.
#[derive(Default)]
pub struct Features {
    pub(crate) tokens: Option<Buffer>,
    pub(crate) sentence: Option<Mat>,
    pub(crate) logits: Option<Mat>,
    pub(crate) taps: Vec<Mat>,
}

impl Features {
    /// Token embeddings `[t, d]` as the last module that wrote them left them.
    pub fn tokens(&self) -> Option<MatRef<'_>> {
        self.tokens.as_ref().map(Buffer::view)
    }

    /// Sentence embeddings `[n, d]`.
    pub fn sentence(&self) -> Option<MatRef<'_>> {
        self.sentence.as_ref().map(Mat::view)
    }

    /// Scores `[n, classes]`.
    pub fn logits(&self) -> Option<MatRef<'_>> {
        self.logits.as_ref().map(Mat::view)
    }

    /// Output of the embeddings and then of each block, `[t, d]` each, if they were asked for. They are `output_hidden_states`
    /// of transformers, before a final normalisation.
    pub fn taps(&self) -> &[Mat] {
        &self.taps
    }

    /// Takes the sentence embeddings out.
    pub fn into_sentence(self) -> Option<Mat> {
        self.sentence
    }
}

/// Gradients of the features.
#[derive(Default)]
pub(crate) struct FeatureGradients {
    pub(crate) tokens: Option<Buffer>,
    pub(crate) sentence: Option<Mat>,
    pub(crate) logits: Option<Mat>,
}
