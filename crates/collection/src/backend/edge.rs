//! Qdrant Edge: the engine of Qdrant in this process, over the files of a folder.

use std::{
    any::Any,
    collections::HashMap,
    fmt, io,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    path::{Path, PathBuf},
};

use matryo_base::FileError;
use qdrant_edge::{
    CountRequest, CreateIndex, EdgeConfig, EdgeShard, FieldIndexOperations, Filter as EdgeFilter,
    Fusion, NamedQuery, Payload, PayloadFieldSchema, PayloadSchemaType, PointId as EdgeId,
    PointInsertOperations, PointOperations, PointStructPersisted, Prefetch, QueryEnum,
    QueryRequest, Record, ScoredPoint, ScoringQuery, ScrollRequest, SparseVector, UpdateOperation,
    VectorInternal, VectorPersisted, VectorStructInternal, VectorStructPersisted,
    WithPayloadInterface, WithVector, external::uuid::Uuid,
};
use serde_json::Value;

use super::{Backend, Condition, DenseStage, Plan, Query, Scored, Scoring, vectors_config};
use crate::{
    CollectionError, Manifest,
    error::EngineFailure,
    point::{ID, Point, PointId, WORDS, Words},
};

/// What ranks say of a fused result: `1 / (k + rank)`, with Qdrant's k.
const RRF_K: usize = 2;

/// Room that a write may take besides its own size: a part of the log, files that grow in steps.
const ROOM_MB: u64 = 256;

/// How panics of the engine begin where a file cannot be flushed.
const FLUSH_PANICS: [&str; 2] = ["segments flushed", "WAL flushed"];

/// Whether a panic is one that this library catches and reports as an error: a hook need not show it.
pub fn is_reported(panic: &PanicHookInfo<'_>) -> bool {
    message(panic.payload())
        .is_some_and(|message| FLUSH_PANICS.iter().any(|start| message.starts_with(start)))
}

/// What a panic says.
fn message(payload: &dyn Any) -> Option<&str> {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
}

/// What Linux calls a full disk.
const NO_SPACE: &str = "No space left on device";

/// A folder of points.
pub(crate) struct Edge {
    /// There until it is dropped.
    shard: Option<EdgeShard>,
    path: PathBuf,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let shard = self.shard.take();
        // The engine flushes once more; what was acknowledged is safe without it.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(shard)));
    }
}

impl Edge {
    /// Makes a folder of points; `path` is empty or not there.
    pub fn create(path: &Path, manifest: &Manifest) -> Result<Self, CollectionError> {
        check_room(path, 0)?;
        std::fs::create_dir_all(path).map_err(FileError::new("create", path))?;
        let config = config(manifest);
        let shard = EdgeShard::new(path, config).map_err(failed("create", path))?;
        let edge = Self {
            shard: Some(shard),
            path: path.to_owned(),
        };
        let index = CreateIndex {
            field_name: ID.parse().expect("a plain name"),
            field_schema: Some(PayloadFieldSchema::FieldType(PayloadSchemaType::Keyword)),
        };
        edge.update(UpdateOperation::FieldIndexOperation(
            FieldIndexOperations::CreateIndex(index),
        ))?;
        Ok(edge)
    }

    /// Opens a folder of points.
    ///
    /// # Errors
    /// [`CollectionError::InUse`] if another process has it open.
    pub fn open(path: &Path) -> Result<Self, CollectionError> {
        match EdgeShard::load(path, None) {
            Ok(shard) => Ok(Self {
                shard: Some(shard),
                path: path.to_owned(),
            }),
            Err(error) if error.to_string().contains("WouldBlock") => Err(CollectionError::InUse {
                path: path.to_owned(),
            }),
            Err(error) => Err(failed("open", path)(error)),
        }
    }

    fn shard(&self) -> &EdgeShard {
        self.shard.as_ref().expect("there until it is dropped")
    }

    /// Merges what was added in pieces, drops what was deleted, and builds the index.
    pub fn optimize(&self) -> Result<(), CollectionError> {
        self.shard()
            .optimize()
            .map_err(failed("optimize", &self.path))?;
        self.flush()
    }

    fn update(&self, operation: UpdateOperation) -> Result<(), CollectionError> {
        self.shard()
            .update(operation)
            .map_err(failed("write to", &self.path))?;
        self.flush()
    }

