//! The two forms of a file: a zip of a pickle and storages, and the stream that torch wrote before 1.6.

use std::{collections::HashMap, io::Cursor};

use matryo_base::StandIn;
use zip::{CompressionMethod, ZipArchive};

use crate::{PickleError, machine, object::Object};

/// Bytes of each storage, by key.
pub(crate) type Storages<'a> = HashMap<String, &'a [u8]>;

/// What the first pickle of a stream holds: the number 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// What the pickle of the object in a stream comes after: magic number, version, sizes of types.
const PICKLES_BEFORE: usize = 3;

pub(crate) fn open(file: &[u8]) -> Result<(Object, Storages<'_>), PickleError> {
    if file.starts_with(b"PK\x03\x04") {
        return open_zip(file);
    }
    // PROTO and its version, then LONG1 and its length.
    if file.first() == Some(&0x80) && file.get(4..14) == Some(&MAGIC) {
        return open_stream(file);
    }
    Err(match StandIn::of(file) {
        Some(found) => PickleError::StandIn { found },
        None => PickleError::Form { found: guess(file) },
    })
}

/// What a file is that torch has not saved.
fn guess(file: &[u8]) -> &'static str {
    let starts = |start: &[u8]| file.starts_with(start);
    if file.is_empty() {
        "the file is empty"
    } else if file.get(257..262) == Some(b"ustar") {
        "the file is a tar archive, as torch wrote before 0.1.10"
    } else if starts(&[0x80]) {
        "the file is a pickle, but not of torch"
    } else {
        "the file has no form that is known"
    }
}

fn open_zip(file: &[u8]) -> Result<(Object, Storages<'_>), PickleError> {
    let wrong = |what: &dyn ToString| PickleError::Archive(what.to_string());
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(|error| wrong(&error))?;
    let mut entries = HashMap::new();
    let mut root = None;
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|error| wrong(&error))?;
        let name = entry.name().map_err(|error| wrong(&error))?.into_owned();
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(wrong(&format!(
                "`{name}` is compressed or encrypted, which torch never does"
            )));
        }
        let start = entry.data_start();
        let end = start.and_then(|start| start.checked_add(entry.size()));
        let bytes = start.zip(end).and_then(|(start, end)| {
            file.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
        });
        let bytes = bytes.ok_or_else(|| wrong(&format!("`{name}` reaches beyond the file")))?;
        let folder = folder_of(&name).map_err(|error| wrong(&error))?;
        match &root {
            None => root = Some(folder.to_owned()),
            Some(root) if *root == folder => {}
            Some(root) => return Err(wrong(&format!("`{name}` lies beside `{root}`, not in it"))),
        }
        entries.insert(name, bytes);
    }
    let root = root.unwrap_or_default();
    let pickle = entries.get(&format!("{root}/data.pkl"));
    let pickle = *pickle.ok_or_else(|| wrong(&"there is no `data.pkl` in it"))?;
    let order = entries.get(&format!("{root}/byteorder"));
    if order.is_some_and(|order| **order != *b"little") {
        return Err(wrong(&"its numbers are big-endian"));
    }
    let (object, _) = machine::run(pickle)?;
    let data = format!("{root}/data/");
    let storages = entries
        .into_iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix(&data)?.to_owned(), bytes)))
        .collect();
    Ok((object, storages))
}

/// The folder at the top that an entry lies in. torch writes one, and all entries into it.
fn folder_of(name: &str) -> Result<&str, String> {
    let mut parts = name.split('/');
    let folder = parts.next().filter(|_| name.contains('/'));
    let leads_out = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', '\0']);
    match folder {
        Some(folder) if !leads_out(folder) && !parts.any(leads_out) => Ok(folder),
        _ => Err(format!("`{name}` is no name of a file in a folder")),
    }
}

fn open_stream(file: &[u8]) -> Result<(Object, Storages<'_>), PickleError> {
    let mut at = 0;
    let mut next = || -> Result<Object, PickleError> {
        let (object, len) = machine::run(&file[at..])?;
        at += len;
        Ok(object)
    };
    for _ in 0..PICKLES_BEFORE {
        next()?;
    }
    let (object, keys) = (next()?, next()?);
    let keys = keys.texts().ok_or(PickleError::Damaged {
        at,
        what: "no list of storages behind the object",
    })?;
    let types: HashMap<&str, usize> = object
        .storages()
        .map(|(element, key, _)| (key, element.size()))
        .collect();
    let mut storages = HashMap::new();
    for key in keys {
        let short = PickleError::Short { at: file.len() };
        let count = file.get(at..).and_then(|rest| rest.first_chunk::<8>());
        let count = count
            .map(|bytes| u64::from_le_bytes(*bytes))
            .ok_or(short.clone())?;
        at += 8;
        let size = *types.get(key).ok_or(PickleError::Damaged {
            at,
            what: "a storage that no tensor has",
        })?;
        let len = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(size));
        let end = len.and_then(|len| at.checked_add(len));
        let bytes = end.and_then(|end| file.get(at..end)).ok_or(short)?;
        storages.insert(key.to_owned(), bytes);
        at += bytes.len();
    }
    Ok((object, storages))
}
