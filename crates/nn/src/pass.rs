//! What every layer of a forward or a backward is given.

use matryo_ops::{Dropout, Ops, Spans};

use crate::{
    Grads, TokenBatch, Trainable, Weights,
    arena::{Arena, Buffer},
    dropout::Masks,
};

/// One batch on its way through a network.
pub(crate) struct Pass<'a> {
    pub(crate) ops: &'a dyn Ops,
    pub(crate) weights: &'a dyn Weights,
    pub(crate) arena: &'a Arena,
    pub(crate) batch: &'a TokenBatch,
    /// Place of each token in its text, from 0.
    pub(crate) places: Vec<u32>,
    pub(crate) masks: Masks<'a>,
    /// Whether the encoder copies the hidden states between its blocks.
    pub(crate) taps: bool,
}

/// One backward under way.
pub(crate) struct Backward<'a> {
    pub(crate) pass: Pass<'a>,
    pub(crate) weights: &'a Trainable,
    pub(crate) grads: &'a mut Grads,
}

impl Pass<'_> {
    /// Which rows belong to which text.
    pub(crate) fn spans(&self) -> Spans<'_> {
        Spans {
            bounds: &self.batch.bounds,
        }
    }

    /// Number of tokens.
    pub(crate) fn tokens(&self) -> usize {
        self.batch.tokens()
    }

    /// Dropout in place, forward and backward.
    pub(crate) fn drop(&self, x: &mut Buffer, dropout: Option<Dropout<'_>>) {
        if let Some(dropout) = dropout {
            self.ops.dropout(x.view_mut(), dropout);
        }
    }
}

/// Place of each token of a batch in its text.
pub(crate) fn places(batch: &TokenBatch) -> Vec<u32> {
    let texts = batch.bounds.windows(2);
    texts.flat_map(|bounds| 0..bounds[1] - bounds[0]).collect()
}