    fn flush(&self) -> Result<(), CollectionError> {
        // The engine panics where a file cannot be written.
        let flushed = catch_unwind(AssertUnwindSafe(|| self.shard().flush()));
        flushed.map_err(|panic| {
            failed("write to", &self.path)(message(&*panic).unwrap_or("a file cannot be written"))
        })?;
        prune_log(&self.path);
        Ok(())
    }
}

impl Backend for Edge {
    fn upsert(&self, points: Vec<Point>) -> Result<(), CollectionError> {
        let floats = |point: &Point| {
            point
                .vectors
                .iter()
                .map(|(_, vector)| vector.len())
                .sum::<usize>()
        };
        check_room(
            &self.path,
            points.iter().map(floats).sum::<usize>() as u64 * 16,
        )?;
        let points = points.into_iter().map(persisted).collect();
        let list = PointInsertOperations::PointsList(points);
        self.update(UpdateOperation::PointOperation(
            PointOperations::UpsertPoints(list),
        ))
    }

    fn delete(&self, ids: &[PointId]) -> Result<(), CollectionError> {
        let ids = ids.iter().map(edge_id).collect();
        self.update(UpdateOperation::PointOperation(
            PointOperations::DeletePoints { ids },
        ))
    }

    fn scroll(
        &self,
        filter: Option<&Value>,
        from: Option<PointId>,
        limit: usize,
        with_vectors: bool,
    ) -> Result<(Vec<Point>, Option<PointId>), CollectionError> {
        let request = ScrollRequest {
            offset: from.as_ref().map(edge_id),
            limit: Some(limit),
            filter: self.filter(filter)?,
            with_payload: Some(WithPayloadInterface::Bool(true)),
            with_vector: WithVector::Bool(with_vectors),
            order_by: None,
        };
        let (records, next) = self
            .shard()
            .scroll(request)
            .map_err(failed("read", &self.path))?;
        Ok((
            records.into_iter().map(read_record).collect(),
            next.map(point_id),
        ))
    }

    fn count(&self, filter: Option<&Value>) -> Result<usize, CollectionError> {
        let request = CountRequest {
            filter: self.filter(filter)?,
            exact: true,
        };
        self.shard()
            .count(request)
            .map_err(failed("count in", &self.path))
    }

    fn query(&self, query: &Query) -> Result<Vec<Scored>, CollectionError> {
        let request = request(Plan::of(query), &|filter| self.filter(filter))?;
        let found = self
            .shard()
            .query(request)
            .map_err(failed("search", &self.path))?;
        Ok(found.into_iter().map(read_scored).collect())
    }

    fn condition(&self) -> Result<Condition, CollectionError> {
        let info = self.shard().info();
        Ok(Condition {
            points: info.points_count,
            indexed: info.indexed_vectors_count,
            segments: info.segments_count,
        })
    }
}

impl Edge {
    fn filter(&self, filter: Option<&Value>) -> Result<Option<EdgeFilter>, CollectionError> {
        let read = |filter: &Value| {
            serde_json::from_value(filter.clone()).map_err(failed("filter", &self.path))
        };
        filter.map(read).transpose()
    }
}

fn request(
    plan: Plan<'_>,
    read: &impl Fn(Option<&Value>) -> Result<Option<EdgeFilter>, CollectionError>,
) -> Result<QueryRequest, CollectionError> {
    let top = prefetch(plan, read)?;
    Ok(QueryRequest {
        prefetches: top.prefetches,
        query: top.query,
        filter: top.filter,
        score_threshold: None,
        limit: top.limit,
        offset: 0,
        params: top.params,
        with_vector: WithVector::Bool(false),
        with_payload: WithPayloadInterface::Bool(true),
    })
}

fn prefetch(
    plan: Plan<'_>,
    read: &impl Fn(Option<&Value>) -> Result<Option<EdgeFilter>, CollectionError>,
) -> Result<Prefetch, CollectionError> {
    let scoring = match plan.scoring {
        Scoring::Nearest(stage) => nearest(stage),
        Scoring::Words(words) => by_words(words),
        Scoring::Fusion => ScoringQuery::Fusion(Fusion::Rrf {
            k: RRF_K,
            weights: None,
        }),
    };
    Ok(Prefetch {
        prefetches: plan
            .prefetch
            .into_iter()
            .map(|inner| prefetch(inner, read))
            .collect::<Result<_, _>>()?,
        query: Some(scoring),
        limit: plan.limit,
        params: Some(serde_json::from_value(plan.params).expect("parameters of our own")),
        filter: read(plan.filter)?,
        score_threshold: None,
    })
}

