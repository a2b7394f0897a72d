//! Small JSON files, read key by key; what is not understood is an error with file and key.

use std::path::{Path, PathBuf};

use matryo_base::nearest;
use serde_json::{Map, Value};

use crate::ModelError;

/// One JSON object with the file it came from.
pub(crate) struct Object {
    path: PathBuf,
    map: Map<String, Value>,
}

/// Reads any JSON file.
pub(crate) fn read_json(path: &Path) -> Result<Value, ModelError> {
    let bytes = std::fs::read(path).map_err(ModelError::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Whether a key says nothing: absent, `null`, `[]` or `{}`.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

impl Object {
    /// Reads a file that must hold an object.
    pub(crate) fn read(path: &Path) -> Result<Self, ModelError> {
        Self::new(path, read_json(path)?)
    }

    /// As [`Object::read`], `None` if there is no such file.
    pub(crate) fn read_if_present(path: &Path) -> Result<Option<Self>, ModelError> {
        if path.exists() {
            Self::read(path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes a value read from `path` as an object.
    pub(crate) fn new(path: &Path, value: Value) -> Result<Self, ModelError> {
        match value {
            Value::Object(map) => Ok(Self {
                path: path.to_owned(),
                map,
            }),
            other => Err(ModelError::ConfigValue {
                path: path.to_owned(),
                key: "(top level)".into(),
                found: other.to_string(),
                expected: "an object".into(),
            }),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.map)
    }

    /// The value of a key; `null` counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// Whether the key is there, if only as `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// A number that counts something.
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.typed(key, "a whole number of at least 0", |v| {
            v.as_u64().and_then(|n| usize::try_from(n).ok())
        })
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A string.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        self.typed(key, "a string", Value::as_str)
    }

    /// As [`Object::count`], but the key must be there.
    pub(crate) fn required_count(&self, key: &str) -> Result<usize, ModelError> {
        self.count(key)?
            .ok_or_else(|| self.wrong(key, "a whole number"))
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.wrong(key, expected)),
        }
    }

    /// The error that `key` has a value that is not understood.
    pub(crate) fn wrong(&self, key: &str, expected: &str) -> ModelError {
        ModelError::ConfigValue {
            path: self.path.clone(),
            key: key.to_owned(),
            found: self
                .map
                .get(key)
                .map_or_else(|| "missing".to_owned(), Value::to_string),
            expected: expected.to_owned(),
        }
    }

    /// Fails if a key is there that is not among `known`.
    pub(crate) fn deny_unknown(&self, known: &[&str]) -> Result<(), ModelError> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(ModelError::UnknownKey {
                path: self.path.clone(),
                key: key.clone(),
                similar: nearest(key, known.iter().copied()).map(str::to_owned),
            }),
        }
    }

    /// Fails if one of `keys` says something.
    pub(crate) fn deny_set(&self, keys: &[&str], expected: &str) -> Result<(), ModelError> {
        match keys
            .iter()
            .find(|key| self.get(key).is_some_and(|value| !is_empty(value)))
        {
            None => Ok(()),
            Some(key) => Err(self.wrong(key, expected)),
        }
    }
}
