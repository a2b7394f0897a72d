//! The tokens of a static embedding: no template, and in model2vec's own folders neither unknown tokens nor more characters than
//! its longest text can have.

use std::path::Path;

use matryo_nn::{NnError, TokenRules, config::read_json};
use tokenizers::{Encoding, ModelWrapper, Tokenizer};

use crate::{ModelError, TokenIds};

/// What becomes of a text besides the tokenizer's work.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Tokens at which tokenizer.json cuts.
    pub(super) limit: Option<usize>,
    /// Id that is left out.
    unknown: Option<u32>,
    /// Median length of a token, in characters: what a text may have for each token of its longest length.
    characters: Option<usize>,
}

impl Rules {
    /// `None` for a model that reads whole templates.
    pub(super) fn of(
        inner: &Tokenizer,
        json: &Path,
        rules: TokenRules,
    ) -> Result<Option<Self>, ModelError> {
        Ok(match rules {
            TokenRules::Encoder => None,
            TokenRules::Bag => Some(Self {
                limit: limit(inner, json)?,
                unknown: None,
                characters: None,
            }),
            TokenRules::KnownBag => Some(Self {
                limit: None,
                unknown: unknown(inner, json)?,
                characters: Some(median_length(inner)),
            }),
        })
    }

    /// As much of a text as may count.
    pub(super) fn cut<'a>(&self, text: &'a str, max_len: usize) -> &'a str {
        let characters = self
            .characters
            .map_or(usize::MAX, |c| c.saturating_mul(max_len));
        // Most texts have fewer bytes than that.
        if text.len() <= characters {
            return text;
        }
        let end = text.char_indices().nth(characters);
        end.map_or(text, |(end, _)| &text[..end])
    }

    pub(super) fn tokens(&self, encoding: &Encoding, full_len: usize, truncated: bool) -> TokenIds {
        TokenIds {
            ids: self.counted(encoding.get_ids().to_vec()),
            types: Vec::new(),
            truncated,
            full_len,
        }
    }

    /// The ids without that of the unknown.
    pub(super) fn counted(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(unknown) = self.unknown {
            ids.retain(|id| *id != unknown);
        }
        ids
    }
}

/// Tokens at which tokenizer.json cuts.
fn limit(inner: &Tokenizer, json: &Path) -> Result<Option<usize>, ModelError> {
    let limit = inner.get_truncation().map(|t| t.max_length);
    match limit {
        Some(0) => Err(NnError::ConfigValue {
            path: json.to_owned(),
            key: "truncation.max_length".into(),
            found: "0".into(),
            expected: "at least 1".into(),
        }
        .into()),
        limit => Ok(limit),
    }
}

/// Id of the token for what the vocabulary lacks.
fn unknown(inner: &Tokenizer, json: &Path) -> Result<Option<u32>, ModelError> {
    let name = match inner.get_model() {
        ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
        ModelWrapper::BPE(model) => model.unk_token.clone(),
        // The crate keeps the id to itself.
        ModelWrapper::Unigram(_) => {
            let id = read_json(json)?["model"]["unk_id"].as_u64();
            return Ok(id.and_then(|id| u32::try_from(id).ok()));
        }
    };
    Ok(name.and_then(|name| inner.token_to_id(&name)))
}

/// Median number of characters of a token, rounded down.
fn median_length(inner: &Tokenizer) -> usize {
    let vocabulary = inner.get_vocab(true);
    let mut lengths: Vec<usize> = vocabulary
        .keys()
        .map(|token| token.chars().count())
        .collect();
    lengths.sort_unstable();
    let middle = lengths.len() / 2;
    match lengths.len() {
        0 => 0,
        even if even % 2 == 0 => usize::midpoint(lengths[middle - 1], lengths[middle]),
        _ => lengths[middle],
    }
}
