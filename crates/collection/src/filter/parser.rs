//! Tokens to a filter: `or` binds loosest, then `and`, then `not`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    FilterError,
    lexer::{self, Kind, Token},
};

/// Parentheses and negations within each other: more than any reader follows, and far from the end of the stack.
const DEEPEST: usize = 64;

/// The condition, and the fields it names.
pub(super) fn parse(text: &str) -> Result<(Value, BTreeSet<String>), FilterError> {
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
        fields: BTreeSet::new(),
    };
    let condition = parser.any()?;
    parser.expect_end()?;
    Ok((whole(condition), parser.fields))
}

/// Qdrant takes an object of clauses; a condition on a field is not one.
fn whole(condition: Value) -> Value {
    if condition.get("key").is_some() {
        json!({ "must": [condition] })
    } else {
        condition
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    fields: BTreeSet<String>,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Value, FilterError> {
        self.joined("or", "should", Self::all)
    }

    fn all(&mut self) -> Result<Value, FilterError> {
        self.joined("and", "must", Self::one)
    }

    fn joined(
        &mut self,
        word: &str,
        clause: &str,
        part: fn(&mut Self) -> Result<Value, FilterError>,
    ) -> Result<Value, FilterError> {
        let mut parts = vec![part(self)?];
        while self.takes_word(word) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            json!({ clause: parts })
        })
    }

    fn one(&mut self) -> Result<Value, FilterError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error("fewer parentheses"));
        }
        let condition = if self.takes_word("not") {
            json!({ "must_not": [self.one()?] })
        } else if self.takes_sign("(") {
            let inner = self.any()?;
            if !self.takes_sign(")") {
                return Err(self.error("`and`, `or` or `)`"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Value, FilterError> {
        let field = self.field()?;
        let negated = self.takes_word("not");
        let condition = if self.takes_word("in") {
            json!({ "key": field, "match": { "any": self.list()? } })
        } else if self.takes_word("contains") {
            json!({ "key": field, "match": { "text": self.value()? } })
        } else if self.takes_word("exists") {
            json!({ "must_not": [{ "is_empty": { "key": field } }] })
        } else if negated {
            return Err(self.error("`in`, `contains` or `exists`"));
        } else {
            self.compared(&field)?
        };
        self.fields.insert(field);
        Ok(if negated {
            json!({ "must_not": [condition] })
        } else {
            condition
        })
    }

    fn compared(&mut self, field: &str) -> Result<Value, FilterError> {
        for (sign, bound) in [("<", "lt"), ("<=", "lte"), (">", "gt"), (">=", "gte")] {
            if self.takes_sign(sign) {
                return Ok(json!({ "key": field, "range": { bound: self.bound()? } }));
            }
        }
        if self.takes_sign("=") || self.takes_sign("==") {
            return Ok(equal(field, self.value()?));
        }
        if self.takes_sign("!=") {
            return Ok(json!({ "must_not": [equal(field, self.value()?)] }));
        }
        Err(self.error("a comparison"))
    }

    fn field(&mut self) -> Result<String, FilterError> {
        match &self.tokens[self.at].kind {
            Kind::Word(name) | Kind::Field(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.error("a field")),
        }
    }

    fn value(&mut self) -> Result<Value, FilterError> {
        match &self.tokens[self.at].kind {
            Kind::Value(value) => {
                let value = value.clone();
                self.at += 1;
                Ok(value)
            }
            _ => Err(self.error("a number, true, false or a text in quotes")),
        }
    }

    /// What can be smaller or larger: a number, or a date.
    fn bound(&mut self) -> Result<Value, FilterError> {
        let start = self.at;
        let value = self.value()?;
        if value.is_number() || value.as_str().is_some_and(is_date) {
            return Ok(value);
        }
        self.at = start;
        Err(self.error("a number or a date such as \"2024-12-31\""))
    }

    fn list(&mut self) -> Result<Vec<Value>, FilterError> {
        if !self.takes_sign("[") {
            return Err(self.error("a list such as [\"a\", \"b\"]"));
        }
        let mut values = vec![self.listed()?];
        while self.takes_sign(",") {
            values.push(self.listed()?);
        }
        if !self.takes_sign("]") {
            return Err(self.error("`,` or `]`"));
        }
        if values.iter().any(Value::is_string) && !values.iter().all(Value::is_string) {
            return Err(self.error("a list of texts only, or of whole numbers only"));
        }
        Ok(values)
    }

    fn listed(&mut self) -> Result<Value, FilterError> {
        let start = self.at;
        let value = self.value()?;
        if value.is_string() || value.is_i64() {
            return Ok(value);
        }
        self.at = start;
        Err(self.error("a text in quotes or a whole number"))
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(&self.tokens[self.at].kind, Kind::Word(found) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(&self.tokens[self.at].kind, Kind::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn expect_end(&self) -> Result<(), FilterError> {
        if self.tokens[self.at].kind == Kind::End {
            Ok(())
        } else {
            Err(self.error("`and`, `or` or the end"))
        }
    }

    fn error(&self, expected: &'static str) -> FilterError {
        lexer::error(self.text, self.tokens[self.at].start, expected)
    }
}

/// Qdrant matches texts, whole numbers and truth values; other numbers are equal when they lie in a range of one point.
fn equal(field: &str, value: Value) -> Value {
    if value.is_f64() || value.is_u64() && !value.is_i64() {
        return json!({ "key": field, "range": { "gte": value, "lte": value } });
    }
    json!({ "key": field, "match": { "value": value } })
}

/// Whether it starts as `2024-12-31` does; Qdrant reads the rest.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|it| it.iter().all(u8::is_ascii_digit))
    };
    digits(0..4) && digits(5..7) && digits(8..10) && bytes[4] == b'-' && bytes[7] == b'-'
}
