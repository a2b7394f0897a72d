//! Where settings come from: the file, the flags over it, the defaults under it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use matryo_base::FileError;
use serde_json::{Map, Value};

use super::{
    TrainConfig, elsewhere,
    keys::{KEYS, KeyInfo},
};
use crate::TrainError;

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file, at this line.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// On the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "in {}, line {line}", path.display()),
            Self::Flag => f.write_str("on the command line"),
        }
    }
}

/// A value as it was given.
pub(super) struct Setting {
    pub value: Value,
    pub origin: Origin,
}

/// All values as they were given, by key.
#[derive(Default)]
pub(super) struct Given {
    settings: BTreeMap<String, Setting>,
}

/// The name that a key goes by today.
fn current_name(key: &str) -> &str {
    match key {
        // transformers before 4.41.
        "evaluation_strategy" => "eval_strategy",
        _ => key,
    }
}

fn key_info(name: &str) -> Option<&'static KeyInfo> {
    KEYS.iter().find(|key| key.name == name)
}

impl Given {
    pub(super) fn read_file(&mut self, path: &Path) -> Result<(), TrainError> {
        let bytes = std::fs::read(path).map_err(FileError::new("read", path))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = line_of_bytes(error.as_bytes(), error.utf8_error().valid_up_to());
            TrainError::ConfigEncoding {
                path: path.to_owned(),
                line,
            }
        })?;
        let syntax = |source: toml::de::Error| {
            let line = source
                .span()
                .map_or(1, |span| line_of_bytes(text.as_bytes(), span.start));
            TrainError::ConfigSyntax {
                path: path.to_owned(),
                line,
                source: Box::new(source),
            }
        };
        let spans = toml::de::DeTable::parse(&text).map_err(syntax)?;
        let values: toml::Table = toml::from_str(&text).map_err(syntax)?;
        for key in spans.get_ref().keys() {
            let line = line_of_bytes(text.as_bytes(), key.span().start);
            let name: &str = key.get_ref();
            let value = serde_json::to_value(&values[name]).expect("TOML is JSON with dates");
            self.set(
                name,
                value,
                Origin::File {
                    path: path.to_owned(),
                    line,
                },
            );
        }
        Ok(())
    }

    pub(super) fn lay_over(&mut self, flags: &[(String, String)]) -> Result<(), TrainError> {
        for (key, text) in flags {
            let name = current_name(key);
            let value = match key_info(name) {
                _ if text == "None" => Value::from("None"),
                Some(info) => info
                    .kind
                    .read(text)
                    .ok_or_else(|| wrong(info, text.clone(), Origin::Flag))?,
                None => elsewhere::read(text),
            };
            self.set(name, value, Origin::Flag);
        }
        Ok(())
    }

    /// A later value replaces an earlier one; Python's `None` takes it back to the default.
    fn set(&mut self, key: &str, value: Value, origin: Origin) {
        let key = current_name(key);
        if value == "None" && (key_info(key).is_some() || elsewhere::is_elsewhere(key)) {
            self.settings.remove(key);
        } else {
            self.settings
                .insert(key.to_owned(), Setting { value, origin });
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Setting> {
        self.settings.remove(key)
    }

    /// Checks every value by itself and fills in the defaults.
    pub(super) fn into_config(mut self) -> Result<TrainConfig, TrainError> {
        let mut values = Map::new();
        for info in KEYS {
            values.insert(info.name.to_owned(), self.checked(info)?);
        }
        if let Some((key, setting)) = self.settings.pop_first() {
            let similar = nearest(&key);
            return Err(TrainError::UnknownKey {
                key,
                similar,
                origin: setting.origin,
            });
        }
        Ok(serde_json::from_value(Value::Object(values))
            .expect("every value was checked against its kind"))
    }

    fn checked(&mut self, info: &'static KeyInfo) -> Result<Value, TrainError> {
        match self.take(info.name) {
            Some(setting) => {
                let found = setting.value.to_string();
                info.kind
                    .accept(setting.value)
                    .ok_or_else(|| wrong(info, found, setting.origin))
            }
            // An unknown key may be the missing one, misspelt: that error says more.
            None if info.required && !self.has_unknown() => {
                Err(TrainError::MissingKey { key: info.name })
            }
            None => Ok(if info.required {
                Value::from("")
            } else {
                info.default_value()
            }),
        }
    }

    fn has_unknown(&self) -> bool {
        self.settings.keys().any(|key| key_info(key).is_none())
    }
}

fn wrong(info: &'static KeyInfo, found: String, origin: Origin) -> TrainError {
    TrainError::ConfigValue {
        key: info.name,
        found,
        expected: info.kind.expected(),
        origin,
    }
}

/// The known key that a misspelt one most likely means.
fn nearest(key: &str) -> Option<String> {
    let key = key.replace('-', "_");
    let names = KEYS.iter().map(|info| info.name);
    matryo_base::nearest(&key, names).map(str::to_owned)
}

/// The line, from 1, that holds byte `at`.
fn line_of_bytes(text: &[u8], at: usize) -> usize {
    1 + text[..at.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}
