//! Types and ranges of settings: one check for values of a file, one reading for values of flags.

use serde_json::Value;

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from this one on.
    Integer(i64),
    /// A number, both ends included.
    Number(f64, f64),
    /// A number above the first and below or at the second.
    Above(f64, f64),
    /// A number of steps: whole, or below 1 a share of all.
    Steps,
    /// A list of texts; one alone needs no brackets.
    Texts,
    /// A list of whole numbers above 0.
    Sizes,
    /// A list of numbers above 0.
    Weights,
    /// A table of texts, or one text.
    Prompts,
    /// A table of texts.
    Table,
    /// A table of numbers from 0 on.
    Rates,
    /// A whole number from 0 on, or this word.
    CountOr(&'static str),
    /// `true`, `false` or a path.
    FlagOrPath,
}

impl Kind {
    /// What the setting should be, in words.
    pub fn expected(self) -> String {
        match self {
            Self::Flag => "true or false".into(),
            Self::Text => "a text".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Integer(min) => format!("a whole number of at least {min}"),
            Self::Number(min, f64::INFINITY) => format!("a number of at least {min}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::Above(min, f64::INFINITY) => format!("a number above {min}"),
            Self::Above(min, max) => format!("a number above {min} and at most {max}"),
            Self::Steps => "a whole number above 0, or a share of all steps below 1".into(),
            Self::Texts => "a list of texts".into(),
            Self::Sizes => "a list of whole numbers above 0".into(),
            Self::Weights => "a list of numbers above 0".into(),
            Self::Prompts => "a text, or a table of column = text".into(),
            Self::Table => "a table of column = route".into(),
            Self::Rates => "a table of \"pattern\" = learning rate, each at least 0".into(),
            Self::CountOr(word) => format!("a whole number of at least 0, or \"{word}\""),
            Self::FlagOrPath => "true, false, or the path of a checkpoint".into(),
        }
    }

    /// `value` in the form that the setting is kept in, `None` if it does not fit.
    pub(super) fn accept(self, value: Value) -> Option<Value> {
        match self {
            Self::Texts if value.is_string() => Some(Value::Array(vec![value])),
            Self::Number(..) | Self::Above(..) | Self::Steps if value.is_i64() => {
                self.accept(Value::from(value.as_f64()?))
            }
            _ => self.fits(&value).then_some(value),
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Flag => value.is_boolean(),
            Self::Text => value.is_string(),
            Self::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Integer(min) => value.as_i64().is_some_and(|number| number >= min),
            Self::Number(min, max) => value
                .as_f64()
                .is_some_and(|number| min <= number && number <= max),
            Self::Above(min, max) => value
                .as_f64()
                .is_some_and(|number| min < number && number <= max),
            Self::Steps => value
                .as_f64()
                .is_some_and(|number| number > 0.0 && (number < 1.0 || number.fract() == 0.0)),
            Self::Texts => every(value, Value::is_string),
            Self::Sizes => {
                every(value, |item| Self::Integer(1).fits(item))
                    && value != &Value::Array(Vec::new())
            }
            Self::Weights => every(value, |item| Self::Above(0.0, f64::INFINITY).fits(item)),
            Self::Prompts => value.is_string() || Self::Table.fits(value),
            Self::Table => value
                .as_object()
                .is_some_and(|t| t.values().all(Value::is_string)),
            Self::Rates => value.as_object().is_some_and(|t| {
                t.values()
                    .all(|rate| Self::Number(0.0, f64::INFINITY).fits(rate))
            }),
            Self::CountOr(word) => Self::Integer(0).fits(value) || value.as_str() == Some(word),
            Self::FlagOrPath => value.is_boolean() || value.is_string(),
        }
    }

    /// Reads the text of a flag, `None` if it cannot be read as this kind at all.
    pub(super) fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Text | Self::Choice(_) => Some(Value::from(text)),
            Self::Flag => python_bool(text),
            Self::FlagOrPath => Some(python_bool(text).unwrap_or_else(|| Value::from(text))),
            Self::CountOr(_) => Some(toml_value(text).unwrap_or_else(|| Value::from(text))),
            Self::Prompts => Some(toml_value(text).unwrap_or_else(|| Value::from(text))),
            Self::Integer(_) | Self::Number(..) | Self::Above(..) | Self::Steps => toml_value(text),
            Self::Table | Self::Rates => toml_value(text),
            Self::Texts | Self::Sizes | Self::Weights if text.starts_with('[') => toml_value(text),
            Self::Texts => Some(
                text.split(',')
                    .map(|item| Value::from(item.trim()))
                    .collect(),
            ),
            Self::Sizes | Self::Weights => toml_value(&format!("[{text}]")),
        }
    }
}

fn every(value: &Value, test: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(test))
}

/// `true`, and `True` as Python and so the model cards print it.
fn python_bool(text: &str) -> Option<Value> {
    match text {
        "true" | "True" => Some(Value::Bool(true)),
        "false" | "False" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// One value in TOML's notation.
pub(super) fn toml_value(text: &str) -> Option<Value> {
    // TOML wants digits on both sides of the point; Python prints 2e-05, which it allows.
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    if table.len() != 1 {
        return None;
    }
    serde_json::to_value(table.get("value")?).ok()
}
