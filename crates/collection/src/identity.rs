//! Which model made the vectors of a collection.

use matryo_model::{ModelError, SentenceEncoder, SimilarityFn};
use serde::{Deserialize, Serialize};

use crate::CollectionError;

/// What two models must share for their vectors to mean the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Folder or hub name as it was given; for people.
    pub name: String,
    /// [`ModelFolder::weights_digest`](matryo_model::ModelFolder::weights_digest).
    pub weights: String,
    /// Width of an embedding.
    pub dim: usize,
    /// Name and text of the prompts.
    pub prompts: Vec<(String, String)>,
    /// `cosine`, `dot`, `euclidean` or `manhattan`.
    pub similarity: String,
}

impl ModelIdentity {
    /// The identity of a model that the user calls `name`. Reads all weights.
    pub fn of(model: &SentenceEncoder, name: &str) -> Result<Self, ModelError> {
        let folder = model.folder();
        Ok(Self {
            name: name.to_owned(),
            weights: folder.weights_digest()?,
            dim: folder.settings.truncate_dim.unwrap_or(folder.dim()),
            prompts: folder.settings.prompts.clone(),
            similarity: model.similarity_fn().name().to_owned(),
        })
    }

    /// How vectors are compared.
    pub(crate) fn similarity(&self) -> SimilarityFn {
        self.similarity.parse().unwrap_or_default()
    }

    /// Fails unless `model` makes the same vectors.
    pub(crate) fn check(&self, model: &SentenceEncoder) -> Result<(), CollectionError> {
        let other = Self::of(model, &self.name)?;
        let prompts = |of: &Self| serde_json::to_string(&of.prompts).expect("texts are plain data");
        let pairs = [
            ("dimension", self.dim.to_string(), other.dim.to_string()),
            (
                "weights' digest",
                short(&self.weights),
                short(&other.weights),
            ),
            ("prompts", prompts(self), prompts(&other)),
            (
                "similarity",
                self.similarity.clone(),
                other.similarity.clone(),
            ),
        ];
        match pairs
            .into_iter()
            .find(|(_, expected, found)| expected != found)
        {
            None => Ok(()),
            Some((what, expected, found)) => {
                let model = model.folder().path.clone();
                Err(CollectionError::OtherModel {
                    model,
                    what,
                    expected,
                    found,
                })
            }
        }
    }
}

/// Enough of a digest to tell two apart.
fn short(digest: &str) -> String {
    digest.chars().take(16).collect()
}
