//! Evaluators: a model in, named metrics out.

use matryo_model::Embed;

/// Metrics of one evaluator, keys as upstream names them, without the evaluator's name in front.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The evaluator's name, `dim_256`; prefixes the keys outside.
    pub name: String,
    /// Key of the metric that ranks checkpoints: `cosine_ndcg@10`.
    pub primary: String,
    /// In upstream's order.
    pub metrics: Vec<(String, f64)>,
}

/// Something that measures a model.
pub trait Evaluator: Send + Sync {
    /// One report a dimension (or one in all).
    fn run(&self, model: &dyn Embed) -> Result<Vec<Report>, EvalError>;
}

/// Everything that evaluating can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] matryo_model::ModelError),
}
