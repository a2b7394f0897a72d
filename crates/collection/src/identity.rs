//! Which model made the vectors of a collection.

use matryo_model::{ModelError, SentenceEncoder, Settings, SimilarityFn};
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
    /// What was put before documents; `None` in collections that were made when other prompts than `document` could be.
    #[serde(default)]
    pub document_prompt: Option<String>,
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
            document_prompt: Some(document_prompt(&folder.settings.prompts)),
            similarity: model.similarity_fn().name().to_owned(),
        })
    }

    /// What was put before documents. Earlier, without a prompt named `document`, that of `passage`, of `corpus`, or the model's default.
    fn known_document_prompt(&self, settings: &Settings) -> String {
        if let Some(prompt) = &self.document_prompt {
            return prompt.clone();
        }
        let text = |name: &str| {
            let mut prompts = self.prompts.iter();
            prompts
                .find(|(known, _)| known == name)
                .map(|(_, text)| text.clone())
        };
        let default = settings.default_prompt_name.as_deref();
        let names = ["document", "passage", "corpus"].into_iter().chain(default);
        names.into_iter().find_map(text).unwrap_or_default()
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
                "prompt of documents",
                self.known_document_prompt(&model.folder().settings),
                other.document_prompt.unwrap_or_default(),
            ),
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

/// As [`matryo_model::Role::Document`] has it.
fn document_prompt(prompts: &[(String, String)]) -> String {
    let found = prompts.iter().find(|(name, _)| name == "document");
    found.map(|(_, text)| text.clone()).unwrap_or_default()
}

/// Enough of a digest to tell two apart.
fn short(digest: &str) -> String {
    digest.chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest from before `document_prompt` was there.
    fn earlier(prompts: &[(&str, &str)]) -> ModelIdentity {
        let manifest = serde_json::json!({
            "name": "m", "weights": "w", "dim": 4, "prompts": prompts, "similarity": "cosine",
        });
        serde_json::from_value(manifest).unwrap()
    }

    #[test]
    fn earlier_collections_had_other_prompts_before_documents() {
        let settings = |default: Option<&str>| Settings {
            default_prompt_name: default.map(str::to_owned),
            ..Settings::default()
        };
        for (prompts, default, expected) in [
            (&[][..], None, ""),
            (&[("query", "q: "), ("passage", "p: ")], None, "p: "),
            (&[("corpus", "c: ")], None, "c: "),
            (&[("document", ""), ("passage", "p: ")], None, ""),
            (&[("plain", "x: ")], Some("plain"), "x: "),
        ] {
            let found = earlier(prompts).known_document_prompt(&settings(default));
            assert_eq!(found, expected, "{prompts:?}");
        }
    }
}
