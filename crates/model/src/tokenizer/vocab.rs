//! A tokenizer from vocab.txt, as old BERT folders have it: basic tokenization, then WordPiece.

use std::path::Path;

use matryo_nn::config::Object;
use serde_json::Value;
use tokenizers::{
    AddedToken, Tokenizer, decoders::wordpiece::WordPiece as WordPieceDecoder,
    models::wordpiece::WordPiece, normalizers::BertNormalizer,
    pre_tokenizers::bert::BertPreTokenizer, processors::template::TemplateProcessing,
};

use super::open::failed;
use crate::ModelError;

/// Words of more characters are unknown as a whole, as in the original BERT.
const LONGEST_WORD: usize = 100;

/// The special tokens of a BERT, by their key in the tokenizer's configuration.
const SPECIAL: [(&str, &str); 5] = [
    ("pad_token", "[PAD]"),
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("mask_token", "[MASK]"),
];

/// Builds the tokenizer of `folder`, which has vocab.txt but no tokenizer.json.
pub(super) fn open(folder: &Path, config: Option<&Object>) -> Result<Tokenizer, ModelError> {
    let path = folder.join("vocab.txt");
    let special_map = Object::read_if_present(&folder.join("special_tokens_map.json"))?;
    let special = SPECIAL.map(|(key, default)| {
        let named = special_token(key, config, special_map.as_ref());
        named.unwrap_or_else(|| default.to_owned())
    });
    let [_, unknown, cls, sep, _] = &special;
    let build = || {
        let text = std::fs::read(&path)?;
        let mut tokenizer = Tokenizer::new(word_pieces(&text, unknown)?);
        tokenizer.with_normalizer(Some(BertNormalizer::default()))?;
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        let template = template(&tokenizer, cls, sep)?;
        tokenizer.with_post_processor(Some(template));
        tokenizer.with_decoder(Some(WordPieceDecoder::default()));
        let known = special
            .iter()
            .filter(|token| tokenizer.token_to_id(token).is_some());
        let added: Vec<_> = known
            .map(|token| AddedToken::from(token.as_str(), true))
            .collect();
        tokenizer.add_special_tokens(added)?;
        Ok(tokenizer)
    };
    build().map_err(failed(&path))
}

/// One token a line; its id is the line's number from 0.
fn word_pieces(text: &[u8], unknown: &str) -> tokenizers::Result<WordPiece> {
    WordPiece::builder()
        .vocab(WordPiece::read_bytes(text)?)
        .unk_token(unknown.to_owned())
        .max_input_chars_per_word(LONGEST_WORD)
        .build()
}

fn template(tokenizer: &Tokenizer, cls: &str, sep: &str) -> tokenizers::Result<TemplateProcessing> {
    let id = |token: &str| {
        tokenizer
            .token_to_id(token)
            .ok_or_else(|| format!("the vocabulary has no `{token}`"))
    };
    let special = vec![(cls.to_owned(), id(cls)?), (sep.to_owned(), id(sep)?)];
    let mut builder = TemplateProcessing::builder();
    builder.try_single(format!("{cls}:0 $A:0 {sep}:0"))?;
    builder.try_pair(format!("{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1"))?;
    Ok(builder.special_tokens(special).build()?)
}

/// A special token that a tokenizer's folder names by its role: `pad_token`.
pub(super) fn named(folder: &Path, key: &str) -> Result<Option<String>, ModelError> {
    let read = |file: &str| Object::read_if_present(&folder.join(file));
    let (config, map) = (
        read("tokenizer_config.json")?,
        read("special_tokens_map.json")?,
    );
    Ok(special_token(key, config.as_ref(), map.as_ref()))
}

/// A special token is a string, or an object with `content`; tokenizer_config.json wins over special_tokens_map.json.
fn special_token(key: &str, config: Option<&Object>, map: Option<&Object>) -> Option<String> {
    let content = |value: &Value| {
        value
            .as_str()
            .or_else(|| value.get("content")?.as_str())
            .map(str::to_owned)
    };
    let objects = [config, map].into_iter().flatten();
    objects
        .into_iter()
        .find_map(|object| content(object.get(key)?))
}
