//! Models from the Hugging Face hub: a name becomes a folder of the standard cache.

mod cache;
mod client;
mod download;
mod id;
mod options;
mod select;

use std::path::{Path, PathBuf};

use cache::ModelCache;
use client::{Client, Method};
use id::{ModelId, is_commit, is_path_like};
use matryo_nn::NnError;
pub use options::HubOptions;
use serde_json::Value;

use crate::{ModelError, folder::no_folder};

/// Hears how a download goes on. The unit type hears nothing.
pub trait HubProgress {
    /// A file begins: its size if the hub says it, and the bytes an earlier attempt left.
    fn begin(&self, file: &str, size: Option<u64>, done: u64) {
        let _ = (file, size, done);
    }

    /// More bytes of the current file are there. A file that begins anew counts them again.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The file is complete and checked.
    fn end(&self, file: &str) {
        let _ = file;
    }

    /// Something the user should know.
    fn note(&self, text: &str) {
        let _ = text;
    }
}

impl HubProgress for () {}

/// The folder of a model: a local folder as it is, or `org/name[@revision]` from the hub's cache, downloaded if needed.
///
/// A folder of that name wins over the hub. Only configurations, tokenizer files, modules and safetensors are
/// downloaded. Without a network the cached state of the revision is used, with a note.
pub fn resolve(
    name_or_path: &str,
    options: &HubOptions,
    progress: &dyn HubProgress,
) -> Result<PathBuf, ModelError> {
    let path = Path::new(name_or_path);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let id = ModelId::parse(name_or_path, options.revision.as_deref())
        .filter(|_| !is_path_like(name_or_path));
    let id = id.ok_or_else(|| no_folder(path))?;
    let cache = ModelCache::new(&options.cache, &id);
    if options.offline {
        let (name, revision, cached) =
            (id.name.clone(), id.revision.clone(), options.cache.clone());
        let not_cached = || ModelError::HubOffline {
            name,
            revision,
            cache: cached,
        };
        return cache.snapshot_of(&id.revision).ok_or_else(not_cached);
    }
    let client = Client::new(options, &id);
    match client.retry(|| list(&client)) {
        Ok(listing) => download(&client, &cache, &listing, progress),
        Err(error) => match cache
            .snapshot_of(&id.revision)
            .filter(|_| is_unreachable(&error))
        {
            Some(snapshot) => {
                progress.note(&format!(
                    "{} cannot be reached: using {} from the cache",
                    options.endpoint, id.name
                ));
                Ok(snapshot)
            }
            None => Err(error),
        },
    }
}

fn is_unreachable(error: &ModelError) -> bool {
    matches!(
        error,
        ModelError::HubNetwork { .. } | ModelError::HubStatus { status: 500.., .. }
    )
}

/// A commit and its files.
struct Listing {
    commit: String,
    files: Vec<String>,
}

fn list(client: &Client<'_>) -> Result<Listing, client::Failure> {
    let revision = client.id.revision.replace('/', "%2F");
    let url = format!(
        "{}/api/models/{}/revision/{revision}",
        client.options.endpoint, client.id.name
    );
    let mut response = client.request(&url, Method::Get { from: 0 })?;
    let body = response.body_mut().read_to_string().map_err(|source| {
        client::Failure::passing(ModelError::HubNetwork {
            url: url.clone(),
            source: Box::new(source),
        })
    })?;
    let json: Value =
        serde_json::from_str(&body).map_err(|_| client.bad_response(&url, "no JSON"))?;
    let commit = json["sha"].as_str().filter(|sha| is_commit(sha));
    let commit = commit
        .ok_or_else(|| client.bad_response(&url, "no commit"))?
        .to_owned();
    let siblings = json["siblings"]
        .as_array()
        .ok_or_else(|| client.bad_response(&url, "no list of files"))?;
    let files = siblings
        .iter()
        .filter_map(|file| file["rfilename"].as_str().map(str::to_owned))
        .collect();
    Ok(Listing { commit, files })
}

fn download(
    client: &Client<'_>,
    cache: &ModelCache,
    listing: &Listing,
    progress: &dyn HubProgress,
) -> Result<PathBuf, ModelError> {
    let files: Vec<&str> = listing.files.iter().map(String::as_str).collect();
    if let Some(file) = select::pickle_only(&files) {
        return Err(ModelError::Nn(NnError::PickledWeights {
            folder: client.id.name.clone().into(),
            file: file.to_owned(),
        }));
    }
    for file in select::needed(&files) {
        download::fetch(client, cache, &listing.commit, file, progress)?;
    }
    cache.set_revision(&client.id.revision, &listing.commit)?;
    Ok(cache.snapshot(&listing.commit))
}
