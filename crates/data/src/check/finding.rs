//! A thing worth a warning, and its wording.

use std::fmt;

use crate::location::Place;

/// Characters of an example shown.
const EXAMPLE: usize = 60;

/// Something in a data set that deserves a look.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Not even one full batch.
    FewerRowsThanBatch {
        /// Rows.
        rows: usize,
        /// Rows of a batch.
        batch_size: usize,
    },
    /// Rows that say what an earlier row says, in every column.
    DuplicateRows {
        /// How many, not counting the first of each.
        count: usize,
        /// Where the first few are.
        first: Vec<Place>,
    },
    /// Texts that are empty or white space.
    BlankTexts {
        /// The column.
        column: String,
        /// How many.
        count: usize,
        /// Where the first few are.
        first: Vec<Place>,
    },
    /// Rows with one text in two columns: a pair to be told apart from itself.
    SameTextInRow {
        /// How many.
        count: usize,
        /// Where the first few are.
        first: Vec<Place>,
    },
    /// Evaluation questions that are trained on: the scores will be too good.
    QuestionsInTraining {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The first few.
        examples: Vec<String>,
    },
    /// Evaluation passages that are trained on. Usual where the corpus is one for both, and still an advantage.
    PassagesInTraining {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The first few.
        examples: Vec<String>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewerRowsThanBatch { rows, batch_size } => {
                write!(f, "{rows} rows are fewer than a batch of {batch_size}")
            }
            Self::DuplicateRows { count, first } => {
                write!(
                    f,
                    "{count} {} an earlier row{}",
                    verb(*count, "row repeats", "rows repeat"),
                    at(*count, first)
                )
            }
            Self::BlankTexts {
                column,
                count,
                first,
            } => {
                let texts = verb(*count, "text is", "texts are");
                write!(
                    f,
                    "{count} {texts} blank in column `{column}`{}",
                    at(*count, first)
                )
            }
            Self::SameTextInRow { count, first } => {
                let rows = verb(*count, "row has", "rows have");
                write!(
                    f,
                    "{count} {rows} the same text in two columns{}",
                    at(*count, first)
                )
            }
            Self::QuestionsInTraining {
                count,
                of,
                examples,
            } => {
                write!(
                    f,
                    "{count} of {of} evaluation questions are also trained on, such as {}",
                    quote(examples)
                )
            }
            Self::PassagesInTraining {
                count,
                of,
                examples,
            } => {
                write!(
                    f,
                    "{count} of {of} evaluation passages are also trained on, such as {}",
                    quote(examples)
                )
            }
        }
    }
}

fn verb(count: usize, one: &'static str, several: &'static str) -> &'static str {
    if count == 1 { one } else { several }
}

fn at(count: usize, first: &[Place]) -> String {
    let places: Vec<_> = first.iter().map(Place::to_string).collect();
    let more = if count > first.len() { ", ..." } else { "" };
    format!(": {}{more}", places.join(", "))
}

fn quote(examples: &[String]) -> String {
    let text = examples.first().map_or("", String::as_str);
    let mut shown: String = text.chars().take(EXAMPLE).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("\"{shown}\"")
}
