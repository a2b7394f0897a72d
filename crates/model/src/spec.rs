//! What an encoder is made of, read from config.json: sizes and properties, never a model's name.

use matryo_ops::{Activation, AttentionShape};

/// A post-norm transformer encoder with learned absolute positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Rows of the word-embedding table.
    pub vocab: usize,
    /// Rows of the position table: no input may have more tokens.
    pub positions: usize,
    /// Rows of the token-type table; every token is of type 0.
    pub kinds: usize,
    /// Width of the hidden states.
    pub dim: usize,
    /// Attention heads of a layer, each `dim / heads` wide.
    pub heads: usize,
    /// Width between the two products of the feed-forward part.
    pub ffn_dim: usize,
    /// Number of layers.
    pub layers: usize,
    /// Between the two products of the feed-forward part.
    pub activation: Activation,
    /// Added to the variance in every layer normalisation.
    pub norm_eps: f32,
    /// In training, after the embeddings and after both halves of a layer.
    pub hidden_dropout: f32,
    /// In training, on the attention probabilities.
    pub attention_dropout: f32,
    /// The token whose word embedding gets no gradient (`padding_idx` of `torch.nn.Embedding`).
    pub padding: Option<u32>,
}

/// A length that tensors have, as config.json states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Vocab,
    Positions,
    Kinds,
    Dim,
    Ffn,
}

impl Spec {
    /// The length of an axis.
    pub(crate) fn size(&self, axis: Axis) -> usize {
        match axis {
            Axis::Vocab => self.vocab,
            Axis::Positions => self.positions,
            Axis::Kinds => self.kinds,
            Axis::Dim => self.dim,
            Axis::Ffn => self.ffn_dim,
        }
    }

    /// Heads as the attention operation wants them.
    pub(crate) fn attention(&self) -> AttentionShape {
        AttentionShape {
            heads: self.heads,
            head_dim: self.dim / self.heads,
        }
    }
}
