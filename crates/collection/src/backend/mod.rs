//! What keeps points: the engine in this process, or a server. Filters are JSON in the form of Qdrant's REST interface.

pub(crate) mod edge;
pub(crate) mod server;

use matryo_model::SimilarityFn;
use serde_json::{Map, Value, json};

use crate::{
    CollectionError, Manifest, VectorStorage,
    point::{Point, PointId, WORDS, Words},
};

/// Which points to find.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Looks at ever longer prefixes; empty for a search by words alone.
    pub stages: Vec<DenseStage>,
    /// Words to find besides.
    pub words: Option<Words>,
    pub filter: Option<Value>,
    /// Points wanted.
    pub limit: usize,
    /// Compare with every vector instead of asking the index.
    pub effort: Option<usize>,
    pub exact: bool,
    /// How vectors are kept, which decides how many are rescored.
    pub storage: VectorStorage,
}

/// A prefix of the query, compared with the stored vectors of its name.
#[derive(Clone, Debug)]
pub(crate) struct DenseStage {
    pub name: String,
    pub vector: Vec<f32>,
    pub keep: usize,
}

/// A point that was found, without its vectors.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    pub point: Point,
    pub score: f32,
}

/// What a backend tells of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    pub points: usize,
    /// Vectors in an index, over all names.
    pub indexed: usize,
    pub segments: usize,
}

/// A store of points.
pub(crate) trait Backend: Send + Sync {
    /// Writes points, over those with the same ids. What returned `Ok` survives the end of the process.
    fn upsert(&self, points: Vec<Point>) -> Result<(), CollectionError>;

    /// Deletes points; those that are not there are passed over. Durable as [`Backend::upsert`].
    fn delete(&self, ids: &[PointId]) -> Result<(), CollectionError>;

    /// At most `limit` points in the order of their ids, from `from` on, and the id to go on from.
    fn scroll(
        &self,
        filter: Option<&Value>,
        from: Option<PointId>,
        limit: usize,
        with_vectors: bool,
    ) -> Result<(Vec<Point>, Option<PointId>), CollectionError>;

    /// Number of points.
    fn count(&self, filter: Option<&Value>) -> Result<usize, CollectionError>;

    /// The best points, best first; scores are as the engine gives them.
    fn query(&self, query: &Query) -> Result<Vec<Scored>, CollectionError>;

    /// What it holds.
    fn condition(&self) -> Result<Condition, CollectionError>;
}

/// A query as a tree: what its branches found is scored again at the node.
pub(crate) struct Plan<'a> {
    pub scoring: Scoring<'a>,
    pub prefetch: Vec<Plan<'a>>,
    /// At leaves alone: what comes out of them is filtered.
    pub filter: Option<&'a Value>,
    pub params: Value,
    pub limit: usize,
}

/// By what points are ordered.
pub(crate) enum Scoring<'a> {
    Nearest(&'a DenseStage),
    Words(&'a Words),
    /// Reciprocal rank fusion of the branches (Cormack et al. 2009).
    Fusion,
}

impl<'a> Plan<'a> {
    /// The tree of a query that has stages, words or both.
    pub fn of(query: &'a Query) -> Self {
        let node = |scoring, prefetch: Vec<Self>, limit| Self {
            filter: query.filter.as_ref().filter(|_| prefetch.is_empty()),
            scoring,
            prefetch,
            params: search_params(query),
            limit,
        };
        let mut dense: Option<Self> = None;
        for stage in &query.stages {
            dense = Some(node(
                Scoring::Nearest(stage),
                Vec::from_iter(dense),
                stage.keep,
            ));
        }
        match (dense, &query.words) {
            (Some(mut last), None) => {
                last.limit = last.limit.min(query.limit);
                last
            }
            (Some(last), Some(words)) => {
                let words = node(Scoring::Words(words), Vec::new(), last.limit);
                node(Scoring::Fusion, vec![last, words], query.limit)
            }
            (None, words) => {
                let words = words.as_ref().expect("a query asks for something");
                node(Scoring::Words(words), Vec::new(), query.limit)
            }
        }
    }
}

/// Candidates of a search by default: of a million vectors 0.993 of the ten nearest are found so, with the engine's own 100 about 0.98
/// (bench/records/search-collection-2026-11-25.json).
const EFFORT: usize = 256;

/// Search parameters in the form of Qdrant's REST interface.
fn search_params(query: &Query) -> Value {
    let mut params = json!({ "exact": query.exact, "hnsw_ef": query.effort.unwrap_or(EFFORT) });
    if query.storage != VectorStorage::Float32 {
        params["quantization"] =
            json!({ "rescore": true, "oversampling": query.storage.oversampling() });
    }
    params
}

/// Settings of a collection in the form of Qdrant's REST interface.
fn vectors_config(manifest: &Manifest) -> Value {
    let distance = match manifest.model.similarity() {
        SimilarityFn::Cosine => "Cosine",
        SimilarityFn::Dot => "Dot",
        SimilarityFn::Euclidean => "Euclid",
        SimilarityFn::Manhattan => "Manhattan",
    };
    let params = |&dim: &usize| {
        (
            dim.to_string(),
            json!({ "size": dim, "distance": distance, "on_disk": true }),
        )
    };
    let mut config = json!({ "vectors": manifest.dims.iter().map(params).collect::<Map<_, _>>() });
    match manifest.storage {
        VectorStorage::Float32 => {}
        VectorStorage::Int8 => {
            config["quantization_config"] =
                json!({ "scalar": { "type": "int8", "always_ram": true } });
        }
        VectorStorage::Binary => {
            config["quantization_config"] = json!({ "binary": { "always_ram": true } })
        }
    }
    if manifest.hybrid {
        config["sparse_vectors"] = json!({ WORDS: { "modifier": "idf" } });
    }
    config
}
