//! `64:200,256:50,768:10`: search cheaply in a short prefix, then look again at fewer with more.

use std::{fmt, str::FromStr};

/// One look: how much of the vector, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Leading values of the vectors that are compared.
    pub dim: usize,
    /// Documents that go on to the next stage; in the last stage, those that are found.
    pub keep: usize,
}

/// Stages with ever more dimensions and ever fewer documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funnel(Vec<Stage>);

/// A text that is no funnel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no stage of a search: expected {expected}")]
pub struct FunnelError {
    /// The stage.
    pub found: String,
    /// What it should be.
    pub expected: &'static str,
}

impl Funnel {
    /// The stages, the shortest prefix first; at least one.
    pub fn stages(&self) -> &[Stage] {
        &self.0
    }
}

impl FromStr for Funnel {
    type Err = FunnelError;

    fn from_str(text: &str) -> Result<Self, FunnelError> {
        let mut stages: Vec<Stage> = Vec::new();
        for part in text.split(',') {
            let wrong = |expected| FunnelError { found: part.trim().to_owned(), expected };
            let number = |text: &str| text.trim().parse::<usize>().ok().filter(|&number| number > 0);
            let stage = part.split_once(':').and_then(|(d, k)| Some(Stage { dim: number(d)?, keep: number(k)? }));
            let stage = stage.ok_or_else(|| wrong("DIMENSIONS:DOCUMENTS, such as 64:200"))?;
            if stages.last().is_some_and(|before| before.dim >= stage.dim) {
                return Err(wrong("more dimensions than the stage before"));
            }
            if stages.last().is_some_and(|before| before.keep < stage.keep) {
                return Err(wrong("no more documents than the stage before"));
            }
            stages.push(stage);
        }
        Ok(Self(stages))
    }
}

impl fmt::Display for Funnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<_> = self.0.iter().map(|stage| format!("{}:{}", stage.dim, stage.keep)).collect();
        f.pad(&stages.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_funnel_is_read_and_written() {
        let funnel: Funnel = "64:200, 256:50,768:10".parse().unwrap();
        assert_eq!(funnel.stages()[1], Stage { dim: 256, keep: 50 });
        assert_eq!(funnel.to_string(), "64:200,256:50,768:10");
    }

    #[test]
    fn what_is_no_funnel_is_refused() {
        for (text, expected) in [
            ("", "DIMENSIONS"),
            ("64", "DIMENSIONS"),
            ("64:0", "DIMENSIONS"),
            ("64:x", "DIMENSIONS"),
            ("64:10,64:5", "more dimensions"),
            ("64:10,128:20", "no more documents"),
        ] {
            let error = text.parse::<Funnel>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
