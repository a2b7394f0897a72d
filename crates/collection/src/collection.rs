//! A collection, opened: its description and what keeps its points.
//!
//! A folder holds `collection.json`, and the engine's files in `points-N`. A new state of them that is not built by adding,
//! such as an optimized one, is made in `points-N+1` and counts from the moment that `collection.json` names it; so a process
//! that ends at any time leaves either the old or the new one.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use matryo_base::{FileError, write_atomic};
use matryo_model::SentenceEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    CollectionError, CreateOptions, Filter, Manifest, ModelIdentity, Place,
    backend::{
        Backend, Condition,
        edge::{Edge, check_room},
        server::Server,
    },
    point::{CHUNK, ID, Point, PointId},
};

const MANIFEST: &str = "collection.json";
const POINTS: &str = "points-";

/// How long to wait for another process that has a folder open.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Points read or deleted at once.
pub(crate) const PAGE: usize = 1024;

/// Documents with their vectors.
pub struct Collection {
    place: Place,
    manifest: Manifest,
    store: Store,
}

enum Store {
    /// The engine, and which of the folder's `points-N` it has open.
    Folder(Box<Edge>, u64),
    Server(Server),
}

/// `collection.json`.
#[derive(Serialize, Deserialize)]
struct Described {
    /// Which `points-N` counts.
    points: u64,
    #[serde(flatten)]
    manifest: Manifest,
}

/// What a collection holds.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its description.
    pub manifest: Manifest,
    /// Documents.
    pub documents: usize,
    /// Chunks of documents, each a point.
    pub points: usize,
    /// Vectors in an index, over all dimensions.
    pub indexed_vectors: usize,
    /// Pieces that the engine keeps apart.
    pub segments: usize,
    /// Bytes on disk; `None` for a server.
    pub bytes: Option<u64>,
}

impl Collection {
    /// Opens a collection. Waits a while for another process that has it open.
    ///
    /// # Errors
    /// [`CollectionError::Missing`] if there is none; a damaged one; one in use; a server that cannot be reached.
    pub fn open(place: &Place) -> Result<Self, CollectionError> {
        Self::find(place)?.ok_or_else(|| CollectionError::Missing {
            place: place.to_string(),
        })
    }

    /// Opens a collection, or makes one for the vectors of `model`, which the user calls `name`.
    ///
    /// # Errors
    /// As [`Collection::open`]; a collection made with another model or other settings than `options`.
    pub fn open_or_create(
        place: &Place,
        model: &SentenceEncoder,
        name: &str,
        options: &CreateOptions,
    ) -> Result<Self, CollectionError> {
        if let Some(there) = Self::find(place)? {
            there.manifest.model.check(model)?;
            there.manifest.check_settings(options)?;
            return Ok(there);
        }
        Self::create(
            place,
            Manifest::new(ModelIdentity::of(model, name)?, options)?,
        )
    }

    pub(crate) fn create(place: &Place, manifest: Manifest) -> Result<Self, CollectionError> {
        let store = match place {
            Place::Folder(folder) => {
                let points = folder.join(format!("{POINTS}1"));
                remove(&points)?;
                let edge = Edge::create(&points, &manifest)?;
                describe(folder, &manifest, 1)?;
                Store::Folder(Box::new(edge), 1)
            }
            Place::Server {
                url,
                name,
                key,
                spread,
            } => {
                let server = Server::new(url, name, key.clone());
                server.create(&manifest, *spread)?;
                Store::Server(server)
            }
        };
        Ok(Self {
            place: place.clone(),
            manifest,
            store,
        })
    }

    pub(crate) fn find(place: &Place) -> Result<Option<Self>, CollectionError> {
        let found = match place {
            Place::Folder(folder) => open_folder(folder)?,
            Place::Server { url, name, key, .. } => {
                let server = Server::new(url, name, key.clone());
                server
                    .manifest()?
                    .map(|manifest| (manifest, Store::Server(server)))
            }
        };
        Ok(found.map(|(manifest, store)| Self {
            place: place.clone(),
            manifest,
            store,
        }))
    }

