//! How many tokens texts have, counted by whoever has the tokenizer.

use super::lengths::LengthStatistics;
use crate::Rows;

/// Texts counted in one call: enough for a tokenizer to use all cores, few enough to hold.
const TEXTS_PER_CALL: usize = 4096;

/// A text's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCount {
    /// Tokens after truncation, special tokens included.
    pub tokens: usize,
    /// Whether some were cut off.
    pub truncated: bool,
}

/// The tokens of a column's texts.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnTokens {
    /// The column.
    pub column: String,
    /// Texts counted.
    pub texts: usize,
    /// Texts cut off.
    pub truncated: usize,
    /// Tokens of a text.
    pub tokens: LengthStatistics,
}

/// Counts the tokens of each column in the first `rows_counted` rows (upstream's cards count 100, those of 3.0 counted
/// 1,000). `count` gets a column's name and some of its texts, and gives a count for each of
/// them, in order.
///
/// # Errors
/// Whatever `count` fails with.
pub fn column_tokens<E>(
    rows: &dyn Rows,
    rows_counted: usize,
    mut count: impl FnMut(&str, &[&str]) -> Result<Vec<TokenCount>, E>,
) -> Result<Vec<ColumnTokens>, E> {
    let counted = rows_counted.min(rows.len());
    let mut columns = Vec::new();
    for (column, name) in rows.columns().iter().enumerate() {
        let texts: Vec<&str> = (0..counted).map(|row| rows.text(row, column)).collect();
        let mut counts = Vec::with_capacity(counted);
        for chunk in texts.chunks(TEXTS_PER_CALL) {
            counts.extend(count(name, chunk)?);
        }
        columns.push(statistics(name, &counts));
    }
    Ok(columns)
}

fn statistics(column: &str, counts: &[TokenCount]) -> ColumnTokens {
    ColumnTokens {
        column: column.to_owned(),
        texts: counts.len(),
        truncated: counts.iter().filter(|count| count.truncated).count(),
        tokens: LengthStatistics::of(counts.iter().map(|count| count.tokens)),
    }
}
