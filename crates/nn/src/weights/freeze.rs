//! Which parameters are frozen: patterns over their names, `*` standing for anything.

use crate::NnError;

/// Freeze patterns, and which of them have matched so far.
pub(crate) struct Freeze {
    patterns: Vec<(String, bool)>,
    names: Vec<String>,
}

impl Freeze {
    pub(crate) fn new(patterns: &[String]) -> Self {
        Self {
            patterns: patterns.iter().map(|p| (p.clone(), false)).collect(),
            names: Vec::new(),
        }
    }

    /// Whether a parameter of that name is frozen.
    pub(crate) fn covers(&mut self, name: &str) -> bool {
        self.names.push(name.to_owned());
        let mut covered = false;
        for (pattern, matched) in &mut self.patterns {
            if matches(pattern, name) {
                *matched = true;
                covered = true;
            }
        }
        covered
    }

    /// Fails if a pattern has matched nothing.
    pub(crate) fn check(self) -> Result<(), NnError> {
        match self.patterns.into_iter().find(|(_, matched)| !matched) {
            None => Ok(()),
            Some((pattern, _)) => Err(NnError::UnmatchedPattern {
                pattern,
                examples: examples(&self.names),
            }),
        }
    }
}

/// A few names from the whole range.
fn examples(names: &[String]) -> Vec<String> {
    const SHOWN: usize = 4;
    let step = (names.len() / SHOWN).max(1);
    names.iter().step_by(step).take(SHOWN).cloned().collect()
}

/// Whether `name` is `pattern` with each `*` replaced by something, possibly nothing.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name
            .strip_prefix(start)
            .is_some_and(|name| matches_later(rest, name)),
    }
}

/// Whether `pattern` matches the end of `name` from some place on.
fn matches_later(pattern: &str, name: &str) -> bool {
    let places = name.char_indices().map(|(i, _)| i).chain([name.len()]);
    places.into_iter().any(|i| matches(pattern, &name[i..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("embeddings.*", "embeddings.LayerNorm.bias", true),
            ("embeddings.*", "encoder.layer.0.output.dense.bias", false),
            (
                "encoder.layer.1.*",
                "encoder.layer.11.output.dense.bias",
                false,
            ),
            ("*.bias", "encoder.layer.0.output.dense.bias", true),
            ("*.bias", "encoder.layer.0.output.dense.weight", false),
            (
                "encoder.*.query.*",
                "encoder.layer.3.attention.self.query.weight",
                true,
            ),
            ("*", "x", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} against {name}");
        }
    }
}
