//! Small JSON files, read key by key; what is not understood is an error with file and key.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use matryo_base::{StandIn, files::FileError, similar::nearest};

use crate::NnError;

/// Largest length that a configuration may state: what it describes has to fit into memory.
const LARGEST: usize = 1 << 31;

/// Most blocks of an encoder. A larger number is a mistake, and would be allocated before any tensor is looked for.
const MOST_BLOCKS: usize = 10_000;

/// One JSON object with the file it came from.
#[derive(Clone, Debug)]
pub struct Object {
    path: PathBuf,
    /// Keys that lead to it in the file, each with a dot behind it.
    within: String,
    map: Map<String, Value>,
}

/// Reads any JSON file.
pub fn read_json(path: &Path) -> Result<Value, NnError> {
    let bytes = std::fs::read(path).map_err(FileError::new("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| {
        let path = path.to_owned();
        match StandIn::of(&bytes) {
            Some(found) => NnError::StandIn { path, found },
            None => NnError::Json { path, source },
        }
    })
}

/// Whether a key says nothing: absent, `null`, `[]` or `{}`.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

impl Object {
    /// Reads a file that must hold an object.
    pub fn read(path: &Path) -> Result<Self, NnError> {
        Self::new(path, read_json(path)?)
    }

    /// As [`Object::read`], `None` if there is no such file.
    pub fn read_if_present(path: &Path) -> Result<Option<Self>, NnError> {
        if path.exists() {
            Self::read(path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes a value read from `path` as an object.
    pub fn new(path: &Path, value: Value) -> Result<Self, NnError> {
        match value {
            Value::Object(map) => Ok(Self {
                path: path.to_owned(),
                within: String::new(),
                map,
            }),
            other => Err(NnError::ConfigValue {
                path: path.to_owned(),
                key: "(top level)".into(),
                found: other.to_string(),
                expected: "an object".into(),
            }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub fn into_value(self) -> Value {
        Value::Object(self.map)
    }

    /// The value of a key; `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// Whether the key is there, if only as `null`.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// A number that counts something.
    pub fn count(&self, key: &str) -> Result<Option<usize>, NnError> {
        self.typed(key, "a whole number of at least 0", |v| {
            v.as_u64().and_then(|n| usize::try_from(n).ok())
        })
    }

    /// A length: a number that counts values in memory.
    pub fn size(&self, key: &str) -> Result<Option<usize>, NnError> {
        match self.count(key)? {
            Some(size) if size > LARGEST => {
                Err(self.wrong(key, &format!("a length of at most {LARGEST}")))
            }
            size => Ok(size),
        }
    }

    /// A length of at least 1, which must be there.
    pub fn positive(&self, key: &str) -> Result<usize, NnError> {
        match self.size(key)? {
            None => Err(self.wrong(key, "a whole number")),
            Some(0) => Err(self.wrong(key, "at least 1")),
            Some(size) => Ok(size),
        }
    }

    /// A number of blocks, which must be there.
    pub fn blocks(&self, key: &str) -> Result<usize, NnError> {
        match self.required_count(key)? {
            blocks if blocks > MOST_BLOCKS => {
                Err(self.wrong(key, &format!("at most {MOST_BLOCKS}")))
            }
            blocks => Ok(blocks),
        }
    }

    /// A token id; `default` without the key, none for `null`.
    pub fn token(&self, key: &str, default: Option<u32>) -> Result<Option<u32>, NnError> {
        if !self.has(key) {
            return Ok(default);
        }
        let id = self.count(key)?;
        id.map(|id| u32::try_from(id).map_err(|_| self.wrong(key, "a token id")))
            .transpose()
    }

    /// A number above 0.
    pub fn above_zero(&self, key: &str) -> Result<Option<f64>, NnError> {
        self.typed(key, "a number above 0", |v| v.as_f64().filter(|v| *v > 0.0))
    }

    /// Whether the key is there and `null`.
    pub fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    /// What is added to a variance: a number above 0, also in single precision.
    pub fn epsilon(&self, key: &str, default: f64) -> Result<f32, NnError> {
        let epsilon = self.typed(key, "a number above 0 in single precision", |v| {
            let value = v.as_f64()? as f32;
            (value > 0.0 && value.is_finite()).then_some(value)
        })?;
        Ok(epsilon.unwrap_or(default as f32))
    }

    /// A dropout rate.
    pub fn rate(&self, key: &str, default: f64) -> Result<f32, NnError> {
        let rate = self.typed(key, "a number of at least 0 and below 1", |v| {
            // Just below 1 it may be 1 in single precision.
            let rate = v.as_f64()? as f32;
            (0.0..1.0).contains(&rate).then_some(rate)
        })?;
        Ok(rate.unwrap_or(default as f32))
    }

    /// An object inside this one.
    pub fn object(&self, key: &str) -> Result<Option<Self>, NnError> {
        let map = self.typed(key, "an object", Value::as_object)?;
        Ok(map.map(|map| Self {
            path: self.path.clone(),
            within: format!("{}{key}.", self.within),
            map: map.clone(),
        }))
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, NnError> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A string.
    pub fn text(&self, key: &str) -> Result<Option<&str>, NnError> {
        self.typed(key, "a string", Value::as_str)
    }

    /// As [`Object::count`], but the key must be there.
    pub fn required_count(&self, key: &str) -> Result<usize, NnError> {
        self.count(key)?
            .ok_or_else(|| self.wrong(key, "a whole number"))
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, NnError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.wrong(key, expected)),
        }
    }

    /// The error that `key` has a value that is not understood.
    pub fn wrong(&self, key: &str, expected: &str) -> NnError {
        NnError::ConfigValue {
            path: self.path.clone(),
            key: format!("{}{key}", self.within),
            found: self
                .map
                .get(key)
                .map_or_else(|| "missing".to_owned(), Value::to_string),
            expected: expected.to_owned(),
        }
    }

    /// Fails if a key is there that is not among `known`.
    pub fn deny_unknown(&self, known: &[&str]) -> Result<(), NnError> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(NnError::UnknownKey {
                path: self.path.clone(),
                key: format!("{}{key}", self.within),
                similar: nearest(key, known.iter().copied()).map(str::to_owned),
            }),
        }
    }

    /// Fails if one of `keys` says something.
    pub fn deny_set(&self, keys: &[&str], expected: &str) -> Result<(), NnError> {
        match keys
            .iter()
            .find(|key| self.get(key).is_some_and(|value| !is_empty(value)))
        {
            None => Ok(()),
            Some(key) => Err(self.wrong(key, expected)),
        }
    }
}
