//! What can go wrong with a data file.

use std::path::PathBuf;

use matryo_base::{FileError, nearest};

use crate::location::{Location, Place};

/// Everything that reading a data file can report. Messages name the file and the line (the row, in Parquet).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file name does not say what the file holds.
    #[error("cannot tell the format of {}: its name has {}", path.display(), extension_found(extension.as_deref()))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The extension found.
        extension: Option<String>,
    },
    /// A compressed file is damaged or cut short.
    #[error("broken {codec} data: {source}\n  in {}", path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// `gzip` or `zstd`.
        codec: &'static str,
        /// The decoder's reason.
        source: std::io::Error,
    },
    /// No row at all.
    #[error("no rows\n  in {}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// More rows than can be shuffled.
    #[error("more than {limit} rows\n  in {}", path.display())]
    TooManyRows {
        /// The file.
        path: PathBuf,
        /// The most there can be.
        limit: u64,
    },
    /// A column that was asked for is not there.
    #[error("no column `{column}`, found {}\n  in {at}", quoted(found))]
    MissingColumn {
        /// The file; the line, when other rows do have the column.
        at: Location,
        /// The column wanted.
        column: String,
        /// The columns there.
        found: Vec<String>,
    },
    /// Columns that nothing asked for.
    #[error(
        "unexpected {} {}, expected {}\n  in {at}",
        plural(columns, "column"),
        quoted(columns),
        quoted(expected)
    )]
    UnexpectedColumns {
        /// The file; the line, when the first row does not have them.
        at: Location,
        /// The columns too many.
        columns: Vec<String>,
        /// The columns expected.
        expected: Vec<String>,
    },
    /// Two columns have one name.
    #[error("column `{column}` is there twice\n  in {at}")]
    DuplicateColumn {
        /// The file and line.
        at: Location,
        /// The name.
        column: String,
    },
    /// No column was named, and there is more than one to choose from.
    #[error("which column holds the texts? found {}\n  in {}", quoted(found), path.display())]
    AmbiguousColumn {
        /// The file.
        path: PathBuf,
        /// The columns there.
        found: Vec<String>,
    },
    /// A value is missing.
    #[error("column `{column}` is null, expected text\n  in {at}")]
    Null {
        /// The file and line.
        at: Location,
        /// The column.
        column: String,
    },
    /// A value is not text.
    #[error("column `{column}` holds {found}, expected text\n  in {at}")]
    WrongType {
        /// The file; the line, when the whole column is not of that type.
        at: Location,
        /// The column.
        column: String,
        /// What is there: `a number`, `a list`...
        found: String,
    },
    /// A value is no embedding.
    #[error("column `{column}` holds {found}, expected a list of finite numbers\n  in {at}")]
    NotAnEmbedding {
        /// The file and line.
        at: Location,
        /// The column.
        column: String,
        /// What is there: `a text`, `another list`...
        found: String,
    },
    /// Embeddings of different widths.
    #[error("the embedding has {found} values, the first has {expected}\n  in {at}")]
    EmbeddingWidth {
        /// The file and line.
        at: Location,
        /// Values there.
        found: usize,
        /// Values of the first embedding.
        expected: usize,
    },
    /// A label is not a number.
    #[error("column `{column}` holds {found}, expected a number\n  in {at}")]
    NotANumber {
        /// The file and line.
        at: Location,
        /// The column.
        column: String,
        /// What is there.
        found: String,
    },
    /// The name of a class is an empty text.
    #[error("column `{column}` is empty, expected a label\n  in {at}")]
    EmptyLabel {
        /// The file and line.
        at: Location,
        /// The column.
        column: String,
    },
    /// A line of a JSONL file is neither an object nor a string.
    #[error("the line holds {found}, expected an object\n  in {at}")]
    NotAnObject {
        /// The file and line.
        at: Location,
        /// What is there.
        found: String,
    },
    /// Bytes that are not UTF-8.
    #[error("not valid UTF-8: byte {byte} of {within} is 0x{value:02x}\n  in {at}")]
    NotUtf8 {
        /// The file and line.
        at: Location,
        /// What the bytes are counted in: `the line`, or a field of the line.
        within: String,
        /// Its place there, from 1.
        byte: usize,
        /// The byte.
        value: u8,
    },
    /// A line of a JSONL file is not JSON.
    #[error("not valid JSON at column {column}: {reason}\n  in {at}")]
    Json {
        /// The file and line.
        at: Location,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// A row has more or fewer fields than the header.
    #[error("the row has {found} {}, expected {expected}\n  in {at}", if *found == 1 { "field" } else { "fields" })]
    RaggedRow {
        /// The file and line.
        at: Location,
        /// Fields of the row.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A quoted field never ends.
    #[error("a quoted field starts here and never ends\n  in {at}")]
    UnclosedQuote {
        /// The file and line.
        at: Location,
    },
    /// A Parquet file cannot be read.
    #[error("not a readable Parquet file: {source}\n  in {}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that retrieval data needs is not there.
    #[error("no `{file}`\n  in {}", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: &'static str,
    },
    /// Several judgement files and no rule to choose.
    #[error("which judgements? found {}\n  in {}", quoted(found), folder.display())]
    AmbiguousQrels {
        /// The folder.
        folder: PathBuf,
        /// The files.
        found: Vec<String>,
    },
    /// An id is used twice.
    #[error("id `{id}` is there twice, first at {first}\n  in {at}")]
    DuplicateId {
        /// The file and line.
        at: Location,
        /// The id.
        id: String,
        /// Where it was first.
        first: Place,
    },
    /// An id without a letter.
    #[error("column `{column}` is empty, expected an id\n  in {at}")]
    EmptyId {
        /// The file and line.
        at: Location,
        /// The column.
        column: String,
    },
    /// Who took the documents wanted no more of them. Never returned.
    #[error("reading was ended")]
    Stopped,
    /// A judgement names an id that nothing has.
    #[error("unknown {kind} id `{id}`\n  in {at}")]
    UnknownId {
        /// The file and line.
        at: Location,
        /// `query` or `document`.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// A score is not a number.
    #[error("score is `{found}`, expected a number\n  in {at}")]
    BadScore {
        /// The file and line.
        at: Location,
        /// What is there.
        found: String,
    },
    /// No question has a passage that answers it.
    #[error("no relevant pair: no score is above 0\n  in {}", path.display())]
    NoRelevantPairs {
        /// The file.
        path: PathBuf,
    },
    /// A pairs file with a single column.
    #[error("one column, `{column}`, expected a question and a passage\n  in {}", path.display())]
    NoPair {
        /// The file.
        path: PathBuf,
        /// The column there.
        column: String,
    },
}

impl DataError {
    /// What to do about it, when there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnknownFormat { .. } => {
                "expected .jsonl, .csv or .tsv (also with .gz or .zst), .parquet, or .txt for plain texts"
            }
            Self::Compression { .. } => "was the file downloaded completely?",
            Self::File(error) => return error.hint(),
            Self::MissingColumn { column, found, .. } => {
                let similar = nearest(column, found.iter().map(String::as_str));
                return similar.map(|name| format!("did you mean `{name}`?"));
            }
            Self::UnexpectedColumns { .. } => "name the columns to use, and those to ignore",
            Self::AmbiguousColumn { .. } => "name the column",
            Self::Null { .. } => {
                "remove the row, or write an empty string if an empty text is meant"
            }
            Self::NotANumber { .. } => {
                "label, labels, score and scores are names of labels, which are numbers; ignore the column, or rename it"
            }
            Self::EmptyLabel { .. } => "remove the row, or give it a label",
            Self::NotAnObject { found, .. } if found == "a list" => {
                "JSONL wants one object a line, without a list around"
            }
            Self::Json { .. } => "JSONL wants each object whole on one line",
            Self::NotUtf8 { .. } => "convert the file, for example with `iconv -f latin1 -t utf-8`",
            Self::RaggedRow { .. } => {
                "a text that holds a separator or a quote has to stand in double quotes"
            }
            Self::MissingFile { .. } => {
                "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels.tsv (or qrels/test.tsv)"
            }
            Self::AmbiguousQrels { .. } => "rename the one to use to test.tsv",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn plural(names: &[String], noun: &str) -> String {
    if names.len() == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

fn extension_found(extension: Option<&str>) -> String {
    extension.map_or_else(
        || "no extension".to_owned(),
        |extension| format!("the extension `{extension}`"),
    )
}
