//! A filter's text as tokens.

use std::{iter::Peekable, str::CharIndices};

use serde_json::{Number, Value};

use super::FilterError;

/// A token and where it starts, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A field, or one of the words of the language.
    Word(String),
    /// A field in backquotes: never a word of the language.
    Field(String),
    Value(Value),
    /// `=`, `<=`, `(`...
    Sign(&'static str),
    End,
}

/// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: [&str; 13] = [
    "==", "!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", "-",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some(&(start, letter)) = rest.peek() {
        if letter.is_whitespace() {
            rest.next();
            continue;
        }
        let kind = match letter {
            '"' | '\'' => Kind::Value(Value::String(quoted(text, &mut rest)?)),
            '`' => Kind::Field(quoted(text, &mut rest)?),
            _ => plain(text, start, letter, &mut rest)?,
        };
        tokens.push(Token { kind, start });
    }
    tokens.push(Token {
        kind: Kind::End,
        start: text.len(),
    });
    Ok(tokens)
}

fn plain(
    text: &str,
    start: usize,
    letter: char,
    rest: &mut Peekable<CharIndices<'_>>,
) -> Result<Kind, FilterError> {
    if letter.is_ascii_digit() || letter == '-' {
        return number(text, start, rest);
    }
    if letter.is_alphabetic() || letter == '_' {
        let word = taken(text, start, rest, |c| {
            c.is_alphanumeric() || matches!(c, '_' | '.' | '-')
        });
        return Ok(match word {
            "true" => Kind::Value(true.into()),
            "false" => Kind::Value(false.into()),
            _ => Kind::Word(word.to_owned()),
        });
    }
    let sign = SIGNS
        .into_iter()
        .find(|sign| text[start..].starts_with(sign));
    let sign = sign.ok_or_else(|| error(text, start, "a field, a value or a comparison"))?;
    (0..sign.len()).for_each(|_| {
        rest.next();
    });
    Ok(Kind::Sign(sign))
}

fn number(
    text: &str,
    start: usize,
    rest: &mut Peekable<CharIndices<'_>>,
) -> Result<Kind, FilterError> {
    let digits = taken(text, start, rest, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')
    });
    let number: Result<Number, _> = serde_json::from_str(digits);
    number
        .map(|number| Kind::Value(number.into()))
        .map_err(|_| error(text, start, "a number"))
}

fn taken<'a>(
    text: &'a str,
    start: usize,
    rest: &mut Peekable<CharIndices<'_>>,
    belongs: impl Fn(char) -> bool,
) -> &'a str {
    while rest.next_if(|(_, letter)| belongs(*letter)).is_some() {}
    let end = rest.peek().map_or(text.len(), |(at, _)| *at);
    &text[start..end]
}

/// What stands between two quotes; a backslash takes the next letter as it is.
fn quoted(text: &str, rest: &mut Peekable<CharIndices<'_>>) -> Result<String, FilterError> {
    let (start, quote) = rest.next().expect("the caller has seen it");
    let mut content = String::new();
    while let Some((_, letter)) = rest.next() {
        match letter {
            '\\' => content.extend(rest.next().map(|(_, letter)| letter)),
            _ if letter == quote => return Ok(content),
            _ => content.push(letter),
        }
    }
    Err(error(text, start, "a quote at the end of this"))
}

pub(super) fn error(text: &str, start: usize, expected: &'static str) -> FilterError {
    let rest = &text[start..];
    let found: String = rest.chars().take(12).collect();
    let found = if rest.is_empty() {
        "the end".to_owned()
    } else {
        format!("`{found}`")
    };
    FilterError {
        text: text.to_owned(),
        at: text[..start].chars().count() + 1,
        expected,
        found,
    }
}
