//! A Qdrant server or cluster, through its REST interface: the same JSON that the engine in this process takes for filters,
//! settings and queries, and no more dependencies than the hub needs.

use std::time::Duration;

use serde_json::{Map, Value, json};
use ureq::Agent;

use super::{Backend, Condition, Plan, Query, Scored, Scoring, vectors_config};
use crate::{
    CollectionError, Manifest,
    point::{ID, Point, PointId, WORDS, Words},
};

/// A server that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(120);

/// A server takes bodies of up to 32 MB by default; a value of a vector takes about 12 bytes in JSON.
const POINTS_PER_REQUEST: usize = 128;

/// The key of a collection's metadata under which its description lies.
const METADATA: &str = "matryo";

/// How a collection is spread over the nodes of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Parts that the points are divided into; the server decides by default.
    pub shards: Option<u32>,
    /// Copies of each part.
    pub replicas: Option<u32>,
}

/// One collection of a server.
pub(crate) struct Server {
    agent: Agent,
    /// `http://host:6333/collections/name`
    url: String,
    key: Option<String>,
}

impl Server {
    /// A collection that may or may not be there.
    pub fn new(server: &str, name: &str, key: Option<String>) -> Self {
        let config = Agent::config_builder()
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .http_status_as_error(false)
            .user_agent(concat!("matryo/", env!("CARGO_PKG_VERSION")));
        let url = format!(
            "{}/collections/{}",
            server.trim_end_matches('/'),
            escaped(name)
        );
        Self {
            agent: config.build().new_agent(),
            url,
            key,
        }
    }

    /// Where it is, for messages.
    pub fn place(&self) -> String {
        self.url.clone()
    }

    /// The description, or `None` if there is no such collection.
    pub fn manifest(&self) -> Result<Option<Manifest>, CollectionError> {
        let Some(result) = self.find("GET", "", None)? else {
            return Ok(None);
        };
        let described = result.pointer(&format!("/config/metadata/{METADATA}"));
        let described = described.ok_or_else(|| CollectionError::Foreign {
            place: self.place(),
        })?;
        Manifest::read(&described.to_string(), || self.place()).map(Some)
    }

    /// Makes the collection, with an index over the ids of documents.
    pub fn create(&self, manifest: &Manifest, spread: Spread) -> Result<(), CollectionError> {
        let mut config = vectors_config(manifest);
        config["metadata"] = json!({ METADATA: manifest });
        if let Some(shards) = spread.shards {
            config["shard_number"] = shards.into();
        }
        if let Some(replicas) = spread.replicas {
            config["replication_factor"] = replicas.into();
        }
        self.call("PUT", "", Some(&config))?;
        self.call(
            "PUT",
            "/index?wait=true",
            Some(&json!({ "field_name": ID, "field_schema": "keyword" })),
        )?;
        // A server from before metadata passes it over in silence.
        match self.manifest() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(self.answer("", "the collection that was just made")),
            Err(error) => self.call("DELETE", "", None).and(Err(error)),
        }
    }

    /// `result` of an answer.
    fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CollectionError> {
        let found = self.find(method, path, body)?;
        found.ok_or_else(|| CollectionError::Missing {
            place: self.place(),
        })
    }

    /// As [`Server::call`]; `None` if what is asked for does not exist.
    fn find(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, CollectionError> {
        let url = format!("{}{path}", self.url);
        let mut request = ureq::http::Request::builder().method(method).uri(&url);
        request = request.header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("api-key", key);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let network = |source: ureq::Error| CollectionError::Network {
            url: url.clone(),
            source: Box::new(source),
        };
        let request = request.body(body).map_err(|error| network(error.into()))?;
        let mut response = self.agent.run(request).map_err(network)?;
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_string()
            .map_err(network)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match status {
            200..=299 => answer
                .get("result")
                .cloned()
                .map(Some)
                .ok_or_else(|| self.answer(path, "`result`")),
            404 => Ok(None),
            _ => {
                let said = answer
                    .pointer("/status/error")
                    .and_then(Value::as_str)
                    .unwrap_or(&text);
                Err(CollectionError::Server {
                    url,
                    status,
                    message: said.chars().take(400).collect(),
                })
            }
        }
    }

    fn answer(&self, path: &str, missing: &str) -> CollectionError {
        CollectionError::Answer {
            url: format!("{}{path}", self.url),
            problem: format!("no {missing}"),
        }
    }

    fn points(&self, of: &Value, path: &str) -> Result<Vec<Scored>, CollectionError> {
        let list = of
            .get("points")
            .and_then(Value::as_array)
            .ok_or_else(|| self.answer(path, "`points`"))?;
        list.iter()
            .map(|point| read_point(point).ok_or_else(|| self.answer(path, "readable point")))
            .collect()
    }
}

