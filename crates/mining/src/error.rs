//! What can go wrong among vectors.

/// Everything that mining and clustering can report.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MiningError {
    /// A setting makes no sense.
    #[error("`{setting}` is {found}, expected {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What would.
        expected: &'static str,
    },
    /// A vector has a value that no comparison can use.
    #[error("value {} of row {} is {value}, expected a finite number", column + 1, row + 1)]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// More clusters than there are rows.
    #[error("{clusters} clusters of {rows} {}", if *rows == 1 { "row" } else { "rows" })]
    TooManyClusters {
        /// Clusters asked for.
        clusters: usize,
        /// Rows there are.
        rows: usize,
    },
    /// Initial centres of another shape.
    #[error("the initial centres are [{}, {}], expected [{}, {}]", found.0, found.1, expected.0, expected.1)]
    Init {
        /// Rows and columns given.
        found: (usize, usize),
        /// Clusters, and columns of the vectors.
        expected: (usize, usize),
    },
    /// The matrix of distances would be too large.
    #[error(
        "the distances of {rows} rows take {:.1} GiB, expected at most {limit} rows ({:.1} GiB)",
        gibibytes(*rows),
        gibibytes(*limit)
    )]
    TooManyRows {
        /// Rows there are.
        rows: usize,
        /// The most there can be.
        limit: usize,
    },
}

impl MiningError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooManyClusters { rows, .. } => Some(format!("{rows} is the largest possible number")),
            Self::TooManyRows { .. } => Some(
                "k-means and communities need no such matrix; or cluster a sample, or remove duplicates first".into(),
            ),
            Self::NotFinite { .. } => Some("were the vectors computed with overflow, or is the file damaged?".into()),
            _ => None,
        }
    }

    pub(crate) fn setting(
        setting: &'static str,
        found: impl ToString,
        expected: &'static str,
    ) -> Self {
        Self::Setting {
            setting,
            found: found.to_string(),
            expected,
        }
    }
}

/// Size of the upper triangle of distances in `f32`.
fn gibibytes(rows: usize) -> f64 {
    let rows = rows as f64;
    rows * (rows - 1.0) / 2.0 * size_of::<f32>() as f64 / f64::from(1 << 30)
}

/// A cosine to compare with.
pub(crate) fn check_threshold(threshold: f32) -> Result<(), MiningError> {
    let valid = (-1.0..=1.0).contains(&threshold);
    if valid {
        Ok(())
    } else {
        Err(MiningError::setting(
            "threshold",
            threshold,
            "a cosine, -1 to 1",
        ))
    }
}

/// A number of things that cannot be 0.
pub(crate) fn check_positive(setting: &'static str, value: usize) -> Result<(), MiningError> {
    if value > 0 {
        Ok(())
    } else {
        Err(MiningError::setting(
            setting,
            value,
            "a positive whole number",
        ))
    }
}
