//! BERT's normalisation, splitting and WordPiece in one pass over a text, without a string for each step: the ids that the `tokenizers`
//! crate gives, many times faster.
//!
//! What is asked of the crate once, and not written down again here, is what a character becomes (`characters`), what the template adds
//! (`frame` of the tokenizer above) and the vocabulary. A text with anything that is not decided character by character goes to the
//! crate: an added token, such as `[SEP]` typed by a user, and marks that Unicode may put into another order.

mod characters;
mod pieces;

use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

use characters::{Becomes, Characters};
use pieces::Pieces;

/// A tokenizer of BERT's kind.
#[derive(Debug)]
pub(super) struct FastWordPiece {
    characters: Characters,
    pieces: Pieces,
    /// Added tokens, none of them empty, and the bytes that begin one.
    added: Vec<Box<str>>,
    starts_added: [bool; 256],
}

impl FastWordPiece {
    /// `None` for a tokenizer of another kind, or with settings that are not understood here.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = tokenizer.get_normalizer() else {
            return None;
        };
        let Some(PreTokenizerWrapper::BertPreTokenizer(splitter)) = tokenizer.get_pre_tokenizer()
        else {
            return None;
        };
        let ModelWrapper::WordPiece(model) = tokenizer.get_model() else {
            return None;
        };
        let mut added = Vec::new();
        let mut starts_added = [false; 256];
        for token in tokenizer.get_added_tokens_decoder().into_values() {
            // Looked for in the text after normalisation, which is never there as a whole.
            if token.normalized {
                return None;
            }
            starts_added[usize::from(*token.content.as_bytes().first()?)] = true;
            added.push(token.content.into_boxed_str());
        }
        Some(Self {
            characters: Characters::new(*normalizer, *splitter),
            pieces: Pieces::of(model)?,
            added,
            starts_added,
        })
    }

    /// The ids of a text without special tokens; `None` if it has to go to the crate.
    pub(super) fn ids(&self, text: &str) -> Option<Vec<u32>> {
        // About one token for five bytes of English.
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        let mut word = Word::default();
        let mut rest = text;
        while let Some(&first) = rest.as_bytes().first() {
            if self.starts_added[usize::from(first)] && self.starts_with_added(rest) {
                return None;
            }
            let (becomes, len) = if first.is_ascii() {
                (self.characters.of_ascii(first), 1)
            } else {
                let character = rest.chars().next()?;
                (self.characters.of(character), character.len_utf8())
            };
            rest = &rest[len..];
            match becomes {
                Becomes::Letter(byte) => word.push_ascii(byte),
                Becomes::Letters(characters) => word.push(characters),
                Becomes::Nothing => {}
                Becomes::Space => self.end(&mut word, &mut ids),
                Becomes::Alone(character) => {
                    self.end(&mut word, &mut ids);
                    word.push([Some(character), None, None]);
                    self.end(&mut word, &mut ids);
                }
                Becomes::Undecided => return None,
            }
        }
        self.end(&mut word, &mut ids);
        Some(ids)
    }

    fn starts_with_added(&self, rest: &str) -> bool {
        self.added.iter().any(|token| rest.starts_with(&**token))
    }

    /// The pieces of a word, if there is one, which is empty afterwards.
    fn end(&self, word: &mut Word, ids: &mut Vec<u32>) {
        if word.characters > 0 {
            self.pieces.split(&word.bytes, word.characters, ids);
            word.bytes.clear();
            word.characters = 0;
        }
    }
}

/// A normalised word under way, in UTF-8.
#[derive(Default)]
struct Word {
    bytes: Vec<u8>,
    characters: usize,
}

impl Word {
    fn push_ascii(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.characters += 1;
    }

