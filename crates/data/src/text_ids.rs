//! A number for each distinct text, so that texts are compared once and numbers from then on.

use std::collections::HashMap;

use crate::Rows;

/// For each row, the numbers of its texts.
pub(crate) struct TextIds {
    ids: Vec<u32>,
    columns: usize,
    distinct: usize,
}

impl TextIds {
    /// Texts are equal when they are byte for byte, whichever column they are in.
    pub(crate) fn new(rows: &dyn Rows) -> Self {
        let columns = rows.columns().len();
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut ids = Vec::with_capacity(rows.len() * columns);
        for row in 0..rows.len() {
            for column in 0..columns {
                let next = u32::try_from(known.len()).expect("fewer than 2^32 distinct texts");
                ids.push(*known.entry(rows.text(row, column)).or_insert(next));
            }
        }
        Self {
            ids,
            columns,
            distinct: known.len(),
        }
    }

    pub(crate) fn of(&self, row: u32) -> &[u32] {
        let start = row as usize * self.columns;
        &self.ids[start..start + self.columns]
    }

    pub(crate) fn distinct(&self) -> usize {
        self.distinct
    }
}
