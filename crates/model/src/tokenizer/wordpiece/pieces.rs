//! WordPiece: the longest piece of the vocabulary that a word begins with, then the longest that its rest begins with, to its end
//! (Wu et al. 2016). Most words are pieces themselves, which one look into a table shows.
//!
//! The texts of all pieces lie one after the other, and tables hold places in them: a text of its own for each of 30,000 pieces took
//! several times the memory.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use tokenizers::{Model, models::wordpiece::WordPiece};

/// A piece of the vocabulary.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u32,
    len: u32,
    id: u32,
}

/// The vocabulary as two tables.
#[derive(Debug)]
pub(super) struct Pieces {
    /// The texts of all pieces.
    texts: Box<[u8]>,
    /// Pieces that begin a word.
    first: HashTable<Piece>,
    /// Pieces that go on, without the prefix that marks them.
    further: HashTable<Piece>,
    /// Bytes of the longest piece.
    longest: usize,
    unknown: u32,
    /// Words of more characters are unknown as a whole.
    most_characters: usize,
}

fn hash(text: &[u8]) -> u64 {
    FxBuildHasher.hash_one(text)
}

fn text(texts: &[u8], piece: Piece) -> &[u8] {
    &texts[piece.start as usize..][..piece.len as usize]
}

/// A table of pieces, by their texts.
fn table(texts: &[u8], pieces: &[Piece]) -> HashTable<Piece> {
    let hasher = |piece: &Piece| hash(text(texts, *piece));
    let mut table = HashTable::with_capacity(pieces.len());
    for piece in pieces {
        table.insert_unique(hasher(piece), *piece, hasher);
    }
    table
}

/// Tokens with their ids, one after the other: the vocabulary as a whole would be a copy of it, 6 MiB of 30,000 tokens. Those above
/// twice their number are left out.
fn tokens(model: &WordPiece) -> impl Iterator<Item = (String, u32)> {
    let most = u32::try_from(2 * model.get_vocab_size()).unwrap_or(u32::MAX);
    (0..most).filter_map(|id| Some((model.id_to_token(id)?, id)))
}

impl Pieces {
    /// `None` if there is no token for the unknown, which text fails is then left to the crate, or if ids leave large gaps or stand for
    /// several tokens.
    pub(super) fn of(model: &WordPiece) -> Option<Self> {
        let unknown = model.token_to_id(&model.unk_token)?;
        let prefix = &model.continuing_subword_prefix;
        let mut texts = Vec::new();
        let (mut first, mut further) = (Vec::new(), Vec::new());
        for (token, id) in tokens(model) {
            let piece = Piece {
                start: u32::try_from(texts.len()).ok()?,
                len: u32::try_from(token.len()).ok()?,
                id,
            };
            texts.extend_from_slice(token.as_bytes());
            // A word may begin with the prefix's own characters, so such a piece stands in both tables.
            first.push(piece);
            if token.starts_with(prefix.as_str()) {
                let skipped = prefix.len() as u32;
                further.push(Piece {
                    start: piece.start + skipped,
                    len: piece.len - skipped,
                    ..piece
                });
            }
        }
        if first.len() < model.get_vocab_size() {
            return None;
        }
        let longest = first.iter().map(|piece| piece.len as usize).max();
        Some(Self {
            first: table(&texts, &first),
            further: table(&texts, &further),
            texts: texts.into_boxed_slice(),
            longest: longest.unwrap_or(0),
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
        let (mut rest, mut table) = (word, &self.first);
        while !rest.is_empty() {
            let Some(piece) = self.longest_piece(table, rest) else {
                ids.truncate(before);
                return ids.push(self.unknown);
            };
            ids.push(piece.id);
            (rest, table) = (&rest[piece.len as usize..], &self.further);
        }
    }

    fn longest_piece(&self, table: &HashTable<Piece>, rest: &[u8]) -> Option<Piece> {
        let mut len = rest.len().min(self.longest);
        while len > 0 {
            // Nothing ends inside a character.
            if rest.get(len).is_none_or(|byte| byte & 0xc0 != 0x80) {
                let wanted = &rest[..len];
                let is_wanted = |piece: &Piece| text(&self.texts, *piece) == wanted;
                if let Some(piece) = table.find(hash(wanted), is_wanted) {
                    return Some(*piece);
                }
            }
            len -= 1;
        }
        None
    }
}
