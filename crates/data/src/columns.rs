//! Which columns of a file are used, and in which order.

use crate::error::DataError;
use crate::location::Location;

/// Which columns of a file become the columns of a [`Dataset`](crate::Dataset). Their order decides their roles in the
/// loss (semantics of sentence-transformers: the names do not count).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Columns {
    /// All, in the file's order; in JSONL the order of the first line's keys.
    #[default]
    All,
    /// These, in this order; none means all. Any other column in the file is an error.
    Named(Vec<String>),
    /// `take` in this order, and the columns of `ignore` may be there too. An empty `take` means all that are not
    /// ignored, in the file's order.
    Mapped {
        /// Columns to use.
        take: Vec<String>,
        /// Columns to leave out, of any type; they need not be there.
        ignore: Vec<String>,
    },
}

impl Columns {
    /// The columns to take from a file with the columns `found`.
    pub(crate) fn select(&self, found: &[String]) -> Selection {
        let (take, ignore) = match self {
            Self::All => (&[][..], &[][..]),
            Self::Named(take) => (take.as_slice(), &[][..]),
            Self::Mapped { take, ignore } => (take.as_slice(), ignore.as_slice()),
        };
        let kept = || {
            found
                .iter()
                .filter(|name| !ignore.contains(name))
                .cloned()
                .collect()
        };
        let required = if take.is_empty() {
            kept()
        } else {
            take.to_vec()
        };
        Selection {
            required,
            optional: Vec::new(),
            numbers: Vec::new(),
            others: Others::Only(ignore.to_vec()),
        }
    }
}

/// Names of the column that holds the label of a row instead of a text, most telling first (`valid_label_columns` of
/// sentence_transformers/base/data_collator.py 5.7).
const LABEL_COLUMNS: [&str; 4] = ["label", "labels", "score", "scores"];

/// What is wanted from a file.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Columns that every row must have.
    pub(crate) required: Vec<String>,
    /// Columns that a row may lack.
    pub(crate) optional: Vec<String>,
    /// Those of them that may hold numbers; in a file with types (Parquet) every other one must hold text.
    pub(crate) numbers: Vec<String>,
    /// Columns that may be there besides.
    pub(crate) others: Others,
}

/// Columns that may be there without being taken.
#[derive(Debug)]
pub(crate) enum Others {
    Any,
    Only(Vec<String>),
}

impl Selection {
    /// These, and whatever else there is.
    pub(crate) fn among_others(required: &[&str], optional: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            required: owned(required),
            optional: owned(optional),
            numbers: Vec::new(),
            others: Others::Any,
        }
    }

    /// The same, where these columns may hold numbers.
    pub(crate) fn with_numbers(self, numbers: &[&str]) -> Self {
        Self {
            numbers: numbers.iter().map(|&name| name.to_owned()).collect(),
            ..self
        }
    }

    /// Puts the label's column, if there is one, behind the others, and lets it hold numbers.
    pub(crate) fn set_label_aside(&mut self) -> Option<String> {
        let place = LABEL_COLUMNS
            .iter()
            .find_map(|name| self.required.iter().position(|column| column == name))?;
        let label = self.required.remove(place);
        self.required.push(label.clone());
        self.numbers.push(label.clone());
        Some(label)
    }

    /// The columns handed over: the required ones, then the optional ones.
    pub(crate) fn taken(&self) -> impl Iterator<Item = &String> {
        self.required.iter().chain(&self.optional)
    }

    /// Fails unless `found` has every required column, no column twice and none that nothing asked for.
    pub(crate) fn check(&self, at: &Location, found: &[String]) -> Result<(), DataError> {
        let twice = found
            .iter()
            .enumerate()
            .find(|(index, name)| found[..*index].contains(name));
        if let Some((_, column)) = twice {
            return Err(DataError::DuplicateColumn {
                at: at.clone(),
                column: column.clone(),
            });
        }
        if let Some(column) = self.required.iter().find(|name| !found.contains(name)) {
            let (column, found) = (column.clone(), found.to_vec());
            return Err(DataError::MissingColumn {
                at: at.clone(),
                column,
                found,
            });
        }
        let columns: Vec<String> = found
            .iter()
            .filter(|name| !self.allows(name))
            .cloned()
            .collect();
        if columns.is_empty() {
            return Ok(());
        }
        Err(DataError::UnexpectedColumns {
            at: at.clone(),
            columns,
            expected: self.taken().cloned().collect(),
        })
    }

    fn allows(&self, name: &String) -> bool {
        match &self.others {
            Others::Any => true,
            Others::Only(others) => {
                others.contains(name) || self.taken().any(|taken| taken == name)
            }
        }
    }
}
