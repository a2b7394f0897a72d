//! WordPiece: the longest piece of the vocabulary that a word begins with, then the longest that its rest begins with, to its end
//! (Wu et al. 2016). Most words are pieces themselves, which one look into a table shows.
//!
//! The texts of all tokens lie one after the other, and tables hold ids: a text of its own for each of 30,000 tokens took several times
//! the memory.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use tokenizers::{Model, models::wordpiece::WordPiece};

/// The vocabulary: the texts of all tokens in the order of their ids, and two tables of ids.
#[derive(Debug)]
pub(super) struct Pieces {
    texts: Texts,
    /// Tokens that begin a word.
    first: HashTable<u32>,
    /// Tokens that go on, looked for without the prefix that marks them.
    further: HashTable<u32>,
    prefix: usize,
    /// Bytes of the longest token.
    longest: usize,
    unknown: u32,
    /// Words of more characters are unknown as a whole.
    most_characters: usize,
}

/// Tokens by id, one behind the other.
#[derive(Debug)]
struct Texts {
    bytes: Box<[u8]>,
    /// Where each token starts, and where the last one ends. An id that the vocabulary leaves out has an empty text.
    starts: Box<[u32]>,
}

impl Texts {
    /// `None` if ids leave large gaps or stand for several tokens.
    fn of(model: &WordPiece) -> Option<Self> {
        let (mut bytes, mut starts) = (Vec::new(), vec![0]);
        let (mut found, all) = (0, model.get_vocab_size());
        // One after the other: the vocabulary as a whole would be a copy of it, 6 MiB of 30,000 tokens.
        let mut id = 0;
        while found < all {
            if id as usize >= 2 * all {
                return None;
            }
            if let Some(token) = model.id_to_token(id) {
                bytes.extend_from_slice(token.as_bytes());
                found += 1;
            }
            starts.push(u32::try_from(bytes.len()).ok()?);
            id += 1;
        }
        Some(Self {
            bytes: bytes.into_boxed_slice(),
            starts: starts.into_boxed_slice(),
        })
    }

    fn text(&self, id: u32) -> &[u8] {
        let id = id as usize;
        &self.bytes[self.starts[id] as usize..self.starts[id + 1] as usize]
    }

    /// Ids with a text.
    fn ids(&self) -> impl Iterator<Item = u32> {
        (0..self.starts.len() as u32 - 1).filter(|id| !self.text(*id).is_empty())
    }

    /// A table of ids by what follows the first `skipped` bytes of their texts.
    fn table(&self, ids: &[u32], skipped: usize) -> HashTable<u32> {
        let hasher = |id: &u32| hash(&self.text(*id)[skipped..]);
        let mut table = HashTable::with_capacity(ids.len());
        for id in ids {
            table.insert_unique(hasher(id), *id, hasher);
        }
        table
    }
}

fn hash(text: &[u8]) -> u64 {
    FxBuildHasher.hash_one(text)
}

impl Pieces {
    /// `None` if there is no token for the unknown, which text fails is then left to the crate, or if ids leave large gaps or stand for
    /// several tokens.
    pub(super) fn of(model: &WordPiece) -> Option<Self> {
        let unknown = model.token_to_id(&model.unk_token)?;
        let prefix = model.continuing_subword_prefix.as_bytes();
        let texts = Texts::of(model)?;
        // A word may begin with the prefix's own characters, so tokens that go on stand in both tables.
        let first: Vec<u32> = texts.ids().collect();
        let goes_on = |id: &u32| texts.text(*id).starts_with(prefix);
        let further: Vec<u32> = texts.ids().filter(goes_on).collect();
        Some(Self {
            first: texts.table(&first, 0),
            further: texts.table(&further, prefix.len()),
            prefix: prefix.len(),
            longest: texts.ids().map(|id| texts.text(id).len()).max()?,
            texts,
            unknown,
            most_characters: model.max_input_chars_per_word,
        })
    }

    /// Adds the pieces of a word that is not empty, or the unknown token.
    pub(super) fn split(&self, word: &[u8], characters: usize, ids: &mut Vec<u32>) {
        if characters > self.most_characters {
            return ids.push(self.unknown);
        }
        let before = ids.len();
        let (mut rest, mut table, mut skipped) = (word, &self.first, 0);
        while !rest.is_empty() {
            let Some((id, len)) = self.longest_piece(table, skipped, rest) else {
                ids.truncate(before);
                return ids.push(self.unknown);
            };
            ids.push(id);
            (rest, table, skipped) = (&rest[len..], &self.further, self.prefix);
        }
    }

    /// The token of a table that the most bytes of `rest` are, after the first `skipped` of its own, and how many they are.
    fn longest_piece(
        &self,
        table: &HashTable<u32>,
        skipped: usize,
        rest: &[u8],
    ) -> Option<(u32, usize)> {
        let mut len = rest.len().min(self.longest);
        while len > 0 {
            // Nothing ends inside a character.
            if rest.get(len).is_none_or(|byte| byte & 0xc0 != 0x80) {
                let wanted = &rest[..len];
                let is_wanted = |id: &u32| &self.texts.text(*id)[skipped..] == wanted;
                if let Some(id) = table.find(hash(wanted), is_wanted) {
                    return Some((*id, len));
                }
            }
            len -= 1;
        }
        None
    }
}
