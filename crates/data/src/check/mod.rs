//! What a careful engineer would want to know about a data set before training on it.
//!
//! Nothing here is an error: upstream trains on all of it. What cannot be trained on is refused when the file is read.

mod finding;
mod lengths;
mod tokens;

use std::collections::HashSet;

pub use finding::Finding;
pub use lengths::{ColumnLengths, LengthStatistics};
pub use tokens::{ColumnTokens, TokenCount, column_tokens};

use self::lengths::column_lengths;
use crate::Rows;
use crate::dataset::Dataset;
use crate::location::Place;
use crate::retrieval::RetrievalData;
use crate::text_ids::TextIds;

/// Places and texts shown with a finding.
const SHOWN: usize = 5;

/// What was found in a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// Rows.
    pub rows: usize,
    /// Lengths of each column's texts.
    pub columns: Vec<ColumnLengths>,
    /// What deserves a warning.
    pub warnings: Vec<Finding>,
}

/// Looks through a training set, which will be cut into batches of `batch_size`, and compares it with what it will be
/// evaluated on. Costs one pass over the texts and about 20 bytes per text.
pub fn check(train: &Dataset, evaluation: Option<&RetrievalData>, batch_size: usize) -> Findings {
    let ids = TextIds::new(train);
    let mut warnings = Vec::new();
    if train.len() < batch_size {
        warnings.push(Finding::FewerRowsThanBatch {
            rows: train.len(),
            batch_size,
        });
    }
    warnings.extend(duplicate_rows(train, &ids));
    warnings.extend((0..train.columns().len()).filter_map(|column| blank_texts(train, column)));
    warnings.extend(same_text_in_row(train, &ids));
    warnings.extend(
        evaluation
            .into_iter()
            .flat_map(|evaluation| overlaps(train, evaluation)),
    );
    let columns = (0..train.columns().len())
        .map(|column| column_lengths(train, &ids, column))
        .collect();
    Findings {
        rows: train.len(),
        columns,
        warnings,
    }
}

/// How many rows match, and the first few of their places; `None` when no row does.
fn matching(
    train: &Dataset,
    mut matches: impl FnMut(usize) -> bool,
) -> Option<(usize, Vec<Place>)> {
    let rows: Vec<usize> = (0..train.len()).filter(|&row| matches(row)).collect();
    let first = rows
        .iter()
        .take(SHOWN)
        .map(|&row| train.place(row))
        .collect();
    (!rows.is_empty()).then_some((rows.len(), first))
}

fn duplicate_rows(train: &Dataset, ids: &TextIds) -> Option<Finding> {
    let mut seen = HashSet::with_capacity(train.len());
    let (count, first) = matching(train, |row| !seen.insert(ids.of(row as u32)))?;
    Some(Finding::DuplicateRows { count, first })
}

fn blank_texts(train: &Dataset, column: usize) -> Option<Finding> {
    let (count, first) = matching(train, |row| train.text(row, column).trim().is_empty())?;
    Some(Finding::BlankTexts {
        column: train.columns()[column].clone(),
        count,
        first,
    })
}

fn same_text_in_row(train: &Dataset, ids: &TextIds) -> Option<Finding> {
    let repeats = |texts: &[u32]| {
        texts
            .iter()
            .enumerate()
            .any(|(index, text)| texts[..index].contains(text))
    };
    let (count, first) = matching(train, |row| repeats(ids.of(row as u32)))?;
    Some(Finding::SameTextInRow { count, first })
}

fn overlaps(train: &Dataset, evaluation: &RetrievalData) -> impl Iterator<Item = Finding> {
    let columns = train.columns().len();
    let texts: HashSet<&str> = (0..train.len())
        .flat_map(|row| (0..columns).map(move |column| train.text(row, column)))
        .collect();
    let questions = overlap(&texts, &evaluation.queries).map(|(count, examples)| {
        Finding::QuestionsInTraining {
            count,
            of: evaluation.queries.len(),
            examples,
        }
    });
    let passages =
        overlap(&texts, &evaluation.corpus).map(|(count, examples)| Finding::PassagesInTraining {
            count,
            of: evaluation.corpus.len(),
            examples,
        });
    questions.into_iter().chain(passages)
}

fn overlap(train: &HashSet<&str>, evaluation: &[(String, String)]) -> Option<(usize, Vec<String>)> {
    let shared: Vec<&String> = evaluation
        .iter()
        .map(|(_, text)| text)
        .filter(|text| train.contains(text.as_str()))
        .collect();
    let examples = shared
        .iter()
        .take(SHOWN)
        .map(|&text| text.clone())
        .collect();
    (!shared.is_empty()).then_some((shared.len(), examples))
}
