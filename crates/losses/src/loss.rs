//! The trait of all losses, and what goes in and out.

use std::ops::RangeInclusive;

use matryo_ops::{Mat, MatRef, Ops};
use serde_json::Value;

use crate::LossError;

/// What a loss is given: one matrix `[rows, dim]` a column of the data set, in column order.
pub struct LossBatch<'a> {
    /// The embeddings; all of one shape.
    pub columns: &'a [MatRef<'a>],
    /// The label of each row, if the data set has labels.
    pub labels: Option<&'a [f32]>,
    /// Changes with every batch and is the same in a repeated run; for losses that draw at random.
    pub seed: u64,
}

/// Value and gradient of a loss.
pub struct LossOutput {
    /// The loss of the batch.
    pub value: f64,
    /// Its gradient with respect to each column, in column order.
    pub d_columns: Vec<Mat>,
}

/// What a loss asks of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Number of text columns.
    pub columns: RangeInclusive<usize>,
    /// Whether each row must have a label.
    pub labels: bool,
}

/// A loss over the embeddings of one batch.
pub trait Loss: Send + Sync {
    /// Upstream's class name: `MultipleNegativesRankingLoss`.
    fn name(&self) -> &'static str;

    /// What it asks of the data.
    fn needs(&self) -> Needs;

    /// Its parameters with upstream's keys, as the model card prints them.
    fn config(&self) -> Value;

    /// Class names from the outside in, for the card's tags and citations: `MatryoshkaLoss`, `MultipleNegativesRankingLoss`.
    fn names(&self) -> Vec<&'static str> {
        vec![self.name()]
    }

    /// BibTeX entries (heading, entry) of the papers behind it.
    fn citations(&self) -> Vec<(&'static str, &'static str)>;

    /// Whether it can work on embeddings of `dim` values; to be asked before training starts.
    fn check(&self, dim: usize) -> Result<(), LossError> {
        let _ = dim;
        Ok(())
    }

    /// Value and gradient. Panics when columns or labels are not what [`Loss::needs`] says.
    fn eval(&self, ops: &dyn Ops, batch: &LossBatch<'_>) -> LossOutput;
}
