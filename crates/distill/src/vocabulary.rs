//! The static model's tokenizer: the encoder's, without the special tokens that its template adds and without tokens that stand for
//! nothing, with words of the user's.
//!
//! tokenizer.json is changed as JSON, since the `tokenizers` crate cannot take tokens out of a vocabulary.

use std::{collections::HashSet, path::Path};

use matryo_model::{ModelFolder, SentenceEncoder, TokenRules, Tokenizer};
use serde_json::{Map, Value, json};
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use crate::DistillError;

/// Tokens at which the static model cuts a text, as model2vec sets it.
const LONGEST: usize = 512;

/// The new tokenizer and what stands for its tokens.
pub(crate) struct Vocabulary {
    pub(crate) tokenizer: Value,
    /// The encoder's input for each token, by its new id.
    pub(crate) tokens: Vec<Vec<u32>>,
    pub(crate) notes: Vec<String>,
}

/// One token of the old vocabulary.
struct Token {
    text: String,
    id: u32,
    /// Unigram's.
    score: Value,
}

/// A word of the user's, normalised.
enum Word {
    /// A token of its own.
    Whole(String),
    /// More than one to the tokenizer: found in texts as a whole.
    Phrase(String),
}

impl Vocabulary {
    pub(crate) fn of(model: &SentenceEncoder, words: &[String]) -> Result<Self, DistillError> {
        let folder = model.folder();
        if folder.input.rules != TokenRules::Encoder {
            return Err(DistillError::NoTokens {
                folder: folder.path.clone(),
            });
        }
        let mut source = Source::read(folder, model.tokenizer())?;
        let kept = source.kept()?;
        let (before, after) = source.frame.clone();
        let framed = |ids: &[u32]| [&before, ids, &after].concat();
        let mut tokens: Vec<Vec<u32>> = kept.iter().map(|token| framed(&[token.id])).collect();
        let mut notes = Vec::new();
        let added = source.words(words, &kept, &mut notes)?;
        for word in &added {
            let (Word::Whole(text) | Word::Phrase(text)) = word;
            let ids = model.tokenizer().encode(text, model.max_seq_length())?.ids;
            tokens.push(ids);
        }
        if tokens.is_empty() {
            return Err(DistillError::Empty);
        }
        let tokenizer = source.written(kept, added)?;
        Ok(Self {
            tokenizer,
            tokens,
            notes,
        })
    }
}

/// The encoder's tokenizer.
struct Source {
    json: Value,
    inner: tokenizers::Tokenizer,
    path: std::path::PathBuf,
    /// The tokens for what is unknown and for padding, which stay special.
    unknown: Option<String>,
    padding: Option<String>,
    /// Ids that the template puts before and after a text.
    frame: (Vec<u32>, Vec<u32>),
}

impl Source {
    fn read(folder: &ModelFolder, tokenizer: &Tokenizer) -> Result<Self, DistillError> {
        let path = folder.text_dir().join("tokenizer.json");
        let wrong = |reason: String| DistillError::Tokenizer {
            path: path.clone(),
            reason,
        };
        let text = tokenizer.to_json()?;
        let json: Value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let inner = text
            .parse()
            .map_err(|e: tokenizers::Error| wrong(e.to_string()))?;
        let frame = tokenizer.frame().ok_or_else(|| {
            wrong("what the tokenizer puts around a text is not the same for every text".into())
        })?;
        let unknown = match json["model"]["unk_id"].as_u64() {
            Some(id) => json["model"]["vocab"][id as usize][0].as_str(),
            None => json["model"]["unk_token"].as_str(),
        };
        let config = Config::beside(&path);
        let padding = json["padding"]["pad_token"].as_str();
        Ok(Self {
            unknown: unknown.map(str::to_owned).or(config.token("unk_token")),
            padding: config.token("pad_token").or(padding.map(str::to_owned)),
            frame,
            inner,
            path,
            json,
        })
    }

