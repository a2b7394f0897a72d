//! WordPiece: the longest piece of the vocabulary that a word begins with, then the longest that its rest begins with, to its end
//! (Wu et al. 2016). Most words are pieces themselves, which one look into a table shows.

use rustc_hash::FxHashMap;
use tokenizers::models::wordpiece::WordPiece;

type Table = FxHashMap<Box<[u8]>, u32>;

/// The vocabulary as two tables.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Pieces that begin a word.
    first: Table,
    /// Pieces that go on, without the prefix that marks them, and the bytes of the longest.
    further: Table,
    longest: usize,
    unknown: u32,
    /// Words of more characters are unknown as a whole.
    most_characters: usize,
}

impl Pieces {
    /// `None` if there is no token for the unknown: which text fails is then left to the crate.
    pub(super) fn of(model: &WordPiece) -> Option<Self> {
        use tokenizers::Model;
        let vocabulary = model.get_vocab();
        let prefix = &model.continuing_subword_prefix;
        let mut pieces = Self {
            first: Table::default(),
            further: Table::default(),
            longest: 0,
            unknown: *vocabulary.get(&model.unk_token)?,
            most_characters: model.max_input_chars_per_word,
        };
        for (token, id) in vocabulary {
            if let Some(rest) = token.strip_prefix(prefix.as_str()) {
                pieces.longest = pieces.longest.max(rest.len());
                pieces.further.insert(rest.as_bytes().into(), id);
            }
            // A word may begin with the prefix's own characters.
            pieces.longest = pieces.longest.max(token.len());
            pieces.first.insert(token.into_bytes().into(), id);
        }
        Some(pieces)
    }

    /// Adds the pieces of a word that is not empty, or the unknown token.
    pub(super) fn split(&self, word: &[u8], characters: usize, ids: &mut Vec<u32>) {
        if characters > self.most_characters {
            return ids.push(self.unknown);
        }
        let before = ids.len();
        let (mut rest, mut table) = (word, &self.first);
        while !rest.is_empty() {
            let Some((id, len)) = self.longest_piece(table, rest) else {
                ids.truncate(before);
                return ids.push(self.unknown);
            };
            ids.push(id);
            (rest, table) = (&rest[len..], &self.further);
        }
    }

    fn longest_piece(&self, table: &Table, rest: &[u8]) -> Option<(u32, usize)> {
        let mut len = rest.len().min(self.longest);
        while len > 0 {
            // Nothing ends inside a character.
            let is_boundary = rest.get(len).is_none_or(|byte| byte & 0xc0 != 0x80);
            if is_boundary && let Some(id) = table.get(&rest[..len]) {
                return Some((*id, len));
            }
            len -= 1;
        }
        None
    }
}
