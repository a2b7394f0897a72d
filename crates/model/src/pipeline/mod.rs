//! From texts to batches of token ids: prompt, tokenization with one cache, batching by length. Encoding, training and a server
//! use the same one.

mod batches;
mod cache;
mod prompt;

use std::{borrow::Cow, sync::Arc};

use matryo_nn::{TextInput, TokenBatch, TokenRules};
use rayon::prelude::*;

pub use batches::batches;
pub(crate) use batches::windows;
pub use cache::BYTES_BESIDE_IDS;
use cache::{Key, TokenCache};
use prompt::Prompts;
pub use prompt::{Prompt, PromptChoice};

use crate::{ModelError, ModelFolder, Routes, TokenIds, Tokenizer};

/// Prompts, tokenizers and the lengths of one model.
pub struct Pipeline {
    prompts: Prompts,
    routes: Option<Routes>,
    /// One for each route; a model without routes has one.
    readers: Vec<Reader>,
    cache: TokenCache,
}

/// How the texts of a route are read.
struct Reader {
    include_prompt: bool,
    tokenizer: Tokenizer,
    input: TextInput,
    max_seq_length: usize,
}

/// One text as token ids, prompt included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Ids with the special tokens.
    pub ids: Arc<[u32]>,
    /// Token type of each id; `None` if all of them are 0.
    pub types: Option<Arc<[u32]>>,
    /// Whether tokens were cut off.
    pub truncated: bool,
}

/// What is tokenized: a text, or two that a model reads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextOrPair<'a> {
    /// One text.
    Text(&'a str),
    /// Two texts with separators between them, as cross-encoders take them.
    Pair(&'a str, &'a str),
}

impl Pipeline {
    /// Opens the tokenizer of a model folder, one for each route.
    ///
    /// # Errors
    /// A tokenizer that is missing or not understood.
    pub fn open(folder: &ModelFolder) -> Result<Self, ModelError> {
        let routes = 0..folder.inputs.len();
        Ok(Self {
            prompts: Prompts::new(&folder.settings),
            routes: folder.routes.clone(),
            readers: routes
                .map(|route| Reader::open(folder, route))
                .collect::<Result<_, _>>()?,
            cache: TokenCache::default(),
        })
    }

    /// The tokenizer of texts without a task, or else that of the first route.
    pub fn tokenizer(&self) -> &Tokenizer {
        let route = self.routes.as_ref().map_or(0, Routes::default_or_first);
        self.tokenizer_of(route)
    }

    /// The tokenizer of a route.
    pub fn tokenizer_of(&self, route: usize) -> &Tokenizer {
        &self.readers[route].tokenizer
    }

    /// Tokens of the longest input, special tokens included; what is longer is cut. Of several routes it is that of the longest.
    pub fn max_seq_length(&self) -> usize {
        let lengths = self.readers.iter().map(|reader| reader.max_seq_length);
        lengths.max().unwrap_or(0)
    }

    /// Tokens of the longest input of a route.
    pub fn max_seq_length_of(&self, route: usize) -> usize {
        self.readers[route].max_seq_length
    }

    /// The route of texts with a task, such as `query`, or without one.
    ///
    /// # Errors
    /// No route fits; a task where there are no routes.
    pub fn route(&self, task: Option<&str>) -> Result<usize, ModelError> {
        match (&self.routes, task) {
            (Some(routes), _) => routes.of(task),
            (None, None) => Ok(0),
            (None, Some(task)) => Err(ModelError::NoRoute {
                task: Some(task.to_owned()),
                routes: Vec::new(),
            }),
        }
    }

    /// Changes the longest input; of a model with routes that of its encoders, or of its static embeddings if it has no encoder.
    ///
    /// # Errors
    /// 0, or more than the model can take.
    pub fn set_max_seq_length(&mut self, tokens: usize) -> Result<(), ModelError> {
        let is_encoder = |reader: &Reader| reader.input.rules == TokenRules::Encoder;
        let some = self.readers.iter().any(is_encoder);
        for reader in &mut self.readers {
            if !some || is_encoder(reader) {
                reader.set_max_seq_length(tokens)?;
            }
        }
        Ok(())
    }

