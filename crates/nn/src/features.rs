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

    /// Whether it has one row per token, and not one per text.
    pub fn is_per_token(self) -> bool {
        self == Self::Tokens
    }

    /// The feature of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

/// Width of each feature, `None` where no module has written it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    rows: [Option<usize>; Feature::ALL.len()],
    /// Number and width of the hidden states.
    hidden_states: Option<(usize, usize)>,
}

impl Widths {
    /// Width of a feature.
    pub fn of(&self, feature: Feature) -> Option<usize> {
        self.rows[feature as usize]
    }

    /// A copy of these widths in which one feature has another width.
    pub fn with(mut self, feature: Feature, width: usize) -> Self {
        self.rows[feature as usize] = Some(width);
        self
    }

    /// A copy of these widths without a feature.
    pub fn without(mut self, feature: Feature) -> Self {
        self.rows[feature as usize] = None;
        self
    }

    /// Number and width of the hidden states that the encoder gives besides its output (`all_layer_embeddings`), if it does.
    pub fn hidden_states(&self) -> Option<(usize, usize)> {
        self.hidden_states
    }

    /// A copy of these widths with other hidden states.
    pub fn with_hidden_states(mut self, states: Option<(usize, usize)>) -> Self {
        self.hidden_states = states;
        self
    }
}

/// One matrix for each feature that is there.
#[derive(Default)]
pub(crate) struct FeatureRows([Option<Buffer>; Feature::ALL.len()]);

impl FeatureRows {
    /// The rows of a feature.
    pub(crate) fn get(&self, feature: Feature) -> Option<&Buffer> {
        self.0[feature as usize].as_ref()
    }

    /// Takes the rows of a feature out.
    pub(crate) fn take(&mut self, feature: Feature) -> Option<Buffer> {
        self.0[feature as usize].take()
    }

    /// Puts rows in the place of those that were there.
    pub(crate) fn put(&mut self, feature: Feature, rows: Buffer) {
        self.0[feature as usize] = Some(rows);
    }
}

/// The features of one batch: `t` tokens, `n` texts.
#[derive(Default)]
pub struct Features {
    pub(crate) rows: FeatureRows,
    pub(crate) taps: Vec<Mat>,
    pub(crate) layers: Option<LayerStates>,
}

/// Hidden states of an encoder from that of index `first` to the last, its output; `[t, d]` each. That of index 0 is the output of
/// the embeddings, that of index `i` the output of block `i - 1`.
pub(crate) struct LayerStates {
    pub(crate) first: usize,
    pub(crate) states: Vec<Buffer>,
}

/// Gradients of [`LayerStates`], all of them multiples of one: that of state `first + i` is `factors[i] * d`.
pub(crate) struct LayerGradients {
    pub(crate) first: usize,
    pub(crate) factors: Vec<f32>,
    pub(crate) d: Buffer,
}

impl LayerGradients {
    /// Adds the gradient of state `index`, if it has one.
    pub(crate) fn add_to(&self, dx: &mut Buffer, index: usize) {
        let place = index.checked_sub(self.first);
        if let Some(factor) = place.and_then(|place| self.factors.get(place)) {
            dx.add_multiple(&self.d, *factor);
        }
    }
}

impl Features {
    /// Token embeddings `[t, d]` as the last module that wrote them left them.
    pub fn tokens(&self) -> Option<MatRef<'_>> {
        self.rows.get(Feature::Tokens).map(Buffer::view)
    }

    /// Sentence embeddings `[n, d]`.
    pub fn sentence(&self) -> Option<MatRef<'_>> {
        self.rows.get(Feature::Sentence).map(Buffer::view)
    }

    /// Scores `[n, classes]`.
    pub fn logits(&self) -> Option<MatRef<'_>> {
        self.rows.get(Feature::Logits).map(Buffer::view)
    }

    /// Output of the embeddings and then of each block, `[t, d]` each, if they were asked for. They are `output_hidden_states`
    /// of transformers, before a final normalisation.
    pub fn taps(&self) -> &[Mat] {
        &self.taps
    }

    /// A copy of the sentence embeddings.
    pub fn into_sentence(self) -> Option<Mat> {
        self.sentence().map(|rows| rows.to_mat())
    }
}

/// Gradients of the features.
#[derive(Default)]
pub(crate) struct FeatureGradients {
    pub(crate) rows: FeatureRows,
    pub(crate) layers: Option<LayerGradients>,
}
