//! JSONL: one object a line; the first line's keys are the columns. Blank lines are skipped.
//!
//! Later lines may have the keys in another order, and must have the same ones. A line may also be a bare string: the
//! file then has one column, `text`.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;

use super::json::Json;
use super::{BARE_COLUMN, Cell, Lines, Visitor};
use crate::columns::Selection;
use crate::error::DataError;
use crate::location::Location;

type Entries<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

pub(super) fn read(lines: &mut Lines<'_>, visitor: &mut dyn Visitor) -> Result<(), DataError> {
    let path = lines.path().to_path_buf();
    let mut keys = None;
    while let Some((place, line)) = lines.next()? {
        if line.trim().is_empty() {
            continue;
        }
        let at = || Location::at(&path, place);
        let entries = entries(parse(line, at)?, at)?;
        let keys = match &mut keys {
            Some(keys) => keys,
            None => keys.insert(Keys::new(visitor, &path, &entries)?),
        };
        keys.check(at, &entries)?;
        visitor.row(place, &keys.cells(&entries))?;
    }
    Ok(())
}

/// A line as JSON; the error says where in the line it is none.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    line: &'a str,
    at: impl Fn() -> Location,
) -> Result<T, DataError> {
    serde_json::from_str(line).map_err(|error| {
        let message = error.to_string();
        let reason = message
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        DataError::Json {
            at: at(),
            column: error.column(),
            reason,
        }
    })
}

fn entries(line: Json<'_>, at: impl Fn() -> Location) -> Result<Entries<'_>, DataError> {
    match line {
        Json::Object(entries) => Ok(entries),
        Json::Text(text) => Ok(vec![(Cow::Borrowed(BARE_COLUMN), Json::Text(text))]),
        other => Err(DataError::NotAnObject {
            at: at(),
            found: other.kind().to_owned(),
        }),
    }
}

/// The keys of the line before, and what is taken of them.
struct Keys {
    last: Vec<String>,
    selection: Selection,
    /// For each column taken, its place among `last`.
    places: Vec<Option<usize>>,
}

impl Keys {
    fn new(visitor: &mut dyn Visitor, path: &Path, first: &Entries<'_>) -> Result<Self, DataError> {
        let found = names(first);
        let selection = visitor.select(&found)?;
        selection.check(&Location::file(path), &found)?;
        let places = places(&selection, &found);
        Ok(Self {
            last: found,
            selection,
            places,
        })
    }

    /// Fails unless the line has the keys it should have. Costs a comparison while the keys stay as they are.
    fn check(&mut self, at: impl Fn() -> Location, entries: &Entries<'_>) -> Result<(), DataError> {
        if entries
            .iter()
            .map(|(key, _)| key.as_ref())
            .eq(self.last.iter().map(String::as_str))
        {
            return Ok(());
        }
        let found = names(entries);
        self.selection.check(&at(), &found)?;
        self.places = places(&self.selection, &found);
        self.last = found;
        Ok(())
    }

    fn cells<'a>(&self, entries: &'a Entries<'_>) -> Vec<Cell<'a>> {
        self.places
            .iter()
            .map(|place| place.map_or(Cell::Missing, |index| cell(&entries[index].1)))
            .collect()
    }
}

fn names(entries: &Entries<'_>) -> Vec<String> {
    entries.iter().map(|(key, _)| key.to_string()).collect()
}

fn places(selection: &Selection, found: &[String]) -> Vec<Option<usize>> {
    selection
        .taken()
        .map(|name| found.iter().position(|other| other == name))
        .collect()
}

fn cell<'a>(value: &'a Json<'_>) -> Cell<'a> {
    match value {
        Json::Text(text) => Cell::Text(text),
        Json::Null => Cell::Null,
        Json::Number(number) => Cell::Number(number.clone()),
        other => Cell::Other(other.kind()),
    }
}
