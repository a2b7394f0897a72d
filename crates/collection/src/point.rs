//! What is stored: a chunk of a document with its vectors.

use std::fmt;

use matryo_base::Digest;
use serde_json::{Map, Value};

/// Fields that the collection keeps for itself.
pub(crate) const ID: &str = "id";
pub(crate) const TEXT: &str = "text";
/// Number of the chunk in its document, from 0.
pub(crate) const CHUNK: &str = "_chunk";
/// Digest of the document that the chunk was cut from: equal means that nothing has to be done.
pub(crate) const HASH: &str = "_hash";

/// Name of the vector of words.
pub(crate) const WORDS: &str = "words";

/// Which point: a UUID of version 8, a function of the document's id and the number of the chunk, so that adding the same
/// document again writes the same points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PointId(pub [u8; 16]);

impl PointId {
    pub fn of(document: &str, chunk: usize) -> Self {
        let mut digest = Digest::new();
        digest.update(format!("{chunk} {document}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.bytes()[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let hex: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let pairs = hex.as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        Some(Self(bytes?.try_into().ok()?))
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

/// How often each word occurs, weighted: BM25's term, to be multiplied by the inverse document frequency.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Words {
    pub indices: Vec<u32>,
    pub values: Vec<f32>,
}

/// A point to be written, or as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub id: PointId,
    /// Vectors by name: the number of dimensions.
    pub vectors: Vec<(String, Vec<f32>)>,
    pub words: Option<Words>,
    pub payload: Map<String, Value>,
}

impl Point {
    pub fn document(&self) -> &str {
        self.payload
            .get(ID)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub fn chunk(&self) -> usize {
        self.payload
            .get(CHUNK)
            .and_then(Value::as_u64)
            .unwrap_or_default() as usize
    }

    pub fn hash(&self) -> &str {
        self.payload
            .get(HASH)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_that_can_be_read_again() {
        let id = PointId::of("doc", 3);
        let text = id.to_string();
        assert_eq!((text.len(), &text[14..15]), (36, "8"));
        assert_eq!(PointId::parse(&text), Some(id));
        assert_eq!(PointId::parse("no id"), None);
    }

    #[test]
    fn documents_and_chunks_are_told_apart() {
        let ids = [
            PointId::of("a", 0),
            PointId::of("a", 1),
            PointId::of("b", 0),
            PointId::of("0 a", 0),
        ];
        assert!(ids.iter().enumerate().all(|(i, id)| !ids[..i].contains(id)));
    }
}
