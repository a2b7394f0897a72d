//! Encoding many texts: tokenize, cut into batches, embed, put back into the given order.
//!
//! Threads that find no batch of a window left tokenize the next one.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use matryo_ops::Mat;
use rayon::prelude::*;

use super::{
    EncodeOptions, Encoded, SentenceEncoder,
    batches::{batches, windows},
    prompt::Prompt,
    tokens::{Given, WindowTokens},
};
use crate::{ModelError, TokenBatch};

/// Activations of so few tokens stay near a core, and few rows still pay for reading the weights: on Zen 5 (1 MiB of second-level cache)
/// 1,024 tokens took 5 % (BERT-base) and 7 % (MiniLM) more time a token in bf16, 192 took 4 % more. On Emerald Rapids the time from 256
/// to 4,096 was the same within a few percent. Memory grows with them.
const TOKENS_PER_BATCH: usize = 384;

/// With fewer batches for each thread, the last of them would leave a thread idle for too long.
const BATCHES_PER_THREAD: usize = 4;

/// A call's choices, checked.
struct Plan<'a> {
    prompt: Prompt,
    max_len: usize,
    dim: usize,
    budget: usize,
    options: &'a EncodeOptions<'a>,
}

/// Rows under way, shared by the threads.
struct Rows<'a> {
    embeddings: Mutex<&'a mut Mat>,
    done: AtomicUsize,
}

impl SentenceEncoder {
    /// Embeddings of `texts` in their order; none give a matrix of no rows.
    ///
    /// Fails on an unknown prompt name, on a dimension or a length that the model does not have, and on a text that the
    /// tokenizer cannot express.
    pub fn encode_with<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        options: &EncodeOptions<'_>,
    ) -> Result<Encoded, ModelError> {
        let plan = self.plan(options)?;
        let mut embeddings = Mat::zeros(texts.len(), plan.dim);
        let (mut truncated, mut tokens) = (0, 0);
        let rows = Rows {
            embeddings: Mutex::new(&mut embeddings),
            done: AtomicUsize::new(0),
        };
        let windows = windows(texts);
        let tokenize = |i: usize| {
            windows
                .get(i)
                .map(|window| self.tokenize(&texts[window.clone()], &plan))
                .transpose()
        };
        let mut next = tokenize(0)?;
        for (i, window) in windows.iter().enumerate() {
            let Some(ids) = next else { break };
            truncated += ids.truncated;
            tokens += ids.tokens() as u64;
            let encode = || self.encode_window(&ids, window.start, &plan, &rows, texts.len());
            next = rayon::join(encode, || tokenize(i + 1)).1?;
        }
        Ok(Encoded {
            embeddings,
            truncated,
            tokens,
        })
    }

    fn plan<'a>(&self, options: &'a EncodeOptions<'a>) -> Result<Plan<'a>, ModelError> {
        let max_len = self.checked_length(options.max_seq_length.unwrap_or(self.max_seq_length))?;
        let full = self.encoder.dim();
        let dim = options
            .truncate_dim
            .or(self.folder.settings.truncate_dim)
            .unwrap_or(full);
        if dim == 0 || dim > full {
            return Err(ModelError::TruncateDim {
                found: dim,
                dim: full,
            });
        }
        let budget = options.tokens_per_batch.unwrap_or(TOKENS_PER_BATCH);
        Ok(Plan {
            prompt: self.prompt(options, max_len)?,
            max_len,
            dim,
            budget,
            options,
        })
    }

    /// The token ids of a window, from the memory if it has them.
    fn tokenize<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        plan: &Plan<'_>,
    ) -> Result<Arc<WindowTokens>, ModelError> {
        let given = Given {
            texts,
            prompt: &plan.prompt.text,
            max_len: plan.max_len,
        };
        let one = |text: &S| {
            self.tokenizer
                .encode(&with_prompt(given.prompt, text.as_ref()), given.max_len)
        };
        self.token_memory
            .get(&given, || texts.par_iter().map(one).collect())
    }

    /// Encodes the texts from `start` on. Many batches run side by side, a thread each, which keeps threads busier than sharing every
    /// operation; of few, every operation is shared.
    fn encode_window(
        &self,
        tokens: &WindowTokens,
        start: usize,
        plan: &Plan<'_>,
        rows: &Rows<'_>,
        total: usize,
    ) {
        let lengths = tokens.lengths();
        let (ops, batches) = (
            self.encoder.ops(),
            batches(&lengths, even(&lengths, plan.budget)),
        );
        let encode = |places: &Vec<usize>| {
            rows.put(&self.encode_batch(tokens, places, plan), start, places);
            let done = rows.done.fetch_add(places.len(), Ordering::Relaxed) + places.len();
            plan.options.progress.advance(done, total);
        };
        if batches.len() < BATCHES_PER_THREAD * rayon::current_num_threads() {
            ops.together(&mut || batches.iter().for_each(encode));
        } else {
            batches
                .par_iter()
                .for_each(|places| ops.alone(&mut || encode(places)));
        }
    }

    fn encode_batch(&self, tokens: &WindowTokens, places: &[usize], plan: &Plan<'_>) -> Mat {
        let mut batch = TokenBatch::new();
        for &place in places {
            batch.push(tokens.text(place), place as u64, plan.prompt.skip);
        }
        let full = self.encoder.embed(&batch);
        let mut kept = if plan.dim < full.cols() {
            full.view().first_cols(plan.dim).to_mat()
        } else {
            full
        };
        if plan.options.normalize {
            let mut norms = vec![0.0; kept.rows()];
            self.encoder.ops().normalize(kept.view_mut(), &mut norms);
        }
        kept
    }
}

/// A budget of at most `most` with which every thread gets about as many batches.
fn even(lengths: &[usize], most: usize) -> usize {
    let (tokens, threads) = (lengths.iter().sum::<usize>(), rayon::current_num_threads());
    tokens.div_ceil(
        tokens
            .div_ceil(most.max(1))
            .next_multiple_of(threads)
            .max(1),
    )
}

impl Rows<'_> {
    /// Row `i` of `part` is the text at `places[i]` of the window that starts at `start`.
    fn put(&self, part: &Mat, start: usize, places: &[usize]) {
        let mut embeddings = self.embeddings.lock().expect("copying rows does not panic");
        for (i, place) in places.iter().enumerate() {
            embeddings
                .row_mut(start + place)
                .copy_from_slice(part.row(i));
        }
    }
}

fn with_prompt<'a>(prompt: &str, text: &'a str) -> Cow<'a, str> {
    if prompt.is_empty() {
        text.into()
    } else {
        format!("{prompt}{text}").into()
    }
}