    /// Its description.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        match &self.store {
            Store::Folder(edge, _) => edge.as_ref(),
            Store::Server(server) => server,
        }
    }

    /// What it holds. Reads the ids of all documents that were cut into several chunks.
    pub fn info(&self) -> Result<Info, CollectionError> {
        let Condition {
            points,
            indexed,
            segments,
        } = self.backend().condition()?;
        let first_chunks = json!({ "must": [{ "key": CHUNK, "match": { "value": 0 } }] });
        let documents = match self.manifest.chunking {
            None => points,
            Some(_) => self.backend().count(Some(&first_chunks))?,
        };
        let bytes = match &self.place {
            Place::Folder(folder) => Some(size(folder).map_err(FileError::new("read", folder))?),
            Place::Server { .. } => None,
        };
        Ok(Info {
            manifest: self.manifest.clone(),
            documents,
            points,
            indexed_vectors: indexed,
            segments,
            bytes,
        })
    }

    /// Deletes documents by their ids; all or, if one is not there, none. Returns how many.
    ///
    /// # Errors
    /// [`CollectionError::UnknownDocuments`].
    pub fn delete(&self, ids: &[String]) -> Result<usize, CollectionError> {
        let mut points = Vec::new();
        let mut unknown = Vec::new();
        for ids in ids.chunks(PAGE) {
            let stored = self.stored(ids)?;
            unknown.extend(
                ids.iter()
                    .filter(|id| !stored.iter().any(|point| point.document() == *id))
                    .cloned(),
            );
            points.extend(stored.iter().map(|point| point.id));
        }
        if !unknown.is_empty() {
            return Err(CollectionError::UnknownDocuments {
                ids: unknown,
                of: ids.len(),
            });
        }
        self.delete_points(&points)?;
        Ok(ids.len())
    }

    /// Deletes the documents that a filter matches. Returns how many chunks that were.
    pub fn delete_where(&self, filter: &Filter) -> Result<usize, CollectionError> {
        let filter = filter.to_json();
        let mut ids: Vec<PointId> = Vec::new();
        self.each_page(Some(&filter), false, |points| {
            ids.extend(points.iter().map(|point| point.id));
            Ok(())
        })?;
        self.delete_points(&ids)?;
        Ok(ids.len())
    }

    pub(crate) fn delete_points(&self, ids: &[PointId]) -> Result<(), CollectionError> {
        ids.chunks(PAGE)
            .try_for_each(|ids| self.backend().delete(ids))
    }

    /// Every stored chunk of these documents.
    pub(crate) fn stored(&self, documents: &[String]) -> Result<Vec<Point>, CollectionError> {
        let filter = json!({ "must": [{ "key": ID, "match": { "any": documents } }] });
        let mut found = Vec::new();
        self.each_page(Some(&filter), false, |points| {
            found.extend(points);
            Ok(())
        })?;
        Ok(found)
    }

    /// Hands all points that match to `each`, a page at a time.
    pub(crate) fn each_page(
        &self,
        filter: Option<&Value>,
        with_vectors: bool,
        mut each: impl FnMut(Vec<Point>) -> Result<(), CollectionError>,
    ) -> Result<(), CollectionError> {
        let mut from = None;
        loop {
            let (points, next) = self.backend().scroll(filter, from, PAGE, with_vectors)?;
            each(points)?;
            from = match next {
                Some(next) => Some(next),
                None => return Ok(()),
            };
        }
    }

    /// Merges what was added in pieces, drops what was deleted, and builds the index; on a server, which does so by itself,
    /// nothing. Takes up to twice the collection's disk besides while it works.
    pub fn optimize(&mut self) -> Result<(), CollectionError> {
        let (Place::Folder(folder), Store::Folder(edge, current)) = (&self.place, &mut self.store)
        else {
            return Ok(());
        };
        let (old, new) = (points_of(folder, *current), points_of(folder, *current + 1));
        remove(&new)?;
        let bytes = size(&old).map_err(FileError::new("read", &old))?;
        // The copy, and the new segments beside those that they replace.
        check_room(folder, 2 * bytes)?;
        copy(&old, &new).map_err(FileError::new("copy", &old))?;
        let optimized = Edge::open(&new)?;
        optimized.optimize()?;
        describe(folder, &self.manifest, *current + 1)?;
        **edge = optimized;
        *current += 1;
        remove(&old)
    }
}

fn open_folder(folder: &Path) -> Result<Option<(Manifest, Store)>, CollectionError> {
    let started = Instant::now();
    loop {
        let Some(Described { points, manifest }) = read_description(folder)? else {
            return Ok(None);
        };
        match Edge::open(&points_of(folder, points)) {
            Ok(edge) => {
                remove_others(folder, points)?;
                return Ok(Some((manifest, Store::Folder(Box::new(edge), points))));
            }
            // By the next try the other process may have put another state in place.
            Err(CollectionError::InUse { .. }) if started.elapsed() < PATIENCE => {
                thread::sleep(BETWEEN_TRIES)
            }
            Err(CollectionError::InUse { .. }) => {
                return Err(CollectionError::InUse {
                    path: folder.to_owned(),
                });
            }
            Err(error) => return Err(error),
        }
    }
}

/// The description; `None` if there is nothing at all, or only what an interrupted creation left.
fn read_description(folder: &Path) -> Result<Option<Described>, CollectionError> {
    let path = folder.join(MANIFEST);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let place = || path.display().to_string();
            let manifest = Manifest::read(&text, place)?;
            let described = serde_json::from_str::<Described>(&text);
            let points = described
                .map_err(|source| CollectionError::Manifest {
                    place: place(),
                    source,
                })?
                .points;
            Ok(Some(Described { points, manifest }))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let ours =
                |name: &str| name.starts_with(POINTS) || name.starts_with(&format!(".{MANIFEST}"));
            if names(folder)?.iter().all(|name| ours(name)) {
                return Ok(None);
            }
            Err(CollectionError::NotACollection {
                path: folder.to_owned(),
            })
        }
        Err(error) => Err(FileError::new("read", &path)(error).into()),
    }
}

fn describe(folder: &Path, manifest: &Manifest, points: u64) -> Result<(), CollectionError> {
    let described = Described {
        points,
        manifest: manifest.clone(),
    };
    let json = serde_json::to_string_pretty(&described).expect("a description is plain data");
    write_atomic(&folder.join(MANIFEST), |out| {
        std::io::Write::write_all(out, json.as_bytes())
    })?;
    Ok(())
}

fn points_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{POINTS}{number}"))
}

/// Removes what an interrupted change left. The caller has the points that count open, so nobody else is changing them.
fn remove_others(folder: &Path, current: u64) -> Result<(), CollectionError> {
    let kept = format!("{POINTS}{current}");
    let others = names(folder)?
        .into_iter()
        .filter(|name| name.starts_with(POINTS) && *name != kept);
    others
        .map(|name| folder.join(name))
        .try_for_each(|path| remove(&path))
}

fn remove(folder: &Path) -> Result<(), CollectionError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::new("remove", folder)(error).into())
        }
        _ => Ok(()),
    }
}

/// Names in a folder; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>, CollectionError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(FileError::new("read", folder)(error).into()),
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn size(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            blocks(&entry.metadata()?)
        };
    }
    Ok(bytes)
}

/// What a file really takes: the engine's files have holes.
fn blocks(metadata: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::blocks(metadata) * 512;
    #[cfg(not(unix))]
    return metadata.len();
}
