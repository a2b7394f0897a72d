//! What BERT's normalisation and splitting make of each character. The `tokenizers` crate is asked, one character at a time, when a
//! character comes for the first time; ASCII at once.
//!
//! This is sound because both work character by character, but for one thing: decomposing accents (NFD) sorts marks that follow each
//! other by their combining class. Marks that are stripped do not matter. One that is kept and has a class is [`Becomes::Undecided`].

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    normalizers::BertNormalizer, pre_tokenizers::bert::BertPreTokenizer,
};

/// What a character becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// An ASCII letter, digit or the like.
    Letter(u8),
    /// Part of a word: up to three characters, as a Hangul syllable has.
    Letters([Option<char>; 3]),
    /// It is dropped.
    Nothing,
    /// It ends a word.
    Space,
    /// A word by itself: punctuation, or a Chinese character, around which spaces are put.
    Alone(char),
    /// It depends on its neighbours, or becomes something rare.
    Undecided,
}

const PAGE: usize = 256;
const PAGES: usize = (char::MAX as usize + 1).div_ceil(PAGE);

/// Characters of a page, 0 where one did not come yet.
type Page = [AtomicU64; PAGE];

/// The table of all characters, filled as they come.
#[derive(Debug)]
pub(super) struct Characters {
    ascii: [Becomes; 128],
    pages: Box<[OnceLock<Box<Page>>]>,
    normalizer: BertNormalizer,
    splitter: BertPreTokenizer,
}

impl Characters {
    pub(super) fn new(normalizer: BertNormalizer, splitter: BertPreTokenizer) -> Self {
        let mut characters = Self {
            ascii: [Becomes::Undecided; 128],
            pages: (0..PAGES).map(|_| OnceLock::new()).collect(),
            normalizer,
            splitter,
        };
        for byte in 0..128_u8 {
            let becomes = characters.ask(byte.into());
            characters.ascii[usize::from(byte)] = match becomes {
                Becomes::Letters([Some(one), None, None]) if one.is_ascii() => {
                    Becomes::Letter(one as u8)
                }
                other => other,
            };
        }
        characters
    }

    pub(super) fn of_ascii(&self, byte: u8) -> Becomes {
        self.ascii[usize::from(byte)]
    }

    pub(super) fn of(&self, character: char) -> Becomes {
        let (page, place) = (character as usize / PAGE, character as usize % PAGE);
        let page = self.pages[page]
            .get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(UNKNOWN))));
        // Relaxed: the number is all there is, and any thread finds the same.
        match decode(page[place].load(Ordering::Relaxed)) {
            Some(becomes) => becomes,
            None => {
                let becomes = self.ask(character);
                page[place].store(encode(becomes), Ordering::Relaxed);
                becomes
            }
        }
    }

    /// What the crate makes of a character.
    fn ask(&self, character: char) -> Becomes {
        let mut normalized = NormalizedString::from(character.to_string());
        if self.normalizer.normalize(&mut normalized).is_err() {
            return Becomes::Undecided;
        }
        let text = normalized.get();
        let kept: Vec<(char, Kind)> = text
            .chars()
            .filter_map(|c| Some((c, self.kind(c)?)))
            .filter(|(_, kind)| *kind != Kind::Space)
            .collect();
        let is_whole = kept.len() == text.chars().filter(|c| !c.is_whitespace()).count();
        let is_sorted = self
            .normalizer
            .strip_accents
            .unwrap_or(self.normalizer.lowercase);
        if !is_whole || is_sorted && kept.iter().any(|(c, _)| has_class(*c)) {
            return Becomes::Undecided;
        }
        let has_space = text.chars().count() > kept.len();
        match kept[..] {
            [] if has_space => Becomes::Space,
            [] => Becomes::Nothing,
            // Spaces on both sides of a Chinese character do what splitting does around punctuation.
            [(c, Kind::Punctuation)] => Becomes::Alone(c),
            [(c, _)] if text.starts_with(' ') && text.ends_with(' ') => Becomes::Alone(c),
            _ if has_space || kept.len() > 3 => Becomes::Undecided,
            _ if kept.iter().any(|(_, kind)| *kind != Kind::Letter) => Becomes::Undecided,
            _ => Becomes::Letters(std::array::from_fn(|i| kept.get(i).map(|(c, _)| *c))),
        }
    }

    /// What the splitting sees in a normalised character, by what becomes of it between two letters.
    fn kind(&self, character: char) -> Option<Kind> {
        let mut text = PreTokenizedString::from(format!("a{character}a"));
        self.splitter.pre_tokenize(&mut text).ok()?;
        let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
        match splits.len() {
            1 => Some(Kind::Letter),
            2 => Some(Kind::Space),
            3 => Some(Kind::Punctuation),
            _ => None,
        }
    }
}

/// What a normalised character is to the splitting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Space,
    Punctuation,
}

/// Whether NFD may move a character: whether it has a canonical combining class, which the crate shows by sorting. U+0345 has the highest
/// class of all.
fn has_class(character: char) -> bool {
    const HIGHEST: char = '\u{345}';
    let mut text = NormalizedString::from(format!("a{HIGHEST}{character}"));
    text.nfd();
    character == HIGHEST || !text.get().starts_with(&format!("a{HIGHEST}"))
}

/// Numbers of the cases in the low bits, characters of 20 bits above them.
const UNKNOWN: u64 = 0;
const NOTHING: u64 = 1;
const SPACE: u64 = 2;
const ALONE: u64 = 3;
const LETTERS: u64 = 4;
const UNDECIDED: u64 = 5;
const CASE_BITS: usize = 4;
const CHARACTER_BITS: usize = 20;
const CHARACTER_MASK: u64 = (1 << CHARACTER_BITS) - 1;

fn encode(becomes: Becomes) -> u64 {
    let packed = |case: u64, characters: [Option<char>; 3]| {
        let numbers = characters.map(|c| c.map_or(0, |c| c as u64));
        // The last plane, for private use, has larger numbers.
        if numbers.iter().any(|number| *number > CHARACTER_MASK) {
            return UNDECIDED;
        }
        let shifted = numbers.iter().enumerate();
        shifted.fold(case, |packed, (i, number)| {
            packed | number << (CASE_BITS + i * CHARACTER_BITS)
        })
    };
    match becomes {
        Becomes::Letter(byte) => packed(LETTERS, [Some(byte.into()), None, None]),
        Becomes::Letters(characters) => packed(LETTERS, characters),
        Becomes::Nothing => NOTHING,
        Becomes::Space => SPACE,
        Becomes::Alone(character) => packed(ALONE, [Some(character), None, None]),
        Becomes::Undecided => UNDECIDED,
    }
}

fn decode(packed: u64) -> Option<Becomes> {
    let character = |i: usize| {
        let number = packed >> (CASE_BITS + i * CHARACTER_BITS) & CHARACTER_MASK;
        // NUL is dropped, so 0 stands for no character.
        char::from_u32(number as u32).filter(|c| *c != '\0')
    };
    Some(match packed & ((1 << CASE_BITS) - 1) {
        NOTHING => Becomes::Nothing,
        SPACE => Becomes::Space,
        ALONE => Becomes::Alone(character(0)?),
        LETTERS => Becomes::Letters(std::array::from_fn(character)),
        UNDECIDED => Becomes::Undecided,
        _ => return None,
    })
}
