//! Retrieval data from rows of a question and a passage that answers it.

use std::collections::HashMap;
use std::path::Path;

use super::RetrievalData;
use crate::columns::Selection;
use crate::error::DataError;
use crate::location::Place;
use crate::reader::{Cell, Visitor, read};

const QUESTION_NAMES: [&str; 4] = ["anchor", "query", "question", "sentence1"];
const PASSAGE_NAMES: [&str; 6] = [
    "positive",
    "passage",
    "document",
    "context",
    "answer",
    "sentence2",
];

pub(super) fn open(path: &Path) -> Result<RetrievalData, DataError> {
    let mut pairs = Pairs {
        path,
        names: Default::default(),
        questions: Ids::new("q"),
        passages: Ids::new("d"),
        data: RetrievalData::default(),
    };
    read(path, &mut pairs)?;
    if pairs.data.queries.is_empty() {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    Ok(pairs.data)
}

/// The question's and the passage's column.
fn roles(found: &[String]) -> Option<[&String; 2]> {
    let named = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| found.iter().find(|other| other == name))
    };
    let other_than = |taken: &String| found.iter().find(|name| *name != taken);
    match (named(&QUESTION_NAMES), named(&PASSAGE_NAMES)) {
        (Some(question), Some(passage)) => Some([question, passage]),
        (Some(question), None) => Some([question, other_than(question)?]),
        (None, Some(passage)) => Some([other_than(passage)?, passage]),
        (None, None) => Some([found.first()?, found.get(1)?]),
    }
}

/// Ids for texts: equal texts, equal ids.
struct Ids {
    prefix: &'static str,
    known: HashMap<String, String>,
}

impl Ids {
    fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            known: HashMap::new(),
        }
    }

    /// The text's id; a new one is entered in `texts`.
    fn of(&mut self, text: &str, texts: &mut Vec<(String, String)>) -> String {
        if let Some(id) = self.known.get(text) {
            return id.clone();
        }
        let id = format!("{}{}", self.prefix, texts.len());
        texts.push((id.clone(), text.to_owned()));
        self.known.insert(text.to_owned(), id.clone());
        id
    }
}

struct Pairs<'a> {
    path: &'a Path,
    names: [String; 2],
    questions: Ids,
    passages: Ids,
    data: RetrievalData,
}

impl Visitor for Pairs<'_> {
    fn select(&mut self, found: &[String]) -> Result<Selection, DataError> {
        let no_pair = || DataError::NoPair {
            path: self.path.to_path_buf(),
            column: found.join(", "),
        };
        self.names = roles(found).ok_or_else(no_pair)?.map(String::clone);
        Ok(Selection::among_others(
            &[&self.names[0], &self.names[1]],
            &[],
        ))
    }

    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError> {
        let question = cells[0].text(self.path, place, &self.names[0])?;
        let passage = cells[1].text(self.path, place, &self.names[1])?;
        let question = self.questions.of(question, &mut self.data.queries);
        let passage = self.passages.of(passage, &mut self.data.corpus);
        self.data
            .relevant
            .entry(question)
            .or_default()
            .insert(passage);
        Ok(())
    }
}