impl Backend for Server {
    fn upsert(&self, points: Vec<Point>) -> Result<(), CollectionError> {
        points.chunks(POINTS_PER_REQUEST).try_for_each(|points| {
            let points: Vec<Value> = points.iter().map(written).collect();
            self.call(
                "PUT",
                "/points?wait=true",
                Some(&json!({ "points": points })),
            )
            .map(drop)
        })
    }

    fn delete(&self, ids: &[PointId]) -> Result<(), CollectionError> {
        let ids: Vec<String> = ids.iter().map(PointId::to_string).collect();
        self.call(
            "POST",
            "/points/delete?wait=true",
            Some(&json!({ "points": ids })),
        )
        .map(drop)
    }

    fn scroll(
        &self,
        filter: Option<&Value>,
        from: Option<PointId>,
        limit: usize,
        with_vectors: bool,
    ) -> Result<(Vec<Point>, Option<PointId>), CollectionError> {
        const PATH: &str = "/points/scroll";
        let offset = from.map(|id| id.to_string());
        let body = json!({
            "filter": filter, "offset": offset, "limit": limit, "with_payload": true, "with_vector": with_vectors,
        });
        let result = self.call("POST", PATH, Some(&body))?;
        let points = self
            .points(&result, PATH)?
            .into_iter()
            .map(|scored| scored.point)
            .collect();
        let next = result
            .get("next_page_offset")
            .and_then(Value::as_str)
            .and_then(PointId::parse);
        Ok((points, next))
    }

    fn count(&self, filter: Option<&Value>) -> Result<usize, CollectionError> {
        const PATH: &str = "/points/count";
        let result = self.call(
            "POST",
            PATH,
            Some(&json!({ "filter": filter, "exact": true })),
        )?;
        let count = result.get("count").and_then(Value::as_u64);
        count
            .map(|count| count as usize)
            .ok_or_else(|| self.answer(PATH, "`count`"))
    }

    fn query(&self, query: &Query) -> Result<Vec<Scored>, CollectionError> {
        const PATH: &str = "/points/query";
        let mut body = request(Plan::of(query));
        body["with_payload"] = true.into();
        let result = self.call("POST", PATH, Some(&body))?;
        self.points(&result, PATH)
    }

    fn condition(&self) -> Result<Condition, CollectionError> {
        let info = self.call("GET", "", None)?;
        let number = |key: &str| info.get(key).and_then(Value::as_u64).unwrap_or_default() as usize;
        Ok(Condition {
            points: self.count(None)?,
            indexed: number("indexed_vectors_count"),
            segments: number("segments_count"),
        })
    }
}

/// The body of a query.
fn request(plan: Plan<'_>) -> Value {
    let mut body = match plan.scoring {
        Scoring::Nearest(stage) => {
            json!({ "query": stage.vector, "using": stage.name, "params": plan.params })
        }
        Scoring::Words(words) => json!({ "query": sparse(words), "using": WORDS }),
        Scoring::Fusion => json!({ "query": { "fusion": "rrf" } }),
    };
    body["limit"] = plan.limit.into();
    if let Some(filter) = plan.filter {
        body["filter"] = filter.clone();
    }
    if !plan.prefetch.is_empty() {
        body["prefetch"] = plan.prefetch.into_iter().map(request).collect();
    }
    body
}

fn sparse(words: &Words) -> Value {
    json!({ "indices": words.indices, "values": words.values })
}

fn written(point: &Point) -> Value {
    let mut vectors: Map<String, Value> = point
        .vectors
        .iter()
        .map(|(name, vector)| (name.clone(), json!(vector)))
        .collect();
    if let Some(words) = &point.words {
        vectors.insert(WORDS.to_owned(), sparse(words));
    }
    json!({ "id": point.id.to_string(), "vector": vectors, "payload": point.payload })
}

fn read_point(value: &Value) -> Option<Scored> {
    let id = PointId::parse(value.get("id")?.as_str()?)?;
    let payload = value
        .get("payload")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let mut point = Point {
        id,
        vectors: Vec::new(),
        words: None,
        payload,
    };
    for (name, vector) in value
        .get("vector")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match vector {
            Value::Array(_) => point
                .vectors
                .push((name.clone(), serde_json::from_value(vector.clone()).ok()?)),
            words => {
                let indices = serde_json::from_value(words.get("indices")?.clone()).ok()?;
                point.words = Some(Words {
                    indices,
                    values: serde_json::from_value(words.get("values")?.clone()).ok()?,
                });
            }
        }
    }
    point.vectors.sort_by(|a, b| a.0.cmp(&b.0));
    let score = value
        .get("score")
        .and_then(Value::as_f64)
        .unwrap_or_default() as f32;
    Some(Scored { point, score })
}

/// A name as part of a URL.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let letter = |byte: u8| {
        if plain(byte) {
            (byte as char).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(letter).collect()
}