fn nearest(stage: &DenseStage) -> ScoringQuery {
    let vector = VectorInternal::Dense(stage.vector.clone());
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(
        vector,
        stage.name.clone(),
    )))
}

fn by_words(words: &Words) -> ScoringQuery {
    let vector = VectorInternal::Sparse(sparse(words));
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(vector, WORDS)))
}

fn config(manifest: &Manifest) -> EdgeConfig {
    serde_json::from_value(vectors_config(manifest)).expect("settings of our own")
}

fn persisted(point: Point) -> PointStructPersisted {
    let mut vectors: HashMap<_, _> = point
        .vectors
        .into_iter()
        .map(|(name, vector)| (name, VectorPersisted::Dense(vector)))
        .collect();
    if let Some(words) = &point.words {
        vectors.insert(WORDS.to_owned(), VectorPersisted::Sparse(sparse(words)));
    }
    PointStructPersisted {
        id: edge_id(&point.id),
        vector: VectorStructPersisted::Named(vectors),
        payload: Some(Payload(point.payload)),
    }
}

fn sparse(words: &Words) -> SparseVector {
    SparseVector {
        indices: words.indices.clone(),
        values: words.values.clone(),
    }
}

fn edge_id(id: &PointId) -> EdgeId {
    EdgeId::Uuid(Uuid::from_bytes(id.0))
}

fn point_id(id: EdgeId) -> PointId {
    match id {
        EdgeId::Uuid(uuid) => PointId(uuid.into_bytes()),
        EdgeId::NumId(number) => PointId(u128::from(number).to_be_bytes()),
    }
}

fn read_record(record: Record) -> Point {
    let mut point = Point {
        id: point_id(record.id),
        vectors: Vec::new(),
        words: None,
        payload: record.payload.map(|payload| payload.0).unwrap_or_default(),
    };
    if let Some(VectorStructInternal::Named(vectors)) = record.vector {
        for (name, vector) in vectors {
            match vector {
                VectorInternal::Dense(values) => point.vectors.push((name, values)),
                VectorInternal::Sparse(SparseVector { indices, values }) => {
                    point.words = Some(Words { indices, values })
                }
                VectorInternal::MultiDense(_) => {}
            }
        }
        point.vectors.sort_by(|a, b| a.0.cmp(&b.0));
    }
    point
}

fn read_scored(scored: ScoredPoint) -> Scored {
    let payload = scored.payload.map(|payload| payload.0).unwrap_or_default();
    let point = Point {
        id: point_id(scored.id),
        vectors: Vec::new(),
        words: None,
        payload,
    };
    Scored {
        point,
        score: scored.score,
    }
}

fn failed<E: fmt::Display>(action: &'static str, path: &Path) -> impl FnOnce(E) -> CollectionError {
    let path = path.to_owned();
    move |error| {
        let reason = error.to_string();
        // The engine hands the system's reason on as text.
        if reason.contains(NO_SPACE) {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return FileError::new(action, &path)(full).into();
        }
        CollectionError::Engine {
            action,
            path,
            reason: EngineFailure(reason),
        }
    }
}

/// Fails unless there is room for `bytes` and what the engine writes besides. It writes through mapped memory, where a full
/// disk ends the process instead of returning an error.
pub(crate) fn check_room(path: &Path, bytes: u64) -> Result<(), CollectionError> {
    let there = path
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."));
    let available = fs4::available_space(there).map_err(FileError::new("look at", there))? >> 20;
    let needed = (bytes >> 20) + ROOM_MB;
    if available < needed {
        return Err(CollectionError::DiskFull {
            path: path.to_owned(),
            available,
            needed,
        });
    }
    Ok(())
}

/// Deletes all but the newest closed part of the engine's log. The engine writes a log of all points and never reads it: what
/// it holds was flushed with the points. Without this a collection takes its vectors' size once more.
fn prune_log(path: &Path) {
    let _ = prune(&path.join("wal"));
}

fn prune(log: &Path) -> io::Result<()> {
    let mut closed: Vec<(u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(log)? {
        let path = entry?.path();
        let start = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix("closed-")?.parse().ok());
        closed.extend(start.map(|start| (start, path)));
    }
    closed.sort();
    closed.pop();
    closed
        .iter()
        .try_for_each(|(_, path)| std::fs::remove_file(path))
}
