//! Pairs of sentences, with or without a score for how alike they are.

use std::path::Path;

use crate::columns::Selection;
use crate::error::DataError;
use crate::location::Place;
use crate::reader::{Cell, Visitor, read};

/// Column names of the data sets of sentence-transformers, such as stsb.
const SENTENCES: [&str; 2] = ["sentence1", "sentence2"];
const SCORE: &str = "score";

/// What a file of sentence pairs holds, one entry a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SentencePairs {
    /// The first sentences.
    pub sentences1: Vec<String>,
    /// The second sentences.
    pub sentences2: Vec<String>,
    /// How alike they are, on any scale; `None` if the file has no such column.
    pub scores: Option<Vec<f64>>,
}

/// Which columns hold what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairColumns {
    /// The two sentences.
    pub sentences: [String; 2],
    /// The score; must be there if it is named.
    pub score: Option<String>,
}

impl SentencePairs {
    /// Reads JSONL, CSV, TSV or Parquet, as [`Dataset::open`](crate::Dataset::open). Without `columns` the sentences are `sentence1` and
    /// `sentence2`, and the score is `score` if there is one; further columns are left alone.
    ///
    /// # Errors
    /// As [`read_texts`](crate::read_texts), and [`DataError::NotANumber`] for a score that is not a finite number.
    pub fn open(path: &Path, columns: Option<&PairColumns>) -> Result<Self, DataError> {
        let default = || PairColumns {
            sentences: SENTENCES.map(str::to_owned),
            score: None,
        };
        let named = columns.cloned().unwrap_or_else(default);
        let mut reading = Reading {
            path,
            columns: named,
            guess_score: columns.is_none(),
            pairs: Self::default(),
        };
        read(path, &mut reading)?;
        if reading.pairs.sentences1.is_empty() {
            return Err(DataError::Empty {
                path: path.to_path_buf(),
            });
        }
        Ok(reading.pairs)
    }
}

struct Reading<'a> {
    path: &'a Path,
    columns: PairColumns,
    /// Whether a column called `score` is one although nobody said so.
    guess_score: bool,
    pairs: SentencePairs,
}

impl Visitor for Reading<'_> {
    fn select(&mut self, found: &[String]) -> Result<Selection, DataError> {
        if self.guess_score && found.iter().any(|name| name == SCORE) {
            self.columns.score = Some(SCORE.to_owned());
        }
        self.pairs.scores = self.columns.score.as_ref().map(|_| Vec::new());
        let PairColumns {
            sentences: [first, second],
            score,
        } = &self.columns;
        let wanted: Vec<&str> = [first, second]
            .into_iter()
            .chain(score)
            .map(String::as_str)
            .collect();
        Ok(Selection::among_others(&wanted, &[]).with_numbers(&wanted[SENTENCES.len()..]))
    }

    fn row(&mut self, place: Place, cells: &[Cell<'_>]) -> Result<(), DataError> {
        let text = |i: usize| {
            cells[i]
                .text(self.path, place, &self.columns.sentences[i])
                .map(str::to_owned)
        };
        let (first, second) = (text(0)?, text(1)?);
        self.pairs.sentences1.push(first);
        self.pairs.sentences2.push(second);
        if let (Some(scores), Some(column)) = (&mut self.pairs.scores, &self.columns.score) {
            scores.push(cells[SENTENCES.len()].number(self.path, place, column)?);
        }
        Ok(())
    }
}
