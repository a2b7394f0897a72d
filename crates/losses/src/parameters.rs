//! Reads a loss's parameters from JSON; whatever is not understood is an error that names it.

use matryo_base::nearest;
use serde_json::{Map, Value};

use crate::LossError;

/// The parameters given for one loss; a `null` counts as not given.
pub(crate) struct Parameters<'a> {
    loss: &'static str,
    given: Option<&'a Map<String, Value>>,
}

impl<'a> Parameters<'a> {
    /// Takes `value` (a table, or `null` for none) and refuses keys that are not among `keys`.
    pub(crate) fn read(
        loss: &'static str,
        value: &'a Value,
        keys: &[&'static str],
    ) -> Result<Self, LossError> {
        let given = match value {
            Value::Null => None,
            Value::Object(map) => Some(map),
            other => return Err(wrong(loss, "parameters", other, "a table")),
        };
        let unknown = given.and_then(|map| map.keys().find(|key| !keys.contains(&key.as_str())));
        match unknown {
            Some(key) => Err(LossError::UnknownKey {
                loss,
                key: key.clone(),
                similar: nearest(key, keys.iter().copied()),
            }),
            None => Ok(Self { loss, given }),
        }
    }

    /// The value of `key`, as `convert` sees it; `None` when it is not given.
    pub(crate) fn get<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, LossError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        convert(value)
            .map(Some)
            .ok_or_else(|| wrong(self.loss, key, value, expected))
    }

    /// [`Parameters::get`] of a parameter that must be there.
    pub(crate) fn require<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, LossError> {
        self.get(key, expected, convert)?
            .ok_or(LossError::MissingKey {
                loss: self.loss,
                key,
                expected,
            })
    }

    /// Refuses any value of `key` but `only`.
    pub(crate) fn only(&self, key: &'static str, only: &Value) -> Result<(), LossError> {
        match self.value(key) {
            Some(found) if found != only => Err(LossError::NotSupported {
                loss: self.loss,
                key,
                found: found.to_string(),
                supported: only.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.given?.get(key).filter(|value| !value.is_null())
    }
}

fn wrong(
    loss: &'static str,
    key: &'static str,
    found: &Value,
    expected: &'static str,
) -> LossError {
    LossError::WrongValue {
        loss,
        key,
        found: found.to_string(),
        expected,
    }
}
