//! The hash of texts, by which a data set is recognised.

use sha2::{Digest, Sha256};

/// SHA-256 over texts, each preceded by its length in bytes (u64, little-endian), so that no two lists of texts give
/// the same stream.
#[derive(Default)]
pub(crate) struct TextDigest(Sha256);

impl TextDigest {
    pub(crate) fn number(&mut self, value: usize) {
        self.0.update((value as u64).to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    pub(crate) fn bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    pub(crate) fn hex(self) -> String {
        self.bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