    /// A length that a call may ask for instead of the longest input of a route.
    ///
    /// # Errors
    /// 0, or more than the model can take.
    pub fn checked_length(&self, tokens: Option<usize>, route: usize) -> Result<usize, ModelError> {
        self.readers[route].checked_length(tokens)
    }

    /// From now on keeps the token ids of up to `bytes` of texts, so that a text that comes again, as in an evaluation after
    /// every epoch, is not tokenized again. Changes no embedding. Until this is called nothing is kept.
    pub fn keep_tokens(&mut self, bytes: usize) {
        self.cache = TokenCache::with_room(bytes);
    }

    /// Bytes of ids that are kept at most.
    pub fn token_room(&self) -> usize {
        self.cache.room()
    }

    /// Texts that were tokenized since [`Pipeline::keep_tokens`] was called, or the model opened.
    pub fn texts_tokenized(&self) -> usize {
        self.cache.tokenized()
    }

    /// The route of a choice: that of its task, or else of its role if the model has routes.
    ///
    /// # Errors
    /// As [`Pipeline::route`].
    pub fn route_of(&self, choice: &PromptChoice<'_>) -> Result<usize, ModelError> {
        match choice.task {
            None if self.routes.is_none() => Ok(0),
            None => self.route(choice.role.task()),
            task => self.route(task),
        }
    }

    /// The prompt and the route that a choice names, and how many leading tokens pooling leaves out because of the prompt.
    ///
    /// # Errors
    /// A name or a task that the model does not have, or a prompt that the tokenizer cannot express.
    pub fn prompt(&self, choice: &PromptChoice<'_>, max_len: usize) -> Result<Prompt, ModelError> {
        let (text, route) = (self.prompts.text(choice)?, self.route_of(choice)?);
        let reader = &self.readers[route];
        let skip = if reader.include_prompt || text.is_empty() {
            0
        } else {
            reader.tokenizer.prompt_len(text, max_len)?
        };
        Ok(Prompt {
            text: text.to_owned(),
            skip: u32::try_from(skip).expect("a prompt of fewer than 2^32 tokens"),
            route,
        })
    }

    /// Token ids of texts with a prompt before each, cut to `max_len`, in their order: from the cache, or from the tokenizer on
    /// all threads.
    ///
    /// # Errors
    /// A text that the tokenizer cannot express, or with a token that the model has no embedding for.
    pub fn tokenize<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        prompt: &Prompt,
        max_len: usize,
    ) -> Result<Vec<Tokens>, ModelError> {
        let texts = texts.par_iter().map(|text| TextOrPair::Text(text.as_ref()));
        self.tokenize_all(texts, prompt, max_len)
    }

    /// As [`Pipeline::tokenize`] for texts and pairs; the prompt stands before the first text of a pair.
    ///
    /// # Errors
    /// As [`Pipeline::tokenize`].
    pub fn tokenize_pairs(
        &self,
        inputs: &[TextOrPair<'_>],
        prompt: &Prompt,
        max_len: usize,
    ) -> Result<Vec<Tokens>, ModelError> {
        self.tokenize_all(inputs.par_iter().copied(), prompt, max_len)
    }

    fn tokenize_all<'a>(
        &self,
        inputs: impl IndexedParallelIterator<Item = TextOrPair<'a>>,
        prompt: &Prompt,
        max_len: usize,
    ) -> Result<Vec<Tokens>, ModelError> {
        let (reader, route) = (&self.readers[prompt.route], prompt.route);
        let prompt = &*prompt.text;
        if !self.cache.is_on() {
            let all: Vec<Tokens> = inputs
                .map(|input| reader.tokenize(input, prompt, max_len))
                .collect::<Result<_, _>>()?;
            self.cache.count(all.len());
            return Ok(all);
        }
        let keyed: Vec<(Key, TextOrPair<'a>)> = inputs
            .map(|input| (Key::of(input, prompt, max_len, route), input))
            .collect();
        let found = self.cache.get(keyed.iter().map(|(key, _)| key));
        // Not under the cache's lock: a thread that waits in the tokenizer may take up other work that needs it.
        let all: Vec<(Tokens, bool)> = keyed
            .par_iter()
            .zip(found)
            .map(|((_, input), found)| match found {
                Some(tokens) => Ok((tokens, false)),
                None => Ok((reader.tokenize(*input, prompt, max_len)?, true)),
            })
            .collect::<Result<_, ModelError>>()?;
        let fresh = keyed.iter().zip(&all).filter(|(_, (_, fresh))| *fresh);
        self.cache
            .keep(fresh.map(|((key, _), (tokens, _))| (*key, tokens)));
        Ok(all.into_iter().map(|(tokens, _)| tokens).collect())
    }
}

