//! Retrieval data from a folder laid out as the BEIR benchmark's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::RetrievalData;
use crate::columns::Selection;
use crate::error::DataError;
use crate::location::{Location, Place};
use crate::reader::{Cell, Lines, Source, Visitor, read};

type Texts = Vec<(String, String)>;

pub(super) fn open(folder: &Path) -> Result<RetrievalData, DataError> {
    let corpus_file = find(folder, "corpus.jsonl")?;
    let queries_file = find(folder, "queries.jsonl")?;
    let judgements = find_judgements(folder)?;
    let queries = texts(&queries_file)?;
    let corpus = texts(&corpus_file)?;
    let relevant = relevant(&judgements, &queries, &corpus)?;
    Ok(RetrievalData {
        queries,
        corpus,
        relevant,
    })
}

fn find(folder: &Path, file: &'static str) -> Result<PathBuf, DataError> {
    let candidates = ["", ".gz", ".zst"].map(|ending| folder.join(format!("{file}{ending}")));
    let missing = || DataError::MissingFile {
        folder: folder.to_path_buf(),
        file,
    };
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(missing)
}

fn find_judgements(folder: &Path) -> Result<PathBuf, DataError> {
    let named = ["qrels.tsv", "qrels/test.tsv"].map(|file| folder.join(file));
    if let Some(path) = named.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let mut found = tsv_files(&folder.join("qrels"));
    match found.len() {
        0 => Err(DataError::MissingFile {
            folder: folder.to_path_buf(),
            file: "qrels.tsv",
        }),
        1 => Ok(found.remove(0)),
        _ => {
            let name = |path: &PathBuf| {
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            };
            let found = found.iter().map(name).collect();
            Err(DataError::AmbiguousQrels {
                folder: folder.join("qrels"),
                found,
            })
        }
    }
}

fn tsv_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|it| it == "tsv"))
        .collect();
    files.sort();
    files
}

/// (id, text) of each row, in the file's order.
fn texts(path: &Path) -> Result<Texts, DataError> {
    let mut reading = Reading {
        path,
        texts: Vec::new(),
        places: HashMap::new(),
    };
    read(path, &mut reading)?;
    if reading.texts.is_empty() {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    Ok(reading.texts)
}

struct Reading<'a> {
    path: &'a Path,
    texts: Texts,
    places: HashMap<String, Place>,
}

impl Visitor for Reading<'_> {
    fn select(&mut self, _: &[String]) -> Result<Selection, DataError> {
        Ok(Selection::among_others(&["_id", "text"], &["title"]))
    }

    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError> {
        let id = cells[0].text(self.path, place, "_id")?;
        let text = cells[1].text(self.path, place, "text")?;
        let text = match &cells[2] {
            Cell::Missing | Cell::Null => text.to_owned(),
            title => format!("{} {text}", title.text(self.path, place, "title")?)
                .trim()
                .to_owned(),
        };
        if let Some(first) = self.places.insert(id.to_owned(), place) {
            return Err(DataError::DuplicateId {
                at: Location::at(self.path, place),
                id: id.to_owned(),
                first,
            });
        }
        self.texts.push((id.to_owned(), text));
        Ok(())
    }
}

fn relevant(
    path: &Path,
    queries: &Texts,
    corpus: &Texts,
) -> Result<BTreeMap<String, BTreeSet<String>>, DataError> {
    let known = [("query", ids(queries)), ("document", ids(corpus))];
    let mut lines = Lines::new(Source::open(path, None)?);
    let mut relevant: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some((place, line)) = lines.next()? {
        let at = || Location::at(path, place);
        let Some([query, document, score]) = fields(line, at)? else {
            continue;
        };
        let Some(score) = number(score, place, at)? else {
            continue;
        };
        for ((kind, known), id) in known.iter().zip([query, document]) {
            if !known.contains(id) {
                return Err(DataError::UnknownId {
                    at: at(),
                    kind,
                    id: id.to_owned(),
                });
            }
        }
        if score > 0.0 {
            relevant
                .entry(query.to_owned())
                .or_default()
                .insert(document.to_owned());
        }
    }
    Ok(relevant)
}

fn ids(texts: &Texts) -> HashSet<&str> {
    texts.iter().map(|(id, _)| id.as_str()).collect()
}

/// The three fields of a judgement, or `None` for a blank line.
fn fields(line: &str, at: impl Fn() -> Location) -> Result<Option<[&str; 3]>, DataError> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let fields: Vec<&str> = line.split('\t').collect();
    let found = fields.len();
    fields
        .try_into()
        .map(Some)
        .map_err(|_| DataError::RaggedRow {
            at: at(),
            found,
            expected: 3,
        })
}

/// The score, or `None` for the header: a first line whose score is not a number.
fn number(score: &str, place: Place, at: impl Fn() -> Location) -> Result<Option<f64>, DataError> {
    match score.trim().parse() {
        Ok(score) => Ok(Some(score)),
        Err(_) if place == Place::Line(1) => Ok(None),
        Err(_) => Err(DataError::BadScore {
            at: at(),
            found: score.to_owned(),
        }),
    }
}
