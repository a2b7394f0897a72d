//! How long texts are.

use std::collections::HashSet;

use crate::Rows;
use crate::text_ids::TextIds;

/// Smallest, mean and largest of some lengths; all 0 when there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LengthStatistics {
    /// Smallest.
    pub min: usize,
    /// Mean.
    pub mean: f64,
    /// Largest.
    pub max: usize,
}

impl LengthStatistics {
    /// Of these lengths.
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        let (mut min, mut max, mut sum, mut count) = (usize::MAX, 0, 0, 0_u32);
        for length in lengths {
            (min, max) = (min.min(length), max.max(length));
            sum += length;
            count += 1;
        }
        if count == 0 {
            Self::default()
        } else {
            Self {
                min,
                mean: sum as f64 / f64::from(count),
                max,
            }
        }
    }
}

/// The lengths of a column's texts.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnLengths {
    /// The column.
    pub column: String,
    /// Lengths in characters (Unicode scalar values).
    pub characters: LengthStatistics,
    /// Distinct texts.
    pub distinct: usize,
}

pub(super) fn column_lengths(rows: &dyn Rows, ids: &TextIds, column: usize) -> ColumnLengths {
    let characters =
        LengthStatistics::of((0..rows.len()).map(|row| rows.text(row, column).chars().count()));
    let distinct: HashSet<u32> = (0..rows.len())
        .map(|row| ids.of(row as u32)[column])
        .collect();
    ColumnLengths {
        column: rows.columns()[column].clone(),
        characters,
        distinct: distinct.len(),
    }
}
