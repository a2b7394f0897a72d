//! The stages of a funnel, as text: `64:200,256:50,768:10`.

use std::{fmt, str::FromStr};

use crate::IndexError;

/// Looks at the first `dim` values of what is left, and keeps the `candidates` best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Values of a vector that are looked at.
    pub dim: usize,
    /// Rows that are kept.
    pub candidates: usize,
}

/// Stages of growing dimension and falling candidates; at least one.
///
/// Two stages may have one dimension: after a first stage in few bits the second looks at the same values as floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stages(Vec<Stage>);

impl Stages {
    /// In the order in which they come; never empty.
    pub fn as_slice(&self) -> &[Stage] {
        &self.0
    }

    /// The first one, which looks at every row.
    pub fn first(&self) -> Stage {
        self.0[0]
    }

    /// Hits of a search: the candidates of the last stage.
    pub fn hits(&self) -> usize {
        self.0[self.0.len() - 1].candidates
    }

    /// Whether vectors of `width` values are wide enough.
    pub fn check(&self, width: usize) -> Result<(), IndexError> {
        match self.0.iter().zip(1..).find(|(stage, _)| stage.dim > width) {
            Some((stage, number)) => Err(IndexError::StageTooWide {
                number,
                dim: stage.dim,
                width,
            }),
            None => Ok(()),
        }
    }
}

impl TryFrom<Vec<Stage>> for Stages {
    type Error = IndexError;

    fn try_from(stages: Vec<Stage>) -> Result<Self, IndexError> {
        if stages.is_empty() {
            return Err(IndexError::StageForm {
                number: 1,
                found: String::new(),
            });
        }
        if let Some((stage, number)) = stages
            .iter()
            .zip(1..)
            .find(|(stage, _)| stage.dim == 0 || stage.candidates == 0)
        {
            return Err(IndexError::StageForm {
                number,
                found: stage.to_string(),
            });
        }
        for (pair, number) in stages.windows(2).zip(2..) {
            let (before, stage) = (pair[0], pair[1]);
            if stage.dim < before.dim {
                return Err(IndexError::StageNarrower {
                    number,
                    dim: stage.dim,
                    before: before.dim,
                });
            }
            if stage.candidates >= before.candidates {
                let (candidates, before) = (stage.candidates, before.candidates);
                return Err(IndexError::StageKeepsAll {
                    number,
                    candidates,
                    before,
                });
            }
        }
        Ok(Self(stages))
    }
}

impl FromStr for Stages {
    type Err = IndexError;

    fn from_str(text: &str) -> Result<Self, IndexError> {
        let stage = |(text, number): (&str, usize)| {
            let numbers = text
                .trim()
                .split_once(':')
                .and_then(|(dim, candidates)| dim.parse().ok().zip(candidates.parse().ok()));
            let form = || IndexError::StageForm {
                number,
                found: text.trim().to_owned(),
            };
            numbers
                .map(|(dim, candidates)| Stage { dim, candidates })
                .ok_or_else(form)
        };
        text.split(',')
            .zip(1..)
            .map(stage)
            .collect::<Result<Vec<_>, _>>()?
            .try_into()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.dim, self.candidates)
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<_> = self.0.iter().map(Stage::to_string).collect();
        f.pad(&stages.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Stages>().unwrap_err().to_string()
    }

    #[test]
    fn text_and_back() {
        let stages: Stages = "64:200, 256:50,768:10".parse().unwrap();
        assert_eq!(stages.to_string(), "64:200,256:50,768:10");
        assert_eq!(
            (stages.first(), stages.hits()),
            (
                Stage {
                    dim: 64,
                    candidates: 200
                },
                10
            )
        );
        assert!("384:100,384:10".parse::<Stages>().is_ok());
    }

    #[test]
    fn errors_name_the_stage() {
        for wrong in ["", "64", "64:", ":9", "64:x", "64:9:9", "64:-1"] {
            assert!(
                error(wrong).starts_with(&format!("stage 1 of the funnel is `{wrong}`, expected")),
                "{wrong}"
            );
        }
        assert!(error("64:9,").starts_with("stage 2 of the funnel is ``"));
        assert!(error("0:9").starts_with("stage 1 of the funnel is `0:9`"));
        assert!(error("64:20,128:0").starts_with("stage 2 of the funnel is `128:0`"));
        assert_eq!(
            error("64:200,32:50"),
            "stage 2 of the funnel has dimension 32, expected at least the 64 of the stage before it"
        );
        assert_eq!(
            error("64:200,128:50,256:50"),
            "stage 3 of the funnel keeps 50 candidates, expected fewer than the 50 of the stage before it"
        );
        assert!(Stages::try_from(Vec::new()).is_err());
    }

    #[test]
    fn nothing_wider_than_the_vectors() {
        let stages: Stages = "64:200,768:10".parse().unwrap();
        assert_eq!(stages.check(768), Ok(()));
        let error = stages.check(384).unwrap_err();
        assert_eq!(
            error.to_string(),
            "stage 2 of the funnel has dimension 768, but the vectors have 384 values"
        );
        assert_eq!(
            error.hint().as_deref(),
            Some("384 is the largest possible dimension")
        );
    }
}