    fn wrong(&self, reason: &str) -> DistillError {
        DistillError::Tokenizer {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }

    fn is_special(&self, text: &str) -> bool {
        [&self.unknown, &self.padding]
            .into_iter()
            .flatten()
            .any(|special| special == text)
    }

    /// All tokens by id: the model's, and added ones that it does not have.
    fn tokens(&self) -> Result<Vec<Token>, DistillError> {
        let token = |text: &str, id: u64, score: Value| Token {
            text: text.to_owned(),
            id: id as u32,
            score,
        };
        let vocabulary = &self.json["model"]["vocab"];
        let mut tokens: Vec<Token> = match vocabulary {
            Value::Object(map) => map
                .iter()
                .filter_map(|(text, id)| Some(token(text, id.as_u64()?, Value::Null)))
                .collect(),
            Value::Array(pieces) => pieces
                .iter()
                .enumerate()
                .filter_map(|(id, piece)| {
                    Some(token(piece[0].as_str()?, id as u64, piece[1].clone()))
                })
                .collect(),
            _ => return Err(self.wrong("the tokenizer's model has no `vocab`")),
        };
        let known: HashSet<&str> = tokens.iter().map(|token| &*token.text).collect();
        let added = self.json["added_tokens"].as_array().into_iter().flatten();
        let further: Vec<Token> = added
            .filter_map(|added| Some((added["content"].as_str()?, added["id"].as_u64()?)))
            .filter(|(text, _)| !known.contains(text))
            .map(|(text, id)| token(text, id, json!(0.0)))
            .collect();
        tokens.extend(further);
        tokens.sort_by_key(|token| token.id);
        Ok(tokens)
    }

    /// The tokens that stay: neither added, but for unknown and padding, nor kept free for later use.
    fn kept(&self) -> Result<Vec<Token>, DistillError> {
        let added = self.json["added_tokens"].as_array().into_iter().flatten();
        let added: HashSet<&str> = added
            .filter_map(|token| token["content"].as_str())
            .collect();
        let stays = |token: &Token| {
            self.is_special(&token.text) || !added.contains(&*token.text) && !is_unused(&token.text)
        };
        Ok(self.tokens()?.into_iter().filter(stays).collect())
    }

    /// The user's words as the tokenizer sees them, each once, without those that are tokens already.
    fn words(
        &self,
        words: &[String],
        kept: &[Token],
        notes: &mut Vec<String>,
    ) -> Result<Vec<Word>, DistillError> {
        let is_bpe = self.json["model"]["type"] == "BPE";
        if is_bpe && !words.is_empty() {
            return Err(self.wrong(
                "words cannot be added to a BPE tokenizer, whose tokens are made by merges",
            ));
        }
        let mut known: HashSet<String> = kept.iter().map(|token| token.text.clone()).collect();
        let mut added = Vec::new();
        let mut left_out = 0;
        for word in words {
            let parts = self.parts(word)?;
            let new = match &parts[..] {
                [] => None,
                [one] => Some(Word::Whole(one.clone())),
                _ => Some(Word::Phrase(self.normalized(word)?.trim().to_owned())),
            };
            match new {
                Some(Word::Whole(text)) if known.contains(&text) || is_unused(&text) => {
                    left_out += 1
                }
                Some(Word::Phrase(text)) if text.is_empty() || known.contains(&text) => {
                    left_out += 1
                }
                Some(word) => {
                    let (Word::Whole(text) | Word::Phrase(text)) = &word;
                    known.insert(text.clone());
                    added.push(word);
                }
                None => left_out += 1,
            }
        }
        if left_out > 0 {
            notes.push(format!(
                "{left_out} of {} words are empty to the tokenizer, or tokens already",
                words.len()
            ));
        }
        // Phrases are added tokens, which come last.
        added.sort_by_key(|word| matches!(word, Word::Phrase(_)));
        Ok(added)
    }

    fn normalized(&self, word: &str) -> Result<String, DistillError> {
        let mut text = NormalizedString::from(word);
        if let Some(normalizer) = self.inner.get_normalizer() {
            let normalized = normalizer.normalize(&mut text);
            normalized.map_err(|error| self.wrong(&error.to_string()))?;
        }
        Ok(text.get().to_owned())
    }

    /// A word as the tokenizer normalises and splits it.
    fn parts(&self, word: &str) -> Result<Vec<String>, DistillError> {
        let mut text = PreTokenizedString::from(&*self.normalized(word)?);
        if let Some(splitter) = self.inner.get_pre_tokenizer() {
            let split = splitter.pre_tokenize(&mut text);
            split.map_err(|error| self.wrong(&error.to_string()))?;
        }
        let parts = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
        let parts = parts.into_iter().map(|(part, ..)| part.to_owned());
        Ok(parts.filter(|part| !part.trim().is_empty()).collect())
    }

    /// tokenizer.json of these tokens and then the words, numbered from 0.
    fn written(&mut self, kept: Vec<Token>, added: Vec<Word>) -> Result<Value, DistillError> {
        let special: Vec<Value> = kept
            .iter()
            .enumerate()
            .filter(|(_, token)| self.is_special(&token.text))
            .map(|(id, token)| added_token(id, &token.text, true))
            .collect();
        let first_word = kept.len();
        let phrases: Vec<Value> = added
            .iter()
            .enumerate()
            .filter_map(|(i, word)| match word {
                Word::Phrase(text) => Some(added_token(first_word + i, text, false)),
                Word::Whole(_) => None,
            })
            .collect();
        let unknown = self.unknown.as_deref();
        let unknown = kept.iter().position(|token| Some(&*token.text) == unknown);
        let is_list = self.json["model"]["vocab"].is_array();
        let vocabulary = if is_list {
            let scores = kept.iter().filter_map(|token| token.score.as_f64());
            let least = scores.fold(0.0, f64::min);
            let pieces = kept
                .into_iter()
                .map(|token| json!([token.text, token.score]));
            let words = added
                .iter()
                .map(|(Word::Whole(text) | Word::Phrase(text))| json!([text, least]));
            pieces.chain(words).collect()
        } else {
            let texts = kept.into_iter().map(|token| token.text);
            let words = added
                .into_iter()
                .map(|(Word::Whole(text) | Word::Phrase(text))| text);
            let entries = texts.chain(words).enumerate();
            Value::Object(
                entries
                    .map(|(id, text)| (text, json!(id)))
                    .collect::<Map<_, _>>(),
            )
        };
        let json = &mut self.json;
        json["model"]["vocab"] = vocabulary;
        if is_list {
            json["model"]["unk_id"] = json!(unknown);
        } else {
            json["model"]["unk_token"] = json!(self.unknown);
        }
        json["added_tokens"] = special.into_iter().chain(phrases).collect();
        json["post_processor"] = Value::Null;
        json["padding"] = Value::Null;
        json["truncation"] = json!({
            "direction": "Right", "max_length": LONGEST, "strategy": "LongestFirst", "stride": 0,
        });
        prefix_spaces(&mut json["pre_tokenizer"]);
        Ok(json.take())
    }
}

fn added_token(id: usize, text: &str, special: bool) -> Value {
    json!({
        "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": !special, "special": special,
    })
}

/// `[unused12]`, of which BERT keeps some for later use.
fn is_unused(text: &str) -> bool {
    let digits = text.strip_prefix("[unused").unwrap_or("");
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < digits.len() && rest.starts_with(']')
}

/// A byte-level tokenizer has another token for a word at the start of a text unless a space is put before it.
fn prefix_spaces(pre_tokenizer: &mut Value) {
    if pre_tokenizer["type"] == "ByteLevel" {
        pre_tokenizer["add_prefix_space"] = json!(true);
    }
    let parts = pre_tokenizer.get_mut("pretokenizers");
    if let Some(parts) = parts.and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(prefix_spaces);
    }
}

/// tokenizer_config.json, which names special tokens that tokenizer.json may leave out.
struct Config(Value);

impl Config {
    /// An empty one if there is none that can be read.
    fn beside(path: &Path) -> Self {
        let bytes = std::fs::read(path.with_file_name("tokenizer_config.json")).ok();
        let config = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self(config.unwrap_or_default())
    }

    /// A token is a string, or an object with `content`.
    fn token(&self, key: &str) -> Option<String> {
        let value = &self.0[key];
        let token = value.as_str().or(value["content"].as_str());
        token.map(str::to_owned)
    }
}
