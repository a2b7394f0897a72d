//! JSONL: an object a line, or a bare string, which is a text.

use std::path::Path;

use serde_json::Value;

use super::{EachRecord, Record};
use crate::error::DataError;
use crate::location::Location;
use crate::reader::{BARE_COLUMN, Codec, Lines, Source, parse_line};

pub(super) fn read(
    path: &Path,
    codec: Option<Codec>,
    each: &mut EachRecord<'_>,
) -> Result<(), DataError> {
    let mut lines = Lines::new(Source::open(path, codec)?);
    while let Some((place, line)) = lines.next()? {
        if line.trim().is_empty() {
            continue;
        }
        let at = || Location::at(path, place);
        each(place, record(parse_line(line, at)?, at)?)?;
    }
    Ok(())
}

fn record(line: Value, at: impl Fn() -> Location) -> Result<Record, DataError> {
    let found = match line {
        Value::Object(record) => return Ok(record),
        text @ Value::String(_) => return Ok(Record::from_iter([(BARE_COLUMN.to_owned(), text)])),
        Value::Array(_) => "a list",
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
    };
    Err(DataError::NotAnObject {
        at: at(),
        found: found.to_owned(),
    })
}
