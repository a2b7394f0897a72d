//! A cache of token ids, text by text.
//!
//! A text is recognised by 128 bits of the SHA-256 of all that decides its ids, so another prompt or length is another entry.
//! Hashing passes over the bytes once, which costs little compared with tokenizing. What comes first stays: an evaluation
//! after every epoch reads the same texts in the same order, of which a cache that evicts would hold none.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use matryo_base::digest::Digest;

use super::{TextOrPair, Tokens};

/// What an entry costs besides its ids: key, pointer, spare room of the map, counts, and the allocator's share.
pub const BYTES_BESIDE_IDS: usize = 96;

fn bytes(tokens: &Tokens) -> usize {
    let types = tokens.types.as_deref().map_or(0, size_of_val);
    BYTES_BESIDE_IDS + size_of_val(&*tokens.ids) + types
}

/// Identity of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// Lengths are hashed too, so that no two inputs give the same stream.
    pub(super) fn of(input: TextOrPair<'_>, prompt: &str, max_len: usize, route: usize) -> Self {
        let (text, second) = match input {
            TextOrPair::Text(text) => (text, None),
            TextOrPair::Pair(text, second) => (text, Some(second)),
        };
        let mut digest = Digest::new();
        digest.update((max_len as u64).to_le_bytes());
        digest.update((route as u64).to_le_bytes());
        for part in [Some(prompt), Some(text), second].into_iter().flatten() {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let bytes = digest.bytes();
        Self(std::array::from_fn(|i| bytes[i]))
    }
}

/// Token ids by text, while there is room.
#[derive(Default)]
pub(super) struct TokenCache {
    /// Bytes that are kept at most; 0 keeps and hashes nothing.
    limit: usize,
    kept: Mutex<Kept>,
    /// Texts that went through the tokenizer.
    tokenized: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    texts: HashMap<Key, Tokens>,
    bytes: usize,
}

impl TokenCache {
    /// Keeps up to `bytes`.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self {
            limit: bytes,
            ..Self::default()
        }
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Bytes that are kept at most.
    pub(super) fn room(&self) -> usize {
        self.limit
    }

    /// Texts that went through the tokenizer.
    pub(super) fn tokenized(&self) -> usize {
        self.tokenized.load(Ordering::Relaxed)
    }

    /// Counts texts that went through the tokenizer.
    pub(super) fn count(&self, texts: usize) {
        self.tokenized.fetch_add(texts, Ordering::Relaxed);
    }

    /// The ids of each key, if they are there.
    pub(super) fn get<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Vec<Option<Tokens>> {
        let kept = self.kept();
        keys.map(|key| kept.texts.get(key).cloned()).collect()
    }

    /// Counts these texts as tokenized, and keeps those for which there is room.
    pub(super) fn keep<'a>(&self, texts: impl Iterator<Item = (Key, &'a Tokens)>) {
        let mut kept = self.kept();
        let mut count = 0;
        for (key, tokens) in texts {
            count += 1;
            let bytes = kept.bytes + bytes(tokens);
            if bytes <= self.limit && kept.texts.insert(key, tokens.clone()).is_none() {
                kept.bytes = bytes;
            }
        }
        self.count(count);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept
            .lock()
            .expect("no one panics while holding the kept ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(len: usize) -> Tokens {
        Tokens {
            ids: vec![7; len].into(),
            types: None,
            truncated: false,
        }
    }

    #[test]
    fn whatever_decides_the_ids_makes_another_key() {
        let keys = [
            Key::of(TextOrPair::Text("ab"), "", 9, 0),
            Key::of(TextOrPair::Text("ab"), "", 8, 0),
            Key::of(TextOrPair::Text("b"), "a", 9, 0),
            Key::of(TextOrPair::Text("abc"), "", 9, 0),
            Key::of(TextOrPair::Pair("ab", "c"), "", 9, 0),
            Key::of(TextOrPair::Pair("a", "bc"), "", 9, 0),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
        assert_eq!(keys[0], Key::of(TextOrPair::Text("ab"), "", 9, 0));
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let key = |text| Key::of(TextOrPair::Text(text), "", 9, 0);
        let room = 2 * BYTES_BESIDE_IDS + 4 * (2 + 3);
        let cache = TokenCache::with_room(room);
        for (text, len) in [("a", 2), ("b", 4), ("c", 3), ("a", 2)] {
            let tokens = tokens(len);
            cache.keep([(key(text), &tokens)].into_iter());
        }
        let keys = ["a", "b", "c"].map(key);
        let found: Vec<bool> = cache.get(keys.iter()).iter().map(Option::is_some).collect();
        assert_eq!((found, cache.tokenized()), (vec![true, false, true], 4));
        assert!(!TokenCache::default().is_on());
    }
}
