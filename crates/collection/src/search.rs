//! Questions to a collection.

use std::collections::HashSet;

use matryo_index::{Stage, Stages};
use matryo_model::{EncodeOptions, Role, SentenceEncoder, SimilarityFn};
use serde_json::{Map, Value, json};

use crate::{
    Chunk, Collection, CollectionError, Filter, Manifest,
    backend::{DenseStage, Query, Scored},
    words::WordModel,
};

/// What to find, and how.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Documents wanted.
    pub limit: usize,
    /// Which documents count.
    pub filter: Option<Filter>,
    /// Look for the words of the query as well, and fuse both orders by rank.
    pub hybrid: bool,
    /// Stages over prefixes; without one the whole vector is compared.
    pub stages: Option<Stages>,
    /// Candidates that the index follows at once (HNSW's `ef`); more find more and take longer. By default 256.
    pub effort: Option<usize>,
    /// Compare with every vector instead of asking the index.
    pub exact: bool,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            limit: 10,
            filter: None,
            hybrid: false,
            stages: None,
            effort: None,
            exact: false,
        }
    }
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// How alike it is, higher is more: the model's similarity, with [`SearchOptions::hybrid`] a sum of reciprocal ranks.
    pub score: f32,
    /// The chunk that was found, from 0.
    pub chunk: usize,
    /// The text of the chunk.
    pub text: String,
    /// The document's fields.
    pub fields: Map<String, Value>,
}

/// A collection with the model that it was made with.
pub struct Searcher<'a> {
    collection: &'a Collection,
    model: &'a SentenceEncoder,
    words: Option<WordModel>,
}

impl Collection {
    /// Makes ready to search.
    ///
    /// # Errors
    /// Another model than the collection's.
    pub fn searcher<'a>(
        &'a self,
        model: &'a SentenceEncoder,
    ) -> Result<Searcher<'a>, CollectionError> {
        self.manifest().model.check(model)?;
        Ok(Searcher {
            collection: self,
            model,
            words: WordModel::of(self.manifest())?,
        })
    }
}

impl Searcher<'_> {
    /// The documents nearest to a query, best first; of a document in chunks, the best chunk.
    ///
    /// # Errors
    /// An empty query; a dimension that is not stored; words where there are none; a field that no document has.
    pub fn search(
        &self,
        text: &str,
        options: &SearchOptions,
    ) -> Result<Vec<Found>, CollectionError> {
        if text.trim().is_empty() {
            return Err(CollectionError::EmptyQuery);
        }
        let encode = EncodeOptions {
            role: Role::Query,
            ..EncodeOptions::default()
        };
        let vector = self
            .model
            .encode_with(&[text], &encode)?
            .embeddings
            .into_vec();
        self.search_embedded(text, &vector, options)
    }

    /// As [`Searcher::search`], with the embedding that the model has made of the query.
    pub fn search_embedded(
        &self,
        text: &str,
        vector: &[f32],
        options: &SearchOptions,
    ) -> Result<Vec<Found>, CollectionError> {
        let words = match (options.hybrid, &self.words) {
            (false, _) => None,
            (true, Some(words)) => Some(words.query(text)),
            (true, None) => return Err(CollectionError::NoWords),
        };
        let manifest = self.collection.manifest();
        assert_eq!(
            vector.len(),
            manifest.dim(),
            "width of the query's embedding"
        );
        let mut limit = options.limit;
        if options.limit == 0 {
            return Ok(Vec::new());
        }
        loop {
            let query = Query {
                stages: stages(manifest, vector, options.stages.as_ref(), limit)?,
                words: words.clone(),
                filter: options.filter.as_ref().map(Filter::to_json),
                limit,
                effort: options.effort,
                exact: options.exact,
                storage: manifest.storage,
            };
            let scored = self.collection.backend().query(&query)?;
            if scored.is_empty() {
                self.collection.expect_fields(options.filter.as_ref())?;
            }
            let exhausted = scored.len() < limit;
            let mut found = documents(scored, similarity(manifest, options.hybrid));
            if exhausted || found.len() >= options.limit || options.stages.is_some() {
                found.truncate(options.limit);
                return Ok(found);
            }
            // Several chunks of one document were among the best.
            limit *= 2;
        }
    }
}

impl Collection {
    /// Fails if a filter asks for a field that no document has. Reads all points, so it is asked when nothing was found.
    pub(crate) fn expect_fields(&self, filter: Option<&Filter>) -> Result<(), CollectionError> {
        filter
            .into_iter()
            .flat_map(Filter::fields)
            .try_for_each(|field| self.expect_field(field))
    }

    /// Fails with [`CollectionError::UnknownField`] if no document has a field. Reads all points.
    pub fn expect_field(&self, field: &str) -> Result<(), CollectionError> {
        let has = json!({ "must_not": [{ "is_empty": { "key": field } }] });
        if self.backend().count(Some(&has))? == 0 {
            return Err(CollectionError::UnknownField {
                field: field.to_owned(),
                known: self.some_fields()?,
            });
        }
        Ok(())
    }

    /// Fields of some documents.
    fn some_fields(&self) -> Result<Vec<String>, CollectionError> {
        const SAMPLE: usize = 100;
        let (points, _) = self.backend().scroll(None, None, SAMPLE, false)?;
        let mut names: Vec<String> = points
            .iter()
            .flat_map(|point| point.payload.keys().cloned())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !name.starts_with('_'));
        Ok(names)
    }
}

/// One look at the whole vector, or the stages of a funnel.
fn stages(
    manifest: &Manifest,
    vector: &[f32],
    funnel: Option<&Stages>,
    limit: usize,
) -> Result<Vec<DenseStage>, CollectionError> {
    let stage = |dim: usize, keep: usize| DenseStage {
        name: dim.to_string(),
        vector: vector[..dim].to_vec(),
        keep,
    };
    let Some(funnel) = funnel else {
        return Ok(vec![stage(manifest.dim(), limit)]);
    };
    let stages = funnel.as_slice().iter();
    stages
        .map(
            |&Stage { dim, candidates }| match manifest.dims.contains(&dim) {
                true => Ok(stage(dim, candidates)),
                false => {
                    let known = manifest.dims.iter().map(usize::to_string).collect();
                    Err(CollectionError::UnknownDimension { dim, known })
                }
            },
        )
        .collect()
}

/// How scores are to be read; `None` for ranks.
fn similarity(manifest: &Manifest, hybrid: bool) -> Option<SimilarityFn> {
    (!hybrid).then(|| manifest.model.similarity())
}

/// The best chunk of each document, in order.
fn documents(scored: Vec<Scored>, similarity: Option<SimilarityFn>) -> Vec<Found> {
    let mut seen = HashSet::new();
    let found = scored.into_iter().map(|scored| read(scored, similarity));
    found
        .filter(|found| seen.insert(found.id.clone()))
        .collect()
}

fn read(scored: Scored, similarity: Option<SimilarityFn>) -> Found {
    let (chunk, Chunk { id, text, fields }) = (scored.point.chunk(), Chunk::of(scored.point));
    // The engine gives distances as they are, upstream their negatives.
    let distance = matches!(
        similarity,
        Some(SimilarityFn::Euclidean | SimilarityFn::Manhattan)
    );
    Found {
        id,
        score: if distance {
            -scored.score
        } else {
            scored.score
        },
        chunk,
        text,
        fields,
    }
}
