//! Which columns of a row are the id, the text and the fields of a document.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Document, DocumentColumns, Record, digest_of};
use crate::error::DataError;
use crate::location::Location;

const ID_COLUMNS: [&str; 2] = ["_id", "id"];
const TITLE_COLUMN: &str = "title";
const TEXT_COLUMNS: [&str; 4] = ["text", "sentence", "content", "body"];

/// The columns chosen, from what was asked for and what the first row has.
#[derive(Debug)]
pub(super) struct Chosen {
    id: Option<String>,
    text: Vec<String>,
    /// Of `text`, a column that rows may lack.
    optional: Option<String>,
    fields: Option<Vec<String>>,
    embedding: Option<String>,
}

impl Chosen {
    pub(super) fn new(
        asked: &DocumentColumns,
        first: &Record,
        at: &Location,
    ) -> Result<Self, DataError> {
        let id = asked.id.clone().or_else(|| first_of(&ID_COLUMNS, first));
        let named = asked
            .id
            .iter()
            .chain(&asked.text)
            .chain(asked.fields.iter().flatten())
            .chain(&asked.embedding);
        named
            .map(|column| required(column, first, at))
            .collect::<Result<Vec<_>, _>>()?;
        let by_default = asked.text.is_empty();
        let text = if by_default {
            default_text(first, id.as_deref(), at)?
        } else {
            asked.text.clone()
        };
        let optional = (by_default && text.len() > 1).then(|| TITLE_COLUMN.to_owned());
        Ok(Self {
            id,
            text,
            optional,
            fields: asked.fields.clone(),
            embedding: asked.embedding.clone(),
        })
    }

    pub(super) fn document(
        &self,
        mut record: Record,
        at: &Location,
    ) -> Result<Document, DataError> {
        let text = self.text_of(&record, at)?;
        let id = match &self.id {
            Some(column) => identifier(required(column, &record, at)?, column, at)?,
            None => digest_of(&text),
        };
        let embedding = self
            .embedding
            .as_ref()
            .map(|column| embedding(&mut record, column, at))
            .transpose()?;
        // A title is worth having beside the text that it was joined to.
        let spent = |name: &String| {
            self.text.contains(name) && name != TITLE_COLUMN || self.id.as_ref() == Some(name)
        };
        let wanted = |name: &String| {
            self.fields
                .as_ref()
                .is_none_or(|fields| fields.contains(name))
        };
        record.retain(|name, value| wanted(name) && !spent(name) && !value.is_null());
        Ok(Document {
            id,
            text,
            fields: record,
            embedding,
        })
    }

    fn text_of(&self, record: &Map<String, Value>, at: &Location) -> Result<String, DataError> {
        let mut parts = Vec::with_capacity(self.text.len());
        for column in &self.text {
            if self.optional.as_ref() == Some(column)
                && record.get(column).is_none_or(Value::is_null)
            {
                continue;
            }
            parts.push(text(required(column, record, at)?, column, at)?);
        }
        Ok(if parts.len() == 1 {
            parts[0].to_owned()
        } else {
            parts.join(" ").trim().to_owned()
        })
    }
}

/// The text columns of a row that nothing was said about.
fn default_text(first: &Record, id: Option<&str>, at: &Location) -> Result<Vec<String>, DataError> {
    if let Some(text) = first_of(&TEXT_COLUMNS, first) {
        let title = first.contains_key(TITLE_COLUMN) && text == TEXT_COLUMNS[0];
        return Ok(if title {
            vec![TITLE_COLUMN.to_owned(), text]
        } else {
            vec![text]
        });
    }
    let texts: Vec<_> = first
        .iter()
        .filter(|(name, value)| value.is_string() && Some(name.as_str()) != id)
        .collect();
    match texts.as_slice() {
        [(only, _)] => Ok(vec![(*only).clone()]),
        _ => Err(DataError::AmbiguousColumn {
            path: at.path.clone(),
            found: names(first),
        }),
    }
}

fn first_of(candidates: &[&str], record: &Record) -> Option<String> {
    candidates
        .iter()
        .find(|name| record.contains_key(**name))
        .map(|&name| name.to_owned())
}

fn required<'a>(column: &str, record: &'a Record, at: &Location) -> Result<&'a Value, DataError> {
    let missing = || DataError::MissingColumn {
        at: at.clone(),
        column: column.to_owned(),
        found: names(record),
    };
    record.get(column).ok_or_else(missing)
}

fn names(record: &Record) -> Vec<String> {
    record.keys().cloned().collect()
}

fn text<'a>(value: &'a Value, column: &str, at: &Location) -> Result<&'a str, DataError> {
    value.as_str().ok_or_else(|| not_text(value, column, at))
}

/// A text or a whole number.
fn identifier(value: &Value, column: &str, at: &Location) -> Result<String, DataError> {
    match value {
        Value::String(id) if id.is_empty() => Err(DataError::EmptyId {
            at: at.clone(),
            column: column.to_owned(),
        }),
        Value::String(id) => Ok(id.clone()),
        Value::Number(id) if !id.is_f64() => Ok(id.to_string()),
        other => Err(not_text(other, column, at)),
    }
}

/// Takes the embedding out of a row.
fn embedding(record: &mut Record, column: &str, at: &Location) -> Result<Vec<f32>, DataError> {
    required(column, record, at)?;
    let value = record.shift_remove(column).unwrap_or_default();
    let read = match &value {
        Value::Null => {
            return Err(DataError::Null {
                at: at.clone(),
                column: column.to_owned(),
            });
        }
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Vec::<f32>::deserialize(other).ok(),
    };
    let sound =
        |values: &Vec<f32>| !values.is_empty() && values.iter().all(|value| value.is_finite());
    read.filter(sound).ok_or_else(|| {
        let found = if value.is_array() {
            "another list".to_owned()
        } else {
            kind(&value).to_owned()
        };
        DataError::NotAnEmbedding {
            at: at.clone(),
            column: column.to_owned(),
            found,
        }
    })
}

fn not_text(value: &Value, column: &str, at: &Location) -> DataError {
    match value {
        Value::Null => DataError::Null {
            at: at.clone(),
            column: column.to_owned(),
        },
        other => DataError::WrongType {
            at: at.clone(),
            column: column.to_owned(),
            found: kind(other).to_owned(),
        },
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::String(_) => "a text",
    }
}
