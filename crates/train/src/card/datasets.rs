//! Facts of the training and evaluation data: size, columns, token statistics, samples, truncation.

use matryo_data::Rows;
use serde::{Deserialize, Serialize};

use super::{
    Compat, LabelCard,
    markdown::{Align, code_cell, table},
    python,
};

/// Rows shown as samples.
const SAMPLES: usize = 3;
/// Longest sample in characters; upstream cuts there too.
const SAMPLE_CHARS: usize = 1000;

/// The training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetCard {
    /// Its name, if the user gave one.
    pub name: Option<String>,
    /// Number of rows.
    pub size: usize,
    /// Its columns, in the order that decides their roles.
    pub columns: Vec<ColumnCard>,
    /// Its labels, if it has any; shown behind the columns.
    #[serde(default)]
    pub label: Option<LabelCard>,
    /// Rows that the token statistics are of: the first ones.
    pub statistics_rows: usize,
    /// The first rows, long texts cut.
    pub samples: Vec<Vec<String>>,
    /// SHA-256 of column names and texts.
    pub fingerprint: String,
    /// How many texts the model cannot see whole, if counted.
    pub truncated: Option<TruncatedShare>,
}

/// One column of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnCard {
    /// Its name.
    pub name: String,
    /// Tokens a text, special ones counted, after truncation.
    pub tokens: TokenStatistics,
}

/// Tokens a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenStatistics {
    /// Fewest.
    pub min: usize,
    /// Mean.
    pub mean: f64,
    /// Most.
    pub max: usize,
}

/// How many texts are longer than the model's limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruncatedShare {
    /// Texts looked at.
    pub texts: usize,
    /// Those that were cut.
    pub truncated: usize,
}

/// The evaluation data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalDatasetCard {
    /// Its name or path.
    pub name: String,
    /// Number of queries.
    pub queries: usize,
    /// Number of documents searched.
    pub documents: usize,
    /// Number of (query, relevant document) pairs.
    pub relevant: usize,
    /// SHA-256 of it.
    pub fingerprint: String,
    /// How many texts the model cannot see whole, if counted.
    pub truncated: Option<TruncatedShare>,
}

impl Compat {
    /// Rows that upstream's statistics are of. Its 5.7 cards say 100, but it reads them in chunks of 8 and counts the
    /// whole last chunk, so 104 it is; ours name the number counted.
    fn statistics_rows(self) -> usize {
        match self {
            Self::Current => 104,
            Self::V3_0 => 1000,
        }
    }
}

impl DatasetCard {
    /// Describes `rows`; `count_tokens` is the length of a column's text as the model sees it.
    pub fn describe(
        rows: &dyn Rows,
        name: Option<String>,
        fingerprint: String,
        compat: Compat,
        count_tokens: &dyn Fn(&str, &str) -> usize,
    ) -> Self {
        let statistics_rows = rows.len().min(compat.statistics_rows());
        let column = |(index, name): (usize, &String)| {
            let counts = (0..statistics_rows).map(|row| count_tokens(name, rows.text(row, index)));
            ColumnCard {
                name: name.clone(),
                tokens: TokenStatistics::of(counts),
            }
        };
        let width = rows.columns().len();
        let sample = |row| {
            (0..width)
                .map(|column| cut(rows.text(row, column)))
                .collect()
        };
        Self {
            name,
            size: rows.len(),
            columns: rows.columns().iter().enumerate().map(column).collect(),
            label: LabelCard::describe(rows, statistics_rows, SAMPLES),
            statistics_rows,
            samples: (0..rows.len().min(SAMPLES)).map(sample).collect(),
            fingerprint,
            truncated: None,
        }
    }

    /// The columns in a sentence: `<code>a</code>, <code>b</code>, and <code>c</code>`.
    pub(super) fn column_list(&self) -> String {
        let names: Vec<String> = self.names().map(code_cell).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [first, second] => format!("{first} and {second}"),
            [head @ .., last] => format!("{}, and {last}", head.join(", ")),
        }
    }

    /// Names of the columns, that of the labels last.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .map(|column| column.name.as_str())
            .chain(self.label.iter().map(|label| label.name.as_str()))
    }

    /// Type and token statistics a column.
    pub(super) fn statistics_table(&self, compat: Compat) -> String {
        let row = |head: &str,
                   cell: &dyn Fn(&ColumnCard) -> String,
                   of_label: &dyn Fn(&LabelCard) -> String| {
            let cells = self
                .columns
                .iter()
                .map(cell)
                .chain(self.label.iter().map(of_label));
            std::iter::once(head.to_owned())
                .chain(cells)
                .collect::<Vec<_>>()
        };
        let mut rows = vec![row("type", &|_| "string".to_owned(), &|_| {
            "float".to_owned()
        })];
        if compat == Compat::Current {
            rows.push(row("modality", &|_| "text".to_owned(), &|_| String::new()));
        }
        rows.push(row(
            "details",
            &|column| column.tokens.html_list(),
            &LabelCard::html_list,
        ));
        table(
            &row("", &|column| header_cell(&column.name), &|label| {
                header_cell(&label.name)
            }),
            &rows,
            Align::Left,
        )
    }

    /// The first rows. 3.0 leaves pipes as they are and so breaks its table; both styles escape here.
    pub(super) fn samples_table(&self) -> String {
        let header: Vec<String> = self.names().map(header_cell).collect();
        let cells = |(i, row): (usize, &Vec<String>)| {
            let label = self.label.iter().map(|label| code_cell(&label.sample(i)));
            row.iter()
                .map(|text| code_cell(text))
                .chain(label)
                .collect()
        };
        let rows: Vec<Vec<String>> = self.samples.iter().enumerate().map(cells).collect();
        table(&header, &rows, Align::Left)
    }
}

impl TokenStatistics {
    fn of(counts: impl Iterator<Item = usize>) -> Self {
        let counts: Vec<usize> = counts.collect();
        let (Some(&min), Some(&max)) = (counts.iter().min(), counts.iter().max()) else {
            return Self::default();
        };
        Self {
            min,
            mean: counts.iter().sum::<usize>() as f64 / counts.len() as f64,
            max,
        }
    }

    fn html_list(&self) -> String {
        let mean = python::rounded(self.mean, 2);
        format!(
            "<ul><li>min: {} tokens</li><li>mean: {mean} tokens</li><li>max: {} tokens</li></ul>",
            self.min, self.max
        )
    }
}

impl TruncatedShare {
    /// The share in percent, one decimal.
    pub fn percent(&self) -> String {
        format!(
            "{:.1} %",
            100.0 * self.truncated as f64 / self.texts.max(1) as f64
        )
    }
}

/// A column name as the head of a table column.
fn header_cell(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
        .replace('|', "\\|")
        .replace('<', "&lt;")
}

/// A text of at most [`SAMPLE_CHARS`] characters, dots in place of the rest.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SAMPLE_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
