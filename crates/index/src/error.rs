//! What can be wrong with what a search is asked to do.

/// Everything that this crate can report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A name that is none of [`crate::Storage::ALL`].
    #[error("unknown storage `{found}`, expected float32, int8 or ubinary")]
    UnknownStorage {
        /// The name.
        found: String,
    },
    /// A stage of a funnel that is not two numbers.
    #[error(
        "stage {number} of the funnel is `{found}`, expected two whole numbers above 0, DIMENSION:CANDIDATES"
    )]
    StageForm {
        /// Its place, from 1.
        number: usize,
        /// Its text.
        found: String,
    },
    /// A stage that looks at fewer values than the one before it.
    #[error(
        "stage {number} of the funnel has dimension {dim}, expected at least the {before} of the stage before it"
    )]
    StageNarrower {
        /// Its place, from 1.
        number: usize,
        /// Its dimension.
        dim: usize,
        /// That of the stage before.
        before: usize,
    },
    /// A stage that drops no candidate.
    #[error(
        "stage {number} of the funnel keeps {candidates} candidates, expected fewer than the {before} of the stage before it"
    )]
    StageKeepsAll {
        /// Its place, from 1.
        number: usize,
        /// Its candidates.
        candidates: usize,
        /// Those of the stage before.
        before: usize,
    },
    /// A stage that looks at more values than a vector has.
    #[error(
        "stage {number} of the funnel has dimension {dim}, but the vectors have {width} values"
    )]
    StageTooWide {
        /// Its place, from 1.
        number: usize,
        /// Its dimension.
        dim: usize,
        /// Width of a vector.
        width: usize,
    },
}

impl IndexError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::StageForm { .. } => Some(
                "for example 64:200,256:50,768:10: the last stage's candidates are the hits".into(),
            ),
            Self::StageTooWide { width, .. } => {
                Some(format!("{width} is the largest possible dimension"))
            }
            Self::StageNarrower { .. } | Self::StageKeepsAll { .. } => Some(
                "a funnel narrows: from stage to stage more of each vector, and fewer of them"
                    .into(),
            ),
            Self::UnknownStorage { .. } => None,
        }
    }
}
