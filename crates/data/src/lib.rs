//! Files to rows to batches of row numbers: readers, samplers, checks.
//!
//! A data file ([`Dataset::open`]) becomes [`Rows`]; a [`Sampler`] turns rows into batches of row numbers; [`check`]
//! says what a careful engineer would want to know before training. [`RetrievalData`] is what evaluation needs:
//! questions, passages and which belong together. Nothing here knows a tokenizer or a model.

mod check;
mod columns;
mod dataset;
mod digest;
mod documents;
mod error;
mod labelled_file;
mod location;
mod mt19937;
mod parquet_error;
mod randperm;
mod reader;
mod retrieval;
mod sampler;
mod sentence_pairs;
mod text_column;
mod text_ids;
mod texts_file;

pub use check::{
    ColumnLengths, ColumnTokens, Finding, Findings, LengthStatistics, TokenCount, check,
    column_tokens,
};
pub use columns::Columns;
pub use dataset::Dataset;
pub use documents::{Document, DocumentColumns, check_documents, read_documents};
pub use error::DataError;
pub use labelled_file::{LabelledTexts, read_labelled_texts};
pub use location::{Location, Place};
pub use mt19937::Mt19937;
pub use parquet_error::io_error as parquet_io_error;
pub use randperm::randperm;
pub use retrieval::RetrievalData;
pub use sampler::{BatchSampler, Compat, NoDuplicates, Sampler, batches_per_epoch};
pub use sentence_pairs::{PairColumns, SentencePairs};
pub use texts_file::{read_text_lines, read_texts};

/// Rows of texts in named columns.
pub trait Rows: Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the columns, in the order that decides their roles.
    fn columns(&self) -> &[String];

    /// One text.
    fn text(&self, row: usize, column: usize) -> &str;

    /// Name of the column with the labels, where rows have one: what a loss wants of their texts.
    fn label_column(&self) -> Option<&str> {
        None
    }

    /// The label of a row.
    fn label(&self, row: usize) -> Option<f32> {
        let _ = row;
        None
    }
}