    fn push(&mut self, characters: [Option<char>; 3]) {
        for character in characters.into_iter().flatten() {
            let mut buffer = [0; 4];
            let encoded = character.encode_utf8(&mut buffer);
            self.bytes.extend_from_slice(encoded.as_bytes());
            self.characters += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use matryo_testkit::tiny_bert;
    use tokenizers::{
        AddedToken, models::wordpiece::WordPiece, normalizers::BertNormalizer,
        pre_tokenizers::bert::BertPreTokenizer,
    };

    use super::*;

    /// In this order: the settings of an English model, of one that keeps the case, of one that strips accents only, of one that does not
    /// clean the text, and of one that does not split Chinese characters.
    fn normalizers() -> [BertNormalizer; 5] {
        [
            BertNormalizer::new(true, true, None, true),
            BertNormalizer::new(true, true, None, false),
            BertNormalizer::new(true, true, Some(true), false),
            BertNormalizer::new(false, true, Some(false), true),
            BertNormalizer::new(true, false, None, true),
        ]
    }

    /// A tokenizer of these pieces.
    fn tokenizer(normalizer: BertNormalizer, pieces: &[String]) -> Tokenizer {
        let lines = format!("[UNK]\n[SEP]\n{}", pieces.join("\n"));
        let model = WordPiece::builder()
            .vocab(WordPiece::read_bytes(lines.as_bytes()).unwrap())
            .unk_token("[UNK]".into())
            .max_input_chars_per_word(12)
            .build();
        let mut tokenizer = Tokenizer::new(model.unwrap());
        tokenizer.with_normalizer(Some(normalizer)).unwrap();
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        let special = ["[UNK]", "[SEP]"].map(|token| AddedToken::from(token, true));
        tokenizer.add_special_tokens(special.to_vec()).unwrap();
        tokenizer
    }

    /// Whether the short way was taken; its ids must be the crate's.
    #[track_caller]
    fn agree(fast: &FastWordPiece, tokenizer: &Tokenizer, text: &str) -> bool {
        let Some(ids) = fast.ids(text) else {
            return false;
        };
        let encoding = tokenizer.encode_fast(text, false).unwrap();
        assert_eq!(ids, encoding.get_ids(), "{text:?}");
        true
    }

    /// Each character in a vocabulary that has all of its neighbours, so that a wrong one is another token and not an unknown one.
    #[test]
    fn every_character() {
        const RANGE: u32 = 4096;
        for normalizer in normalizers() {
            let (mut taken, mut all) = (0, 0);
            // Planes 3 to 13 have no characters so far; the last two are for private use.
            for start in (0..0x3_2000)
                .step_by(RANGE as usize)
                .chain([0xe_0000, 0x10_f000])
            {
                let characters: Vec<char> =
                    (start..start + RANGE).filter_map(char::from_u32).collect();
                let mut pieces = Vec::new();
                for c in &characters {
                    let mut normalized = tokenizers::NormalizedString::from(c.to_string());
                    tokenizers::Normalizer::normalize(&normalizer, &mut normalized).unwrap();
                    pieces.extend(normalized.get().chars().map(String::from));
                }
                pieces.extend(["x", "y", "z"].map(String::from));
                pieces.sort_unstable();
                pieces.dedup();
                pieces.retain(|piece| !piece.trim_end().is_empty());
                let further: Vec<String> =
                    pieces.iter().map(|piece| format!("##{piece}")).collect();
                pieces.extend(further);
                let tokenizer = tokenizer(normalizer, &pieces);
                let fast = FastWordPiece::of(&tokenizer).unwrap();
                for c in characters {
                    let text = format!("x{c}y {c} {c}{c}z");
                    taken += usize::from(agree(&fast, &tokenizer, &text));
                    all += 1;
                }
            }
            // The others are marks that are kept, and private.
            assert!(taken * 100 >= all * 97, "{taken} of {all}");
        }
    }

    /// Numbers that look random.
    fn random(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_add(1);
        (matryo_base::random::mix(*state) >> 33) as usize % below
    }

    /// Words of scripts, marks and signs, with pieces that lead into dead ends.
    #[test]
    fn random_texts() {
        const ALPHABETS: [&str; 7] = [
            "abcdeABCDE01.,-'\"[]#",
            "äéÉñçßİΣσςЖжё",
            "日本語漢字ひらカナ、。",
            "한국어가각힣",
            "e\u{301}\u{327}\u{308}\u{345}x",
            "हिन्दी\u{93f}\u{94d}தமி",
            "🚀\u{200d}👩\u{fe0f}\0\u{7}\u{ad}\t\n\r\u{2028}\u{a0}\u{fffd}",
        ];
        let mut state = 7;
        let mut taken = 0;
        for normalizer in normalizers() {
            let all: Vec<char> = ALPHABETS.concat().to_lowercase().chars().collect();
            let mut pieces: Vec<String> = Vec::new();
            for _ in 0..4000 {
                let len = 1 + random(&mut state, 4);
                let piece: String = (0..len)
                    .map(|_| all[random(&mut state, all.len())])
                    .collect();
                let prefix = ["", "##"][random(&mut state, 2)];
                pieces.push(format!("{prefix}{piece}").replace(char::is_whitespace, "_"));
            }
            pieces.extend(
                all.iter()
                    .filter(|c| !c.is_whitespace())
                    .map(char::to_string),
            );
            pieces.sort_unstable();
            pieces.dedup();
            let tokenizer = tokenizer(normalizer, &pieces);
            let fast = FastWordPiece::of(&tokenizer).unwrap();
            for _ in 0..20_000 {
                let mut text = String::new();
                for _ in 0..random(&mut state, 12) {
                    let alphabet: Vec<char> = ALPHABETS[random(&mut state, ALPHABETS.len())]
                        .chars()
                        .collect();
                    for _ in 0..random(&mut state, 8) {
                        text.push(alphabet[random(&mut state, alphabet.len())]);
                    }
                    text += ["", " ", "[SEP]", "a"][random(&mut state, 4)];
                }
                taken += usize::from(agree(&fast, &tokenizer, &text));
            }
        }
        assert!(taken > 20_000, "{taken}");
    }

    #[test]
    fn what_goes_to_the_crate() {
        let path = tiny_bert().join("tokenizer.json");
        let tokenizer = Tokenizer::from_file(&path).unwrap();
        let fast = FastWordPiece::of(&tokenizer).unwrap();
        for text in [
            "",
            "What was the total revenue in 2019?",
            "[sep] [ SEP]",
            "Ünïcödé 日本語 한국어 🚀",
        ] {
            assert!(agree(&fast, &tokenizer, text), "{text}");
        }
        for text in ["a [SEP] b", "[CLS]", "\u{93f}\u{302e}"] {
            assert_eq!(fast.ids(text), None, "{text}");
        }
        let mut normalized = tokenizer.clone();
        let token = AddedToken::from("goodwill", false).normalized(true);
        normalized.add_tokens(vec![token]).unwrap();
        assert!(FastWordPiece::of(&normalized).is_none());
    }
}
