//! The little YAML that front matter needs, written so that YAML 1.1 and 1.2 readers agree on every value.

use super::python;

/// A node of the front matter.
pub enum Yaml {
    /// A string, whatever it looks like.
    Text(String),
    /// A double at full precision.
    Number(f64),
    /// A block sequence.
    List(Vec<Yaml>),
    /// A block mapping; the keys are ours and plain.
    Map(Vec<(&'static str, Yaml)>),
}

impl Yaml {
    /// A string node.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The document, lines ending in a newline.
    pub fn emit(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out
    }

    /// Writes the node as lines at `indent`.
    fn write(&self, indent: usize, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(&(scalar(text) + "\n")),
            Self::Number(value) => out.push_str(&(number(*value) + "\n")),
            Self::List(items) => items.iter().for_each(|item| write_item(item, indent, out)),
            Self::Map(entries) => {
                for (i, (key, value)) in entries.iter().enumerate() {
                    // The first key of a map inside a list stands behind the dash.
                    let pad = if i == 0 { 0 } else { indent };
                    write_entry(key, value, pad, indent, out);
                }
            }
        }
    }
}

fn write_item(item: &Yaml, indent: usize, out: &mut String) {
    out.push_str(&format!("{}- ", " ".repeat(indent)));
    item.write(indent + 2, out);
}

fn write_entry(key: &str, value: &Yaml, pad: usize, indent: usize, out: &mut String) {
    out.push_str(&format!("{}{key}:", " ".repeat(pad)));
    match value {
        Yaml::Text(_) | Yaml::Number(_) => {
            out.push(' ');
            value.write(indent, out);
        }
        Yaml::List(_) => {
            out.push('\n');
            value.write(indent, out);
        }
        Yaml::Map(_) => {
            out.push_str(&format!("\n{}", " ".repeat(indent + 2)));
            value.write(indent + 2, out);
        }
    }
}

/// A float that YAML 1.1 readers know as one: they want a point before an exponent.
fn number(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            ".inf".to_owned()
        } else {
            "-.inf".to_owned()
        };
    }
    let repr = matryo_eval::python_float(value);
    if repr.contains('.') {
        repr
    } else {
        repr.replacen('e', ".0e", 1)
    }
}

/// A string as a plain scalar where nothing can mistake it, else in double quotes.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Conservative: letters first, a short list of characters, no word that means a boolean or null somewhere
/// (`no`, Norwegian, is a famous one).
fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let allowed = |c: char| c.is_ascii_alphanumeric() || " _-./@:".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(allowed)
        && !text.contains(": ")
        && !text.ends_with([' ', ':'])
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// Double quotes: the one compat that holds every character, on one line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if python::is_printable(c) && !is_noncharacter(c) => out.push(c),
            _ => out.push_str(&escape(u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// The last two code points of every plane; some readers refuse them raw.
fn is_noncharacter(c: char) -> bool {
    u32::from(c) & 0xfffe == 0xfffe
}

fn escape(code: u32) -> String {
    if code <= 0xffff {
        format!("\\u{code:04X}")
    } else {
        format!("\\U{code:08X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_strings_are_plain() {
        for plain in [
            "en",
            "apache-2.0",
            "loss:MatryoshkaLoss",
            "dataset_size:196",
            "dim 384",
            "cosine_map@100",
        ] {
            assert_eq!(scalar(plain), plain);
        }
        for other in [
            "no", "Yes", "NULL", "", " a", "a ", "a: b", "a:", "1:30", "1e5", "- x", "# x", "~",
            "é", "{{x}}",
        ] {
            assert!(scalar(other).starts_with('"'), "{other:?} must be quoted");
        }
    }

    #[test]
    fn numbers_keep_their_type() {
        assert_eq!(number(1e-5), "1.0e-05");
        assert_eq!(number(1.5e-5), "1.5e-05");
        assert_eq!(number(1.0), "1.0");
        assert_eq!(number(f64::NAN), ".nan");
    }

    #[test]
    fn nesting_is_laid_out_as_blocks() {
        let doc = Yaml::Map(vec![
            ("a", Yaml::List(vec![Yaml::text("x"), Yaml::text("y: z")])),
            (
                "b",
                Yaml::List(vec![Yaml::Map(vec![(
                    "c",
                    Yaml::Map(vec![("d", Yaml::Number(0.5)), ("e", Yaml::text("f"))]),
                )])]),
            ),
        ]);
        assert_eq!(
            doc.emit(),
            "a:\n- x\n- \"y: z\"\nb:\n- c:\n    d: 0.5\n    e: f\n"
        );
    }
}
