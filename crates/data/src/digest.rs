//! The hash of texts, by which a data set is recognised.

use matryo_base::Digest;

/// SHA-256 over texts, each preceded by its length in bytes (u64, little-endian), so that no two lists of texts give
/// the same stream.
#[derive(Default)]
pub(crate) struct TextDigest(Digest);

impl TextDigest {
    pub(crate) fn number(&mut self, value: usize) {
        self.0.update((value as u64).to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text);
    }

    pub(crate) fn bytes(self) -> [u8; 32] {
        self.0.bytes()
    }

    pub(crate) fn hex(self) -> String {
        self.0.hex()
    }
}
