//! CSV and TSV, whose values are texts that may look like something else, and lines of text.

use std::path::Path;

use serde_json::Value;

use super::{EachRecord, Record};
use crate::columns::Selection;
use crate::error::DataError;
use crate::location::Place;
use crate::reader::{BARE_COLUMN, Cell, Visitor, read as read_rows};

/// Rows of texts; blank lines of a text file are passed over.
pub(super) fn read(path: &Path, each: &mut EachRecord<'_>) -> Result<(), DataError> {
    read_rows(
        path,
        &mut Collecting {
            columns: Vec::new(),
            each,
        },
    )
}

/// Makes numbers and truth values of texts that JSON writes so: `007` and `1e999` stay texts. Empty ones are dropped.
pub(super) fn type_fields(fields: &mut Record) {
    fields.retain(|_, value| value.as_str() != Some(""));
    fields.values_mut().for_each(|value| {
        if let Some(typed) = value
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
        {
            let plain: &Value = &typed;
            if plain.is_number() || plain.is_boolean() {
                *value = typed;
            }
        }
    });
}

struct Collecting<'a, 'b> {
    columns: Vec<String>,
    each: &'a mut EachRecord<'b>,
}

impl Visitor for Collecting<'_, '_> {
    fn select(&mut self, found: &[String]) -> Result<Selection, DataError> {
        self.columns = found.to_vec();
        let names: Vec<&str> = found.iter().map(String::as_str).collect();
        Ok(Selection::among_others(&names, &[]))
    }

    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError> {
        if let (true, [Cell::Text(line)]) = (self.columns == [BARE_COLUMN], cells)
            && line.trim().is_empty()
        {
            return Ok(());
        }
        let value = |cell: &Cell<'_>| match cell {
            Cell::Text(text) => Value::String((*text).to_owned()),
            _ => Value::Null,
        };
        let record: Record = self
            .columns
            .iter()
            .cloned()
            .zip(cells.iter().map(value))
            .collect();
        (self.each)(place, record)
    }
}
