//! Token ids of the texts of a window, and a memory that keeps them for texts that are encoded again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use matryo_base::Digest;

use crate::{ModelError, TokenIds};

/// Texts as token ids, one after the other.
#[derive(Debug, Default)]
pub(super) struct WindowTokens {
    ids: Vec<u32>,
    /// Where each text ends.
    ends: Vec<usize>,
    /// Texts that were cut.
    pub(super) truncated: usize,
}

/// Token ids from call to call, by window, while there is room: what comes first stays.
///
/// A window is recognised by the SHA-256 of what the tokenizer was given, so a changed text, prompt or length is another
/// window. Hashing passes over the bytes once, which is little beside tokenizing.
#[derive(Default)]
pub(super) struct TokenMemory {
    /// Bytes of ids that are kept at most; 0 keeps and hashes nothing.
    limit: usize,
    kept: Mutex<Kept>,
    /// Texts that went through the tokenizer.
    tokenized: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    windows: HashMap<Key, Arc<WindowTokens>>,
    bytes: usize,
}

type Key = [u8; 32];

/// What decides the ids of a window.
pub(super) struct Given<'a, S> {
    pub(super) texts: &'a [S],
    pub(super) prompt: &'a str,
    pub(super) max_len: usize,
}

impl WindowTokens {
    fn new(texts: &[TokenIds]) -> Self {
        let mut tokens = Self {
            ids: Vec::with_capacity(texts.iter().map(|t| t.ids.len()).sum()),
            ..Self::default()
        };
        for text in texts {
            tokens.ids.extend_from_slice(&text.ids);
            tokens.ends.push(tokens.ids.len());
            tokens.truncated += usize::from(text.truncated);
        }
        tokens
    }

    /// Tokens of all texts.
    pub(super) fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens of each text.
    pub(super) fn lengths(&self) -> Vec<usize> {
        (0..self.ends.len()).map(|i| self.text(i).len()).collect()
    }

    /// The ids of text `i`.
    pub(super) fn text(&self, i: usize) -> &[u32] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.ids[start..self.ends[i]]
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.ids) + size_of_val(&*self.ends)
    }
}

impl TokenMemory {
    /// Keeps up to `bytes` of ids.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self {
            limit: bytes,
            ..Self::default()
        }
    }

    /// Texts that went through the tokenizer.
    pub(super) fn tokenized(&self) -> usize {
        self.tokenized.load(Ordering::Relaxed)
    }

    /// The ids of `given`: kept ones, or else those that `tokenize` gives.
    pub(super) fn get<S: AsRef<str>>(
        &self,
        given: &Given<'_, S>,
        tokenize: impl FnOnce() -> Result<Vec<TokenIds>, ModelError>,
    ) -> Result<Arc<WindowTokens>, ModelError> {
        let key = (self.limit > 0).then(|| given.key());
        if let Some(known) = key.and_then(|key| self.kept().windows.get(&key).cloned()) {
            return Ok(known);
        }
        // Not under the lock: a thread that waits in the tokenizer may take up other work that needs it.
        let tokens = Arc::new(WindowTokens::new(&tokenize()?));
        self.tokenized
            .fetch_add(given.texts.len(), Ordering::Relaxed);
        if let Some(key) = key {
            self.kept().keep(key, &tokens, self.limit);
        }
        Ok(tokens)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept
            .lock()
            .expect("no one panics while holding the kept ids")
    }
}

impl Kept {
    fn keep(&mut self, key: Key, tokens: &Arc<WindowTokens>, limit: usize) {
        let bytes = self.bytes + tokens.bytes();
        if bytes <= limit && self.windows.insert(key, tokens.clone()).is_none() {
            self.bytes = bytes;
        }
    }
}

impl<S: AsRef<str>> Given<'_, S> {
    /// Texts are hashed with their lengths, so that no two windows give the same stream.
    fn key(&self) -> Key {
        let mut hash = Digest::new();
        hash.update((self.max_len as u64).to_le_bytes());
        for text in std::iter::once(self.prompt).chain(self.texts.iter().map(AsRef::as_ref)) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(
        memory: &TokenMemory,
        texts: &[&str],
        prompt: &str,
        max_len: usize,
    ) -> Arc<WindowTokens> {
        let one = |text: &&str| TokenIds {
            ids: vec![7; text.len()],
            truncated: text.len() > 3,
            full_len: text.len(),
        };
        memory
            .get(
                &Given {
                    texts,
                    prompt,
                    max_len,
                },
                || Ok(texts.iter().map(one).collect()),
            )
            .unwrap()
    }

    #[test]
    fn the_same_window_is_tokenized_once() {
        let memory = TokenMemory::with_room(1000);
        let first = get(&memory, &["ab", "", "abcd"], "", 9);
        assert!(Arc::ptr_eq(
            &first,
            &get(&memory, &["ab", "", "abcd"], "", 9)
        ));
        assert_eq!(
            (first.lengths(), first.tokens(), first.truncated),
            (vec![2, 0, 4], 6, 1)
        );
        assert_eq!(memory.tokenized(), 3);
    }

    #[test]
    fn whatever_decides_the_ids_makes_another_window() {
        let memory = TokenMemory::with_room(1000);
        let windows: [(&[&str], &str, usize); 5] = [
            (&["ab", "c"], "", 9),
            (&["a", "bc"], "", 9),
            (&["abc"], "", 9),
            (&["ab", "c"], "p", 9),
            (&["ab", "c"], "", 8),
        ];
        let texts: usize = windows.iter().map(|(texts, ..)| texts.len()).sum();
        for (texts, prompt, max_len) in windows {
            get(&memory, texts, prompt, max_len);
        }
        assert_eq!(memory.tokenized(), texts);
    }

    #[test]
    fn what_does_not_fit_is_tokenized_again() {
        let bytes = |texts: usize, tokens: usize| 4 * tokens + size_of::<usize>() * texts;
        let memory = TokenMemory::with_room(bytes(1, 2) + bytes(1, 3));
        for _ in 0..2 {
            for text in ["ab", "abcd", "abc"] {
                get(&memory, &[text], "", 9);
            }
        }
        assert_eq!(memory.tokenized(), 4, "`abcd` twice");
        let forgetful = TokenMemory::default();
        (0..2).for_each(|_| drop(get(&forgetful, &["ab"], "", 9)));
        assert_eq!(forgetful.tokenized(), 2);
    }
}
