//! Texts to token ids, cut to a length that includes the special tokens.

mod bag;
mod frame;
mod open;
mod vocab;
mod wordpiece;

use std::{path::Path, sync::Arc};

use matryo_nn::{TokenRules, config::Object};
use rayon::prelude::*;
use tokenizers::{
    Encoding, PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy,
    truncate_encodings,
};

use crate::{ModelError, ModelFolder};
use frame::Frame;
pub(crate) use open::tokenizer_json;
use open::{failed, lower_first, open_inner, truncation_side};
use wordpiece::FastWordPiece;

/// A model's tokenizer. Encoding does not depend on the number of threads.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    cut: TruncationDirection,
    special_tokens: usize,
    special_tokens_of_pair: usize,
    /// `None` for a model that reads whole templates.
    bag: Option<bag::Rules>,
    /// The short way for texts that need no other.
    fast: Option<Arc<Fast>>,
}

/// WordPiece, and what the template puts around it.
#[derive(Debug)]
struct Fast {
    pieces: FastWordPiece,
    frame: Frame,
}

/// One text as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIds {
    /// Ids with the special tokens, at most as many as were allowed.
    pub ids: Vec<u32>,
    /// Token type of each id; empty if all of them are 0.
    pub types: Vec<u32>,
    /// Whether tokens were cut off.
    pub truncated: bool,
    /// Tokens before cutting, special tokens included; of a text that model2vec's rules cut by characters first, those of what is left.
    pub full_len: usize,
}

impl Tokenizer {
    /// Opens tokenizer.json, or else vocab.txt, of a model folder.
    ///
    /// The file's own truncation and padding are ignored: the length comes with each call, and nothing is padded. Only for static
    /// embeddings does its truncation count, see [`Tokenizer::limit`].
    pub fn open(folder: &ModelFolder) -> Result<Self, ModelError> {
        Self::open_on(folder, folder.default_or_first())
    }

    /// As [`Tokenizer::open`], for the texts of a route.
    pub fn open_on(folder: &ModelFolder, route: usize) -> Result<Self, ModelError> {
        let (dir, input) = (folder.text_dir_of(route), folder.inputs[route]);
        let json = dir.join("tokenizer.json");
        // Static models are read from tokenizer.json alone.
        let config = match input.rules {
            TokenRules::Encoder => Object::read_if_present(&dir.join("tokenizer_config.json"))?,
            _ => None,
        };
        let mut inner = open_inner(&dir, config.as_ref())?;
        if input.do_lower_case {
            let lowered = lower_first(inner.get_normalizer());
            inner.with_normalizer(Some(lowered)).map_err(failed(&dir))?;
        }
        let cut = match input.rules {
            TokenRules::KnownBag => TruncationDirection::Right,
            _ => truncation_side(&inner, config.as_ref())?,
        };
        let bag = bag::Rules::of(&inner, &json, input.rules)?;
        inner.with_truncation(None).map_err(failed(&dir))?;
        inner.with_padding(None);
        let template = inner.get_post_processor().filter(|_| bag.is_none());
        let special = |pair| template.map_or(0, |p| p.added_tokens(pair));
        Ok(Self {
            special_tokens: special(false),
            special_tokens_of_pair: special(true),
            inner,
            cut,
            bag,
            fast: None,
        }
        .with_fast())
    }

    /// Encodes one text into at most `max_len` ids, but never fewer than the special tokens.
    ///
    /// Fails if the tokenizer's vocabulary cannot express the text (it has no token for the unknown).
    pub fn encode(&self, text: &str, max_len: usize) -> Result<TokenIds, ModelError> {
        self.try_encode(text, max_len)
            .map_err(|source| ModelError::Tokenize {
                text: text.to_owned(),
                source,
            })
    }

    /// Encodes two texts that a model reads together, with the tokenizer's template for pairs, into at most `max_len` ids.
    /// What is too long is taken off the longer of the two, token by token (`longest_first` of transformers).
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(
        &self,
        first: &str,
        second: &str,
        max_len: usize,
    ) -> Result<TokenIds, ModelError> {
        self.try_encode_pair(first, second, max_len)
            .map_err(|source| ModelError::Tokenize {
                text: first.to_owned(),
                source,
            })
    }

