//! A hub on loopback that answers as the real one does, and fails as told.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use sha2::{Digest, Sha256};

/// The commit of every model here.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// One file and how it is sent.
#[derive(Clone, Default)]
pub struct Served {
    pub bytes: Vec<u8>,
    /// Whether it is "large": named by its sha256, and behind a redirect to another host.
    pub large: bool,
    /// The first answers break off after so many bytes each.
    pub cuts: Vec<usize>,
    /// A sha256 to announce instead of the true one.
    pub false_hash: Option<String>,
    /// Whether ranges are ignored.
    pub no_ranges: bool,
}

/// What the server does and what it saw.
#[derive(Default)]
pub struct State {
    pub files: BTreeMap<String, Served>,
    /// Required in the header of every request to the hub itself.
    pub token: Option<String>,
    /// Answer every request so: status and `X-Error-Code`.
    pub refuse: Option<(u16, &'static str)>,
    /// Answers with status 503 before the first good one.
    pub busy: usize,
    /// Every request: method, path, range and whether a token came along.
    pub seen: Vec<Request>,
}

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub range: Option<usize>,
    pub token: Option<String>,
}

/// Two servers: the hub, and the host of large files.
pub struct Hub {
    pub endpoint: String,
    pub state: Arc<Mutex<State>>,
}

impl Hub {
    pub fn start(files: &[(&str, Served)]) -> Self {
        let files = files
            .iter()
            .map(|(name, file)| ((*name).to_owned(), file.clone()))
            .collect();
        let state = Arc::new(Mutex::new(State {
            files,
            ..State::default()
        }));
        let storage = serve(Arc::clone(&state), None);
        let endpoint = serve(Arc::clone(&state), Some(storage));
        Self { endpoint, state }
    }

    pub fn seen(&self) -> Vec<Request> {
        self.state.lock().unwrap().seen.clone()
    }

    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }
}

/// Starts a server; the hub itself knows where `storage` is.
fn serve(state: Arc<Mutex<State>>, storage: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (state, storage) = (Arc::clone(&state), storage.clone());
            thread::spawn(move || answer(stream, &state, storage.as_deref()));
        }
    });
    address
}

fn answer(mut stream: TcpStream, state: &Mutex<State>, storage: Option<&str>) {
    let Some(request) = read_request(&stream) else {
        return;
    };
    let mut state = state.lock().unwrap();
    state.seen.push(request.clone());
    // Nothing can be done about a client that hangs up.
    let _ = respond(&mut stream, &request, &mut state, storage);
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream.take(1 << 16))
        .lines()
        .map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let mut request = Request {
        method: words.next()?.into(),
        path: words.next()?.into(),
        ..Request::default()
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                request.range = value
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            }
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Some(request)
}

fn respond(
    stream: &mut TcpStream,
    request: &Request,
    state: &mut State,
    storage: Option<&str>,
) -> std::io::Result<()> {
    if let (Some(_), Some((status, code))) = (storage, state.refuse) {
        return send(stream, status, &[("X-Error-Code", code)], b"", 0);
    }
    if storage.is_some() && state.token.is_some() && request.token != state.token {
        return send(stream, 401, &[("X-Error-Code", "GatedRepo")], b"", 0);
    }
    if state.busy > 0 {
        state.busy -= 1;
        return send(stream, 503, &[], b"", 0);
    }
    if request.path.starts_with("/api/models/") {
        return list(stream, request, state);
    }
    let name = request
        .path
        .split_once(&format!("/{COMMIT}/"))
        .map(|(_, name)| name.to_owned());
    let file = name.as_ref().and_then(|name| state.files.get_mut(name));
    match (file, storage) {
        (None, _) => send(stream, 404, &[("X-Error-Code", "EntryNotFound")], b"", 0),
        (Some(file), Some(storage)) if file.large => {
            let location = format!("{storage}{}", request.path);
            let (etag, size) = (format!("\"{}\"", etag(file)), file.bytes.len().to_string());
            let headers = [
                ("Location", &*location),
                ("X-Linked-ETag", &*etag),
                ("X-Linked-Size", &*size),
            ];
            send(stream, 302, &headers, b"", 0)
        }
        (Some(file), _) => send_file(stream, request, file),
    }
}

fn list(stream: &mut TcpStream, request: &Request, state: &State) -> std::io::Result<()> {
    let known = ["main", COMMIT, "refs%2Fpr%2F1"]
        .iter()
        .any(|rev| request.path.ends_with(&format!("/revision/{rev}")));
    if !known {
        return send(stream, 404, &[("X-Error-Code", "RevisionNotFound")], b"", 0);
    }
    let siblings: Vec<_> = state
        .files
        .keys()
        .map(|name| serde_json::json!({"rfilename": name}))
        .collect();
    let body = serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string();
    send(stream, 200, &[], body.as_bytes(), body.len())
}

fn send_file(stream: &mut TcpStream, request: &Request, file: &mut Served) -> std::io::Result<()> {
    let etag = format!("\"{}\"", etag(file));
    let from = request.range.filter(|_| !file.no_ranges).unwrap_or(0);
    let (status, rest) = (if from > 0 { 206 } else { 200 }, &file.bytes[from..]);
    let head = request.method == "HEAD";
    let sent = match head || file.cuts.is_empty() {
        true => rest,
        false => &rest[..file.cuts.remove(0)],
    };
    send(
        stream,
        status,
        &[("ETag", &etag)],
        if head { b"" } else { sent },
        rest.len(),
    )
}

fn send(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    length: usize,
) -> std::io::Result<()> {
    let mut head =
        format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(body)
}

fn etag(file: &Served) -> String {
    match (&file.false_hash, file.large) {
        (Some(hash), _) => hash.clone(),
        (None, true) => sha256(&file.bytes),
        // As long as git's hash of a blob, which the real hub sends for small files.
        (None, false) => sha256(&file.bytes)[..40].to_owned(),
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