impl Reader {
    fn open(folder: &ModelFolder, route: usize) -> Result<Self, ModelError> {
        let input = folder.inputs[route];
        let mut reader = Self {
            include_prompt: folder.include_prompt(route),
            tokenizer: Tokenizer::open_on(folder, route)?,
            input,
            max_seq_length: input.max_seq_length,
        };
        let limit = reader.tokenizer.limit().unwrap_or(usize::MAX);
        reader.set_max_seq_length(input.max_seq_length.min(limit))?;
        Ok(reader)
    }

    fn set_max_seq_length(&mut self, tokens: usize) -> Result<(), ModelError> {
        self.max_seq_length = self.checked_length(Some(tokens))?;
        Ok(())
    }

    fn checked_length(&self, tokens: Option<usize>) -> Result<usize, ModelError> {
        let tokens = tokens.unwrap_or(self.max_seq_length);
        if (1..=self.input.max_tokens).contains(&tokens) {
            return Ok(tokens);
        }
        Err(ModelError::SequenceLength {
            found: tokens,
            positions: self.input.max_tokens,
        })
    }

    fn tokenize(
        &self,
        input: TextOrPair<'_>,
        prompt: &str,
        max_len: usize,
    ) -> Result<Tokens, ModelError> {
        let (first, second) = match input {
            TextOrPair::Text(text) => (text, None),
            TextOrPair::Pair(text, second) => (text, Some(second)),
        };
        let text: Cow<'_, str> = if prompt.is_empty() {
            first.into()
        } else {
            format!("{prompt}{first}").into()
        };
        let tokens = match second {
            None => self.tokenizer.encode(&text, max_len)?,
            Some(second) => self.tokenizer.encode_pair(&text, second, max_len)?,
        };
        self.check_ids(&text, &tokens)?;
        self.check_types(&text, &tokens)?;
        Ok(Tokens {
            ids: tokens.ids.into(),
            types: (!tokens.types.is_empty()).then(|| tokens.types.into()),
            truncated: tokens.truncated,
        })
    }

    /// Fails on an id beyond the word table: a tokenizer may know more tokens than the weights do, and its template or added
    /// tokens may hold any id.
    fn check_ids(&self, text: &str, tokens: &TokenIds) -> Result<(), ModelError> {
        let beyond = |id: &&u32| **id as usize >= self.input.vocab;
        match tokens.ids.iter().find(beyond) {
            None => Ok(()),
            Some(&id) => Err(ModelError::TokenBeyondTable {
                text: text.to_owned(),
                token: self.tokenizer.token(id).unwrap_or_default(),
                id,
                rows: self.input.vocab,
            }),
        }
    }

    /// Fails on a type that the table has no row for: a tokenizer's template may name any.
    fn check_types(&self, text: &str, tokens: &TokenIds) -> Result<(), ModelError> {
        let rows = self.input.token_types;
        let beyond = |found: &&u32| rows > 1 && **found as usize >= rows;
        match tokens.types.iter().find(beyond) {
            None => Ok(()),
            Some(&found) => Err(ModelError::TokenTypeBeyondTable {
                text: text.to_owned(),
                found,
                rows,
            }),
        }
    }
}

impl Tokens {
    /// Appends the text to a batch. `text_id` names it for dropout, `skip` leading tokens are left out of pooling.
    pub fn push_to(&self, batch: &mut TokenBatch, text_id: u64, skip: u32) {
        match &self.types {
            None => batch.push(&self.ids, text_id, skip),
            Some(types) => batch.push_typed(&self.ids, types, text_id, skip),
        }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
