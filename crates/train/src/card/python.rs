//! Numbers, strings and values as Python prints them, which is what readers of cards compare.

use matryo_eval::python_float;
use serde_json::Value;

/// `str(round(v, digits))`.
pub fn rounded(v: f64, digits: usize) -> String {
    python_float(format!("{v:.digits$}").parse().unwrap_or(v))
}

/// `str(v)`.
pub fn shown(v: f64) -> String {
    python_float(v)
}

/// What the training log shows of a float: 4 fixed decimals if it has more, else its repr
/// (semantics of `_maybe_round` in transformers/modelcard.py).
pub fn log_float(v: f64) -> String {
    let repr = python_float(v);
    match repr.split_once('.') {
        Some((_, decimals)) if decimals.len() > 4 => format!("{v:.4}"),
        _ => repr,
    }
}

/// `repr(text)`: single quotes unless only double ones avoid a backslash, everything unprintable escaped.
pub fn str_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        push_escaped(&mut out, c, quote);
    }
    out.push(quote);
    out
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if c == quote => out.extend(['\\', c]),
        _ if is_printable(c) => out.push(c),
        _ => out.push_str(&numeric_escape(u32::from(c))),
    }
}

fn numeric_escape(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    }
}

/// Whether a character shows as itself. Unassigned characters count as printable here, unlike in Python:
/// the literal stays valid, and no table of Unicode categories is needed.
pub fn is_printable(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

/// `str.title()`: the first letter of every run of letters upper-case, the others lower-case.
pub fn title(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .flat_map(|c| {
            let cased: Vec<char> = if inside {
                c.to_lowercase().collect()
            } else {
                c.to_uppercase().collect()
            };
            inside = c.is_alphabetic();
            cased
        })
        .collect()
}

/// `str(value)` of what the JSON value is in Python.
pub fn value_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => value_repr(other),
    }
}

fn value_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => {
            python_float(number.as_f64().unwrap_or(f64::NAN))
        }
        Value::Number(number) => number.to_string(),
        Value::String(text) => str_repr(text),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(value_repr))),
        Value::Object(map) => {
            format!(
                "{{{}}}",
                joined(
                    map.iter()
                        .map(|(k, v)| format!("{}: {}", str_repr(k), value_repr(v)))
                )
            )
        }
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// `f"{n:,}"`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|g| std::str::from_utf8(g).ok())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rounding_follows_python() {
        assert_eq!(rounded(0.09795918367346937, 4), "0.098");
        assert_eq!(rounded(0.5, 4), "0.5");
        // Not a tie: the double below 2.675 is smaller than it looks.
        assert_eq!(rounded(2.675, 2), "2.67");
        assert_eq!(rounded(0.125, 2), "0.12");
        assert_eq!(log_float(0.7120000001), "0.7120");
        assert_eq!(log_float(0.5), "0.5");
        assert_eq!(log_float(1.0), "1.0");
        assert_eq!(log_float(0.15873015873015872), "0.1587");
    }

    #[test]
    fn strings_and_values_print_as_python_prints_them() {
        assert_eq!(str_repr("plain"), "'plain'");
        assert_eq!(str_repr("it's"), "\"it's\"");
        assert_eq!(str_repr("it's \"x\""), "'it\\'s \"x\"'");
        assert_eq!(
            str_repr("a\nb\\\u{a0}\u{2028}\u{7}😀"),
            "'a\\nb\\\\\\xa0\\u2028\\x07😀'"
        );
        assert_eq!(
            value_str(&json!({"a": [1, 2.0, null, true, "x"]})),
            "{'a': [1, 2.0, None, True, 'x']}"
        );
        assert_eq!(value_str(&json!("cosine")), "cosine");
    }

    #[test]
    fn titles_and_thousands() {
        assert_eq!(title("cosine accuracy@1"), "Cosine Accuracy@1");
        assert_eq!(title("cosine map@100"), "Cosine Map@100");
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(1234567), "1,234,567");
    }
}
