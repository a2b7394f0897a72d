//! The second waist: texts in, rows of a matrix out.

use matryo_ops::Mat;

use crate::ModelError;

/// What a text is to the model; chooses the prompt, and the route where there are several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Neither: the default prompt, if the model names one.
    #[default]
    Plain,
    /// A search query: the prompt named `query`, nothing without one.
    Query,
    /// A passage to be found: the prompt named `document`, nothing without one.
    Document,
}

impl Role {
    /// The task of such texts, by which a Router chooses a route.
    pub fn task(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Query => Some("query"),
            Self::Document => Some("document"),
        }
    }
}

/// Anything that turns texts into embeddings: a loaded model, or a model in training.
pub trait Embed: Send + Sync {
    /// Width of an embedding.
    fn dim(&self) -> usize;

    /// One row a text, in the order of `texts`, as the model's own modules leave it.
    fn embed(&self, texts: &[&str], role: Role) -> Result<Mat, ModelError>;
}
