//! Ids, texts and fields of documents as columns, each of the type that all its values have.

use std::{collections::BTreeSet, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray,
    builder::{ListBuilder, StringBuilder},
};
use matryo_data::Document;
use serde_json::Value;

use crate::CollectionError;

const ID: &str = "_id";
/// Not `text`, with which a reader joins a field called `title` once more.
const TEXT: &str = "content";
pub(super) const EMBEDDING: &str = "embedding";

/// Names that a field cannot have: those of other columns, and those that readers take for the text.
const TAKEN: [&str; 5] = [ID, TEXT, EMBEDDING, "text", "sentence"];

/// Whether the fields of a document can be columns.
pub(super) fn check(document: &Document) -> Result<(), CollectionError> {
    match TAKEN
        .into_iter()
        .find(|name| document.fields.contains_key(*name))
    {
        Some(field) => Err(CollectionError::TakenColumn {
            id: document.id.clone(),
            field: field.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Names and values, one a document.
pub(super) fn columns(documents: &[Document]) -> Vec<(String, ArrayRef)> {
    let ids = StringArray::from_iter_values(documents.iter().map(|document| &document.id));
    let texts = StringArray::from_iter_values(documents.iter().map(|document| &document.text));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (ID.to_owned(), Arc::new(ids)),
        (TEXT.to_owned(), Arc::new(texts)),
    ];
    let names: BTreeSet<&String> = documents
        .iter()
        .flat_map(|document| document.fields.keys())
        .collect();
    for name in names {
        let values: Vec<Option<&Value>> = documents
            .iter()
            .map(|document| document.fields.get(name))
            .collect();
        columns.push((name.clone(), column(&values)));
    }
    columns
}

fn column(values: &[Option<&Value>]) -> ArrayRef {
    let all = |is: fn(&Value) -> bool| values.iter().flatten().all(|value| is(value));
    let each = || values.iter().copied();
    if all(Value::is_boolean) {
        Arc::new(
            each()
                .map(|value| value?.as_bool())
                .collect::<BooleanArray>(),
        )
    } else if all(Value::is_i64) {
        Arc::new(each().map(|value| value?.as_i64()).collect::<Int64Array>())
    } else if all(Value::is_number) {
        Arc::new(
            each()
                .map(|value| value?.as_f64())
                .collect::<Float64Array>(),
        )
    } else if all(Value::is_string) {
        Arc::new(each().map(|value| value?.as_str()).collect::<StringArray>())
    } else if all(is_list_of_texts) {
        lists(values)
    } else {
        Arc::new(
            each()
                .map(|value| Some(value?.to_string()))
                .collect::<StringArray>(),
        )
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}

fn lists(values: &[Option<&Value>]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in values {
        let items = value.and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .for_each(|item| lists.values().append_option(item.as_str()));
        lists.append(items.is_some());
    }
    Arc::new(lists.finish())
}
