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

use crate::{
    DistillError,
    findable::{check_ids, never_found},
    merges::Merges,
};

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

/// A word of the user's, or a piece of one that merges need.
struct Word {
    /// As it was given; `None` for a piece.
    given: Option<String>,
    /// As the tokenizer sees it.
    text: String,
    /// Whether it is more than one word to the tokenizer: an added token, found in texts as a whole.
    is_phrase: bool,
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
        let longest = model
            .pipeline()
            .max_seq_length_of(folder.default_or_first());
        for word in &added {
            let ids = model.tokenizer().encode(&word.text, longest)?.ids;
            tokens.push(ids);
        }
        if tokens.is_empty() {
            return Err(DistillError::Empty);
        }
        check_ids(model, &tokens)?;
        let words: Vec<Option<String>> = added.iter().map(|word| word.given.clone()).collect();
        let first = kept.len();
        let tokenizer = source.written(kept, added)?;
        notes.extend(never_found(&tokenizer, first, &words));
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
    /// As the static model's splits texts, to see what becomes of a word.
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
        let mut prefixed = json.clone();
        prefix_spaces(&mut prefixed["pre_tokenizer"]);
        let inner = prefixed
            .to_string()
            .parse()
            .map_err(|e: tokenizers::Error| wrong(e.to_string()))?;
        let frame = tokenizer.frame().ok_or_else(|| {
            wrong("what the tokenizer puts around a text is not the same for every text".into())
        })?;
        let unknown = match json["model"]["unk_id"].as_u64() {
            Some(id) => json["model"]["vocab"][id as usize][0].as_str(),
            None => json["model"]["unk_token"].as_str(),
        };
        let dir = folder.text_dir();
        let named = |key| Tokenizer::special_token(&dir, key);
        let unknown = unknown.map(str::to_owned).or(named("unk_token")?);
        let padding = named("pad_token")?.or_else(|| padding(&path, &json));
        Ok(Self {
            unknown,
            padding,
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
        &mut self,
        words: &[String],
        kept: &[Token],
        notes: &mut Vec<String>,
    ) -> Result<Vec<Word>, DistillError> {
        let mut known: HashSet<String> = kept.iter().map(|token| token.text.clone()).collect();
        let mut added = Vec::new();
        let mut left_out = 0;
        for word in words {
            let parts = self.parts(word)?;
            let (text, is_phrase) = match &parts[..] {
                [] => (String::new(), false),
                [one] => (one.clone(), false),
                _ => (self.normalized(word)?.trim().to_owned(), true),
            };
            let is_new = !text.is_empty() && !is_unused(&text) && known.insert(text.clone());
            if is_new {
                added.push(Word {
                    given: Some(word.clone()),
                    text,
                    is_phrase,
                });
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            notes.push(format!(
                "{left_out} of {} words are empty to the tokenizer, or tokens already",
                words.len()
            ));
        }
        // Phrases are added tokens, which come last.
        added.sort_by_key(|word| word.is_phrase);
        if self.json["model"]["type"] == "BPE" && !added.is_empty() {
            added = self.merged(added, kept)?;
        }
        Ok(added)
    }

    /// Makes each word one token by further merges, and puts behind it the pieces that these join.
    ///
    /// As in model2vec the encoder reads words and pieces as they are spelt, with the mark of a space before them.
    fn merged(&mut self, words: Vec<Word>, kept: &[Token]) -> Result<Vec<Word>, DistillError> {
        let merges = Merges::read(&self.json["model"]["merges"]);
        let mut merges = merges.ok_or_else(|| self.wrong("`model.merges` is no list of pairs"))?;
        let mut known: HashSet<String> = kept.iter().map(|token| token.text.clone()).collect();
        let mut all = Vec::with_capacity(words.len());
        for word in words {
            known.insert(word.text.clone());
            let pieces = if word.is_phrase {
                Vec::new()
            } else {
                merges.make(&word.text);
                merges.missing(|token| known.contains(token))
            };
            known.extend(pieces.iter().cloned());
            all.push(word);
            all.extend(pieces.into_iter().map(|text| Word {
                given: None,
                text,
                is_phrase: false,
            }));
        }
        self.json["model"]["merges"] = merges.written();
        Ok(all)
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
        let phrases = added.iter().enumerate().filter(|(_, word)| word.is_phrase);
        let phrases: Vec<Value> = phrases
            .map(|(i, word)| added_token(first_word + i, &word.text, false))
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
            let words = added.iter().map(|word| json!([word.text, least]));
            pieces.chain(words).collect()
        } else {
            let texts = kept.into_iter().map(|token| token.text);
            let words = added.into_iter().map(|word| word.text);
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
            // model2vec 0.10 leaves the encoder's number, which is another token's where tokens before it were dropped: there a text with
            // an unknown character gets that token.
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
        "id": id, "content": text, "single_word": false, "lstrip": !special, "rstrip": !special,
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

/// The padding token of a folder whose small files do not name it: that of tokenizer.json, or an added token of the usual spelling.
fn padding(path: &Path, json: &Value) -> Option<String> {
    let bytes = std::fs::read(path).ok();
    let file: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let named = file.and_then(|file| Some(file["padding"]["pad_token"].as_str()?.to_owned()));
    let added = json["added_tokens"].as_array().into_iter().flatten();
    let mut added = added.filter_map(|token| token["content"].as_str());
    named.or_else(|| {
        added
            .find(|token| ["[PAD]", "<pad>"].contains(token))
            .map(str::to_owned)
    })
}
