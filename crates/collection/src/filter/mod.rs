//! `year >= 2020 and region in ["EU", "UK"]`: conditions on the fields of documents, as Qdrant's filters.

mod lexer;
mod parser;

use std::{collections::BTreeSet, str::FromStr};

use serde_json::Value;

/// Which documents are meant.
///
/// Comparisons `field = value`, `!=`, `<`, `<=`, `>`, `>=`, `field in [value, ...]`, `field contains "words"`,
/// `field exists`, joined by `and`, `or`, `not` and parentheses. Values are numbers, `true`, `false` and texts in single or
/// double quotes; `<` and its like compare numbers, or texts that are dates (RFC 3339). A field within a field is named
/// with a dot, one with other letters stands in backquotes. A field that holds a list matches if one of its values does.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    condition: Value,
    fields: BTreeSet<String>,
}

/// An expression that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a filter: expected {expected}, found {found} at character {at} of `{text}`")]
pub struct FilterError {
    /// The whole expression.
    pub text: String,
    /// Place of what is wrong, in characters from 1.
    pub at: usize,
    /// What could have stood there.
    pub expected: &'static str,
    /// What stands there.
    pub found: String,
}

impl FilterError {
    /// What may be tried.
    pub fn hint(&self) -> &'static str {
        r#"such as: year >= 2020 and region = "EU""#
    }
}

impl Filter {
    /// The filter in the form of Qdrant's REST interface.
    pub fn to_json(&self) -> Value {
        self.condition.clone()
    }

    /// Names of the fields that it asks for.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(String::as_str)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let (condition, fields) = parser::parse(text)?;
        Ok(Self { condition, fields })
    }
}
