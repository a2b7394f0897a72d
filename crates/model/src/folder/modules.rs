//! modules.json: which modules a model is made of, in both spellings of their types.

use std::path::Path;

use serde_json::Value;

use super::json::{Object, read_json};
use crate::ModelError;

/// A kind of module that matryo has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Transformer,
    Pooling,
    Dense,
    Normalize,
}

/// One entry of modules.json.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Folder of the module, relative to the model's; empty for the model's own folder.
    pub(crate) path: String,
}

/// Every type string that sentence-transformers has written: `models.X` up to 5.3, the long forms from 5.4 on.
/// Classes were moved between `base` and `sentence_transformer` from version to version, and both places load.
const TYPES: &[(&str, Kind)] = &[
    (
        "sentence_transformers.models.Transformer",
        Kind::Transformer,
    ),
    (
        "sentence_transformers.models.Transformer.Transformer",
        Kind::Transformer,
    ),
    (
        "sentence_transformers.base.modules.Transformer",
        Kind::Transformer,
    ),
    (
        "sentence_transformers.base.modules.transformer.Transformer",
        Kind::Transformer,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.Transformer",
        Kind::Transformer,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.transformer.Transformer",
        Kind::Transformer,
    ),
    ("sentence_transformers.models.Pooling", Kind::Pooling),
    (
        "sentence_transformers.models.Pooling.Pooling",
        Kind::Pooling,
    ),
    (
        "sentence_transformers.base.modules.pooling.Pooling",
        Kind::Pooling,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.Pooling",
        Kind::Pooling,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        Kind::Pooling,
    ),
    ("sentence_transformers.models.Dense", Kind::Dense),
    ("sentence_transformers.models.Dense.Dense", Kind::Dense),
    ("sentence_transformers.base.modules.Dense", Kind::Dense),
    (
        "sentence_transformers.base.modules.dense.Dense",
        Kind::Dense,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.Dense",
        Kind::Dense,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.dense.Dense",
        Kind::Dense,
    ),
    ("sentence_transformers.models.Normalize", Kind::Normalize),
    (
        "sentence_transformers.models.Normalize.Normalize",
        Kind::Normalize,
    ),
    (
        "sentence_transformers.base.modules.normalize.Normalize",
        Kind::Normalize,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.Normalize",
        Kind::Normalize,
    ),
    (
        "sentence_transformers.sentence_transformer.modules.normalize.Normalize",
        Kind::Normalize,
    ),
];

/// The modules of a model, `None` if the folder has no modules.json.
pub(crate) fn read(folder: &Path) -> Result<Option<Vec<Entry>>, ModelError> {
    let path = folder.join("modules.json");
    if !path.exists() {
        return Ok(None);
    }
    let Value::Array(items) = read_json(&path)? else {
        return Err(ModelError::ConfigValue {
            path,
            key: "(top level)".into(),
            found: "no list".into(),
            expected: "a list of modules".into(),
        });
    };
    let entries = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| entry(&path, index, item));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    check_order(&path, &entries)?;
    Ok(Some(entries))
}

fn entry(path: &Path, index: usize, item: Value) -> Result<Entry, ModelError> {
    let object = Object::new(path, item)?;
    object.deny_unknown(&["idx", "name", "path", "type", "kwargs"])?;
    object.deny_set(&["kwargs"], "no extra arguments")?;
    let class = object
        .text("type")?
        .ok_or_else(|| object.wrong("type", "the class of the module"))?;
    let Some((_, kind)) = TYPES.iter().find(|(name, _)| *name == class) else {
        return Err(ModelError::UnknownModule {
            path: path.to_owned(),
            index,
            found: class.to_owned(),
        });
    };
    let folder = object.text("path")?.unwrap_or_default();
    if Path::new(folder).is_absolute() || folder.split(['/', '\\']).any(|part| part == "..") {
        return Err(object.wrong("path", "a folder inside the model's folder"));
    }
    Ok(Entry {
        kind: *kind,
        path: folder.to_owned(),
    })
}

/// Transformer, Pooling, then any number of Dense and Normalize.
fn check_order(path: &Path, entries: &[Entry]) -> Result<(), ModelError> {
    let expected = |index| match index {
        0 => (&[Kind::Transformer][..], "Transformer"),
        1 => (&[Kind::Pooling][..], "Pooling"),
        _ => (&[Kind::Dense, Kind::Normalize][..], "Dense or Normalize"),
    };
    for index in 0..entries.len().max(2) {
        let (kinds, words) = expected(index);
        let found = entries.get(index).map(|e| e.kind);
        if !found.is_some_and(|kind| kinds.contains(&kind)) {
            let found = found.map_or_else(|| "missing".to_owned(), |kind| format!("{kind:?}"));
            return Err(ModelError::ModuleOrder {
                path: path.to_owned(),
                index,
                found,
                expected: words,
            });
        }
    }
    Ok(())
}
