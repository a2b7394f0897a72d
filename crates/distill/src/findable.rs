//! Whether tokens have what they need: a row in the encoder's table, and a text in which the tokenizer finds them.

use matryo_model::{ModelError, SentenceEncoder};
use serde_json::Value;

use crate::DistillError;

/// A note of how many words the tokenizer itself cuts up before it looks for them, as BERT's does with Chinese. `first` is the id of
/// the first word.
pub(crate) fn never_found(
    tokenizer: &Value,
    first: usize,
    words: &[Option<String>],
) -> Option<String> {
    let tokenizer: tokenizers::Tokenizer = tokenizer.to_string().parse().ok()?;
    let is_lost = |(i, word): &(usize, &str)| {
        let encoding = tokenizer.encode_fast(*word, false);
        encoding.is_ok_and(|encoding| encoding.get_ids() != [(first + i) as u32])
    };
    let words = words.iter().enumerate();
    let given: Vec<(usize, &str)> = words
        .filter_map(|(i, word)| Some((i, word.as_deref()?)))
        .collect();
    let lost = given.iter().filter(|word| is_lost(word)).count();
    let all = given.len();
    (lost > 0).then(|| {
        format!("{lost} of {all} words are never found in a text: the tokenizer cuts it up before it looks for tokens")
    })
}

/// Fails on a token that the table has no row for: a tokenizer may know more tokens than the weights do.
pub(crate) fn check_ids(model: &SentenceEncoder, tokens: &[Vec<u32>]) -> Result<(), DistillError> {
    let rows = model.folder().input.vocab;
    match tokens.iter().flatten().find(|id| **id as usize >= rows) {
        None => Ok(()),
        Some(&id) => {
            let token = model.tokenizer().token(id).unwrap_or_default();
            let text = token.clone();
            Err(ModelError::TokenBeyondTable {
                text,
                token,
                id,
                rows,
            }
            .into())
        }
    }
}
