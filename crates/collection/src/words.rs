//! Texts as weighted words, for search by words: BM25 (Robertson and Zaragoza 2009) with Qdrant's tokens, stop words and stems.

use qdrant_edge::bm25_embed::{EdgeBm25, EdgeBm25Config};

use crate::{CollectionError, Manifest, error::EngineFailure, point::Words};

/// Makes words of texts in one language.
pub(crate) struct WordModel(EdgeBm25);

impl WordModel {
    /// The words of a collection; `None` if it has none.
    pub fn of(manifest: &Manifest) -> Result<Option<Self>, CollectionError> {
        if !manifest.hybrid {
            return Ok(None);
        }
        let config = EdgeBm25Config {
            language: Some(manifest.language.clone()),
            ..EdgeBm25Config::default()
        };
        let unknown = |error: qdrant_edge::bm25_embed::EdgeBm25Error| CollectionError::Language {
            language: manifest.language.clone(),
            reason: EngineFailure(error.to_string()),
        };
        EdgeBm25::new(config)
            .map(|model| Some(Self(model)))
            .map_err(unknown)
    }

    pub fn document(&self, text: &str) -> Words {
        let vector = self.0.embed_document(text);
        Words {
            indices: vector.indices,
            values: vector.values,
        }
    }

    pub fn query(&self, text: &str) -> Words {
        let vector = self.0.embed_query(text);
        Words {
            indices: vector.indices,
            values: vector.values,
        }
    }
}
