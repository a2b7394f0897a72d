//! A server on loopback that speaks the part of Qdrant's REST interface that collections use, by comparing everything.
//!
//! Written from <https://api.qdrant.tech>; a filter or a query of another form is answered with status 400, as the real one does.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Map, Value, json};

type Outcome = Result<Value, (u16, String)>;

#[derive(Default)]
pub struct State {
    pub collections: BTreeMap<String, Stored>,
    /// Required in the header of every request.
    pub key: Option<String>,
    /// Method and path of every request.
    pub seen: Vec<String>,
    /// Forget the metadata of new collections, as servers did before 1.16.
    pub forgets_metadata: bool,
    /// Lose every point with this many, to be a bad copy.
    pub loses: Option<usize>,
}

#[derive(Default)]
pub struct Stored {
    pub config: Value,
    pub points: BTreeMap<String, Value>,
    pub indexes: Vec<Value>,
}

pub struct Qdrant {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

impl Qdrant {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            listener
                .incoming()
                .flatten()
                .for_each(|stream| answer(stream, &shared))
        });
        Self { url, state }
    }

    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }
}

struct Request {
    method: String,
    path: String,
    key: Option<String>,
    body: Value,
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(request) = read(&stream) else { return };
    let mut state = state.lock().unwrap();
    state
        .seen
        .push(format!("{} {}", request.method, request.path));
    let (status, body) = match respond(&request, &mut state) {
        Ok(result) => (
            200,
            json!({ "result": result, "status": "ok", "time": 0.0 }),
        ),
        Err((status, error)) => (status, json!({ "status": { "error": error }, "time": 0.0 })),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Nothing can be done about a client that hangs up.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()));
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (method, rest) = line.split_once(' ')?;
    let path = rest.split_once(' ')?.0.to_owned();
    let (mut length, mut key) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "api-key" => key = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method: method.to_owned(),
        path,
        key,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

fn respond(request: &Request, state: &mut State) -> Outcome {
    if state.key.is_some() && state.key != request.key {
        return Err((
            401,
            "Must provide an API key or an Authorization bearer token".to_owned(),
        ));
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let rest = path
        .strip_prefix("/collections/")
        .ok_or_else(|| bad("path"))?;
    let (name, action) = rest.split_once('/').unwrap_or((rest, ""));
    let body = &request.body;
    if (request.method.as_str(), action) == ("PUT", "") {
        let mut config = body.clone();
        if state.forgets_metadata {
            config
                .as_object_mut()
                .ok_or_else(|| bad("object"))?
                .remove("metadata");
        }
        state.collections.insert(
            name.to_owned(),
            Stored {
                config,
                ..Stored::default()
            },
        );
        return Ok(true.into());
    }
    if (request.method.as_str(), action) == ("DELETE", "") {
        return Ok(state.collections.remove(name).is_some().into());
    }
    let loses = state.loses;
    let stored = state.collections.get_mut(name);
    let stored = stored.ok_or_else(|| {
        (
            404,
            format!("Not found: Collection `{name}` doesn't exist!"),
        )
    })?;
    match (request.method.as_str(), action) {
        ("GET", "") => Ok(json!({
            "status": "green", "segments_count": 1, "indexed_vectors_count": 0, "points_count": stored.points.len(),
            "config": { "params": stored.config, "metadata": stored.config.get("metadata") },
        })),
        ("PUT", "index") => {
            stored.indexes.push(body.clone());
            Ok(json!({ "status": "completed" }))
        }
        ("PUT", "points") => upsert(stored, body, loses),
        ("POST", "points/delete") => {
            list(body, "points")?
                .iter()
                .for_each(|id| drop(stored.points.remove(id.as_str().unwrap_or_default())));
            Ok(json!({ "status": "completed" }))
        }
        ("POST", "points/scroll") => scroll(stored, body),
        ("POST", "points/count") => {
            Ok(json!({ "count": matching(stored, body.get("filter"))?.len() }))
        }
        ("POST", "points/query") => {
            let found = query(stored, body)?;
            Ok(
                json!({ "points": found.iter().map(|(score, id)| shown(stored, id, Some(*score))).collect::<Vec<_>>() }),
            )
        }
        _ => Err(bad("route")),
    }
}

fn upsert(stored: &mut Stored, body: &Value, loses: Option<usize>) -> Outcome {
    for point in list(body, "points")? {
        let id = point["id"].as_str().ok_or_else(|| bad("id"))?;
        for (name, vector) in point["vector"].as_object().ok_or_else(|| bad("vector"))? {
            let size = stored.config["vectors"][name]["size"].as_u64();
            if vector.is_array() && vector.as_array().map(|v| v.len() as u64) != size {
                return Err(bad("Vector dimension error"));
            }
        }
        if loses != Some(stored.points.len()) {
            stored.points.insert(id.to_owned(), point.clone());
        }
    }
    Ok(json!({ "status": "completed" }))
}

fn scroll(stored: &Stored, body: &Value) -> Outcome {
    let from = body["offset"].as_str().unwrap_or_default();
    let limit = body["limit"].as_u64().ok_or_else(|| bad("limit"))? as usize;
    let ids = matching(stored, body.get("filter"))?;
    let mut rest = ids.into_iter().filter(|id| id.as_str() >= from);
    let page: Vec<String> = rest.by_ref().take(limit).collect();
    let mut points: Vec<Value> = page.iter().map(|id| shown(stored, id, None)).collect();
    if body["with_vector"] == json!(true) {
        points
            .iter_mut()
            .zip(&page)
            .for_each(|(point, id)| point["vector"] = stored.points[id]["vector"].clone());
    }
    Ok(json!({ "points": points, "next_page_offset": rest.next() }))
}

fn shown(stored: &Stored, id: &str, score: Option<f64>) -> Value {
    json!({ "id": id, "version": 0, "score": score, "payload": stored.points[id]["payload"] })
}

/// Scores and ids, best first.
fn query(stored: &Stored, body: &Value) -> Result<Vec<(f64, String)>, (u16, String)> {
    let limit = body["limit"].as_u64().ok_or_else(|| bad("limit"))? as usize;
    let none = Vec::new();
    let prefetch = body["prefetch"].as_array().unwrap_or(&none);
    let branches: Vec<Vec<(f64, String)>> = prefetch
        .iter()
        .map(|inner| query(stored, inner))
        .collect::<Result<_, _>>()?;
    let mut scored = if body["query"]["fusion"] == "rrf" {
        fused(&branches)
    } else {
        let name = body["using"].as_str().ok_or_else(|| bad("using"))?;
        let ids = match branches.as_slice() {
            [] => matching(stored, body.get("filter"))?,
            several => several.iter().flatten().map(|(_, id)| id.clone()).collect(),
        };
        let score = |id: String| {
            Some((
                score(&body["query"], &stored.points[&id]["vector"][name])?,
                id,
            ))
        };
        ids.into_iter().filter_map(score).collect()
    };
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.truncate(limit);
    Ok(scored)
}

fn fused(branches: &[Vec<(f64, String)>]) -> Vec<(f64, String)> {
    let mut scores: BTreeMap<&String, f64> = BTreeMap::new();
    for branch in branches {
        for (rank, (_, id)) in branch.iter().enumerate() {
            *scores.entry(id).or_default() += 1.0 / (2.0 + rank as f64);
        }
    }
    scores
        .into_iter()
        .map(|(id, score)| (score, id.clone()))
        .collect()
}

/// The cosine of dense vectors, the dot product of words; none for points without a common word.
fn score(query: &Value, stored: &Value) -> Option<f64> {
    let numbers = |value: &Value| -> Vec<f64> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect()
    };
    if query.is_array() {
        let (a, b) = (numbers(query), numbers(stored));
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        return Some(dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt());
    }
    let (values, words) = (numbers(&stored["values"]), numbers(&stored["indices"]));
    let hit = |word: &f64| {
        words
            .iter()
            .position(|other| other == word)
            .map(|at| values[at])
    };
    let hits: Vec<f64> = numbers(&query["indices"]).iter().filter_map(hit).collect();
    (!hits.is_empty()).then(|| hits.iter().sum())
}