    /// Encodes many texts, on all threads, in their order.
    pub fn encode_batch<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        max_len: usize,
    ) -> Result<Vec<TokenIds>, ModelError> {
        texts
            .par_iter()
            .map(|text| self.encode(text.as_ref(), max_len))
            .collect()
    }

    /// Tokens that a prompt occupies at the start of a text: its own, with the leading special token but not
    /// the trailing one. What pooling leaves out when `include_prompt` is false.
    pub fn prompt_len(&self, prompt: &str, max_len: usize) -> Result<usize, ModelError> {
        let ids = self.encode(prompt, max_len)?.ids;
        let trailing = ids.last().is_some_and(|id| self.is_special(*id));
        Ok(ids.len() - usize::from(trailing))
    }

    /// Where in the text each token comes from, as bytes `(start, end)`; without special tokens, uncut.
    pub fn spans(&self, text: &str) -> Result<Vec<(usize, usize)>, ModelError> {
        let encoding = self.inner.encode(text, false);
        let failed = |source| ModelError::Tokenize {
            text: text.to_owned(),
            source,
        };
        Ok(encoding.map_err(failed)?.get_offsets().to_vec())
    }

    /// Tokens at which tokenizer.json cuts a text, where that counts.
    pub fn limit(&self) -> Option<usize> {
        self.bag.as_ref()?.limit
    }

    /// The ids that are put before and after a text; `None` if they are not the same for every text, or have types.
    pub fn frame(&self) -> Option<(Vec<u32>, Vec<u32>)> {
        let frame = Frame::of(&self.inner)?;
        Some((frame.before, frame.after))
    }

    /// A special token that the folder's small files name by its role: `pad_token`.
    ///
    /// # Errors
    /// A file that is no JSON.
    pub fn special_token(folder: &Path, key: &str) -> Result<Option<String>, ModelError> {
        vocab::named(folder, key)
    }

    /// tokenizer.json as it is used here: without truncation and padding.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> Result<String, ModelError> {
        self.inner
            .to_string(false)
            .map_err(failed(Path::new("tokenizer.json")))
    }

    /// Number of ids, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The token of an id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    fn is_special(&self, id: u32) -> bool {
        let vocabulary = self.inner.get_added_vocabulary();
        self.token(id)
            .is_some_and(|token| vocabulary.is_special_token(&token))
    }

    fn try_encode(&self, text: &str, max_len: usize) -> tokenizers::Result<TokenIds> {
        let whole = text;
        let text = self.bag.as_ref().map_or(text, |bag| bag.cut(text, max_len));
        let mut tokens = self.encode_cut(text, max_len)?;
        tokens.truncated |= text.len() < whole.len();
        Ok(tokens)
    }

    fn encode_cut(&self, text: &str, max_len: usize) -> tokenizers::Result<TokenIds> {
        if let Some(fast) = &self.fast
            && let Some(ids) = fast.pieces.ids(text)
        {
            return Ok(self.framed(ids, max_len, &fast.frame));
        }
        let mut encoding = self.inner.encode_fast(text, false)?;
        let full_len = encoding.len() + self.special_tokens;
        let truncated = full_len > max_len && !encoding.is_empty();
        if truncated {
            encoding.truncate(max_len.saturating_sub(self.special_tokens), 0, self.cut);
            encoding.take_overflowing();
        }
        if let Some(bag) = &self.bag {
            return Ok(bag.tokens(&encoding, full_len, truncated));
        }
        let encoding = self.inner.post_process(encoding, None, true)?;
        Ok(TokenIds::new(&encoding, full_len, truncated))
    }

    /// What [`Tokenizer::try_encode`] makes of the ids of a text.
    fn framed(&self, mut ids: Vec<u32>, max_len: usize, frame: &Frame) -> TokenIds {
        let full_len = ids.len() + self.special_tokens;
        let truncated = full_len > max_len && !ids.is_empty();
        if truncated {
            let kept = max_len.saturating_sub(self.special_tokens);
            match self.cut {
                TruncationDirection::Right => ids.truncate(kept),
                TruncationDirection::Left => drop(ids.drain(..ids.len() - kept)),
            }
        }
        TokenIds {
            ids: match &self.bag {
                Some(bag) => bag.counted(ids),
                None => frame.around(&ids),
            },
            types: Vec::new(),
            truncated,
            full_len,
        }
    }

    /// This tokenizer with the short way, where there is one.
    fn with_fast(mut self) -> Self {
        let fast = || {
            let pieces = FastWordPiece::of(&self.inner)?;
            let frame = match self.bag {
                Some(_) => Frame::default(),
                None => Frame::of(&self.inner)?,
            };
            Some(Fast { pieces, frame })
        };
        self.fast = fast().map(Arc::new);
        self
    }

    fn try_encode_pair(
        &self,
        first: &str,
        second: &str,
        max_len: usize,
    ) -> tokenizers::Result<TokenIds> {
        let encode = |text| self.inner.encode_fast(text, false);
        let (first, second) = (encode(first)?, encode(second)?);
        let full_len = first.len() + second.len() + self.special_tokens_of_pair;
        let truncated = full_len > max_len;
        let cut = TruncationParams {
            max_length: max_len.saturating_sub(self.special_tokens_of_pair),
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
            direction: self.cut,
        };
        let (mut first, mut second) = truncate_encodings(first, Some(second), &cut)?;
        first.take_overflowing();
        if let Some(second) = &mut second {
            second.take_overflowing();
        }
        let encoding = self.inner.post_process(first, second, true)?;
        Ok(TokenIds::new(&encoding, full_len, truncated))
    }
}

impl TokenIds {
    fn new(encoding: &Encoding, full_len: usize, truncated: bool) -> Self {
        let types = encoding.get_type_ids();
        let one_type = types.iter().all(|kind| *kind == 0);
        Self {
            ids: encoding.get_ids().to_vec(),
            types: if one_type { Vec::new() } else { types.to_vec() },
            truncated,
            full_len,
        }
    }
}
