//! A column of texts in one allocation.
//!
//! A `Vec<String>` costs 24 bytes and an allocation per text; this costs 8 bytes, and reading a file grows two
//! buffers only.

/// Texts back to back, with their ends.
#[derive(Debug, Default, Clone)]
pub(crate) struct TextColumn {
    bytes: String,
    ends: Vec<usize>,
}

impl TextColumn {
    pub(crate) fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[row]]
    }

    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}
