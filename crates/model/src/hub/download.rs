//! One file from the hub into the cache: resumed where an earlier attempt stopped, checked before it gets its name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use matryo_base::{digest::Digest, files::FileError};
use ureq::{Body, http::Response};

use super::{
    HubProgress,
    cache::ModelCache,
    client::{Client, Failure, Method, header},
};
use crate::ModelError;

/// Bytes read at a time.
const CHUNK: usize = 1 << 17;

/// What the hub says about a file before sending it.
struct Remote {
    url: String,
    /// Names the content: its sha256 for large files.
    etag: String,
    size: Option<u64>,
}

/// Makes sure that `file` of a commit is in the cache.
pub(super) fn fetch(
    client: &Client<'_>,
    cache: &ModelCache,
    commit: &str,
    file: &str,
    progress: &dyn HubProgress,
) -> Result<(), ModelError> {
    if cache.snapshot(commit).join(file).exists() {
        return Ok(());
    }
    let remote = client.retry(|| describe(client, commit, file))?;
    let _lock = cache.lock(&remote.etag)?;
    let blob = cache.blob(&remote.etag);
    if !blob.exists() {
        let part = partial(&blob);
        progress.begin(file, remote.size, length(&part));
        client.retry(|| receive(client, &remote, &part, progress))?;
        fs::rename(&part, &blob).map_err(FileError::new("write", &blob))?;
        progress.end(file);
    }
    cache.link(commit, file, &remote.etag)
}

fn describe(client: &Client<'_>, commit: &str, file: &str) -> Result<Remote, Failure> {
    let url = format!(
        "{}/{}/resolve/{commit}/{file}",
        client.options.endpoint, client.id.name
    );
    let response = client.request(&url, Method::Head)?;
    let etag = header(&response, "x-linked-etag").or_else(|| header(&response, "etag"));
    let etag = etag.map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_owned());
    let plain = |tag: &String| {
        !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let Some(etag) = etag.filter(plain) else {
        return Err(client.bad_response(&url, "no ETag").into());
    };
    // The length of a redirect is that of the redirect itself.
    let own_length = if response.status().is_success() {
        header(&response, "content-length")
    } else {
        None
    };
    let size = header(&response, "x-linked-size")
        .or(own_length)
        .and_then(|size| size.parse().ok());
    Ok(Remote { url, etag, size })
}

/// Appends what is missing to `part`, and checks the whole.
fn receive(
    client: &Client<'_>,
    remote: &Remote,
    part: &Path,
    progress: &dyn HubProgress,
) -> Result<(), Failure> {
    let from = length(part);
    if remote.size.is_none_or(|size| from < size) {
        let response = client.request(&remote.url, Method::Get { from })?;
        match response.status().as_u16() {
            206 => append(response, remote, part, from, progress)?,
            // Either nothing was there yet, or the server cannot resume: from the start again.
            200 => append(response, remote, part, 0, progress)?,
            _ => {
                return Err(restart(
                    part,
                    client.bad_response(&remote.url, "cannot resume"),
                ));
            }
        }
    }
    check_size(remote, part)?;
    check_content(remote, part).map_err(|error| {
        if from > 0 {
            restart(part, error)
        } else {
            discard(part, error)
        }
    })
}

fn append(
    response: Response<Body>,
    remote: &Remote,
    part: &Path,
    from: u64,
    progress: &dyn HubProgress,
) -> Result<(), Failure> {
    let failed = || {
        let failed = FileError::new("write", part);
        move |source| ModelError::from(failed(source))
    };
    let mut open = OpenOptions::new();
    open.create(true)
        .write(true)
        .truncate(from == 0)
        .append(from > 0);
    let mut file = open.open(part).map_err(failed())?;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; CHUNK];
    loop {
        let interrupted = |source| Failure::passing(interrupted(remote, source));
        let received = body.read(&mut buffer).map_err(interrupted)?;
        if received == 0 {
            return Ok(file.sync_all().map_err(failed())?);
        }
        file.write_all(&buffer[..received]).map_err(failed())?;
        progress.advance(received as u64);
    }
}

/// A connection that ended too early may end later next time; what came is kept.
fn check_size(remote: &Remote, part: &Path) -> Result<(), Failure> {
    let found = length(part);
    match remote.size {
        Some(expected) if found < expected => {
            let error = ModelError::HubTruncated {
                url: remote.url.clone(),
                found,
                expected,
            };
            Err(Failure::passing(error))
        }
        Some(expected) if found > expected => {
            let error = ModelError::HubTruncated {
                url: remote.url.clone(),
                found,
                expected,
            };
            Err(restart(part, error))
        }
        _ => Ok(()),
    }
}

/// Large files are named by their sha256; others by git's hash, which says nothing more than their size does.
fn check_content(remote: &Remote, part: &Path) -> Result<(), ModelError> {
    const SHA256_DIGITS: usize = 64;
    if remote.etag.len() != SHA256_DIGITS {
        return Ok(());
    }
    let found = sha256(part)?;
    if found == remote.etag {
        return Ok(());
    }
    Err(ModelError::HubChecksum {
        url: remote.url.clone(),
        found,
        expected: remote.etag.clone(),
    })
}

fn sha256(path: &Path) -> Result<String, ModelError> {
    let mut digest = Digest::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut digest))
        .map_err(FileError::new("read", path))?;
    Ok(digest.hex())
}

/// What is there is of no use: the next attempt begins anew.
fn restart(part: &Path, error: ModelError) -> Failure {
    Failure {
        passing: true,
        ..discard(part, error)
    }
}

/// What is there is of no use, and another attempt would get the same.
fn discard(part: &Path, error: ModelError) -> Failure {
    // If it cannot be removed, the next attempt finds it wrong again.
    let _ = fs::remove_file(part);
    error.into()
}

fn interrupted(remote: &Remote, source: std::io::Error) -> ModelError {
    ModelError::HubNetwork {
        url: remote.url.clone(),
        source: Box::new(source),
    }
}

fn partial(blob: &Path) -> PathBuf {
    let mut path = blob.as_os_str().to_owned();
    path.push(".incomplete");
    PathBuf::from(path)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}
