//! The modules after the transformer, as modules.json names them.

use matryo_ops::{Activation, PoolMode};

/// Token rows to one row a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Concatenated in upstream's order: cls, max, mean, mean_sqrt_len, weightedmean, lasttoken.
    pub modes: Vec<PoolMode>,
    /// Whether the tokens of a prompt count.
    pub include_prompt: bool,
}

/// A dense layer on the pooled embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Width before.
    pub in_features: usize,
    /// Width after.
    pub out_features: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// `None` is torch's Identity.
    pub activation: Option<Activation>,
}

/// A module after pooling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Module {
    /// A dense layer.
    Dense(Dense),
    /// Scaling to length 1.
    Normalize,
}