fn matching(stored: &Stored, filter: Option<&Value>) -> Result<Vec<String>, (u16, String)> {
    let filter = filter.filter(|filter| !filter.is_null());
    let mut found = Vec::new();
    for (id, point) in &stored.points {
        let payload = point["payload"].as_object().ok_or_else(|| bad("payload"))?;
        if filter.map_or(Ok(true), |filter| clauses(filter, payload))? {
            found.push(id.clone());
        }
    }
    Ok(found)
}

fn clauses(filter: &Value, payload: &Map<String, Value>) -> Result<bool, (u16, String)> {
    let mut holds = true;
    for (clause, conditions) in filter.as_object().ok_or_else(|| bad("filter"))? {
        let conditions = conditions.as_array().ok_or_else(|| bad("conditions"))?;
        let each: Vec<bool> = conditions
            .iter()
            .map(|it| condition(it, payload))
            .collect::<Result<_, _>>()?;
        holds &= match clause.as_str() {
            "must" => each.iter().all(|&it| it),
            "should" => each.iter().any(|&it| it),
            "must_not" => !each.iter().any(|&it| it),
            _ => return Err(bad("clause")),
        };
    }
    Ok(holds)
}

fn condition(condition: &Value, payload: &Map<String, Value>) -> Result<bool, (u16, String)> {
    if let Some(empty) = condition.get("is_empty") {
        return Ok(payload
            .get(empty["key"].as_str().ok_or_else(|| bad("key"))?)
            .is_none_or(Value::is_null));
    }
    let Some(key) = condition.get("key") else {
        return clauses(condition, payload);
    };
    let value = payload.get(key.as_str().ok_or_else(|| bad("key"))?);
    if let Some(range) = condition.get("range").and_then(Value::as_object) {
        let Some(number) = value.and_then(Value::as_f64) else {
            return Ok(false);
        };
        return Ok(range.iter().all(|(bound, limit)| {
            let limit = limit.as_f64().unwrap_or(f64::NAN);
            match bound.as_str() {
                "lt" => number < limit,
                "lte" => number <= limit,
                "gt" => number > limit,
                _ => number >= limit,
            }
        }));
    }
    let wanted = condition.get("match").ok_or_else(|| bad("match"))?;
    let any: Vec<&Value> = match (
        wanted.get("value"),
        wanted.get("any").and_then(Value::as_array),
    ) {
        (Some(value), _) => vec![value],
        (_, Some(any)) => any.iter().collect(),
        _ => return Err(bad("match")),
    };
    Ok(value.is_some_and(|value| any.contains(&value)))
}

fn list<'a>(body: &'a Value, key: &str) -> Result<&'a Vec<Value>, (u16, String)> {
    body[key].as_array().ok_or_else(|| bad(key))
}

fn bad(what: &str) -> (u16, String) {
    (400, format!("Format error in JSON body: {what}"))
}
