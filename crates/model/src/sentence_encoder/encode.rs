//! Encoding many texts: tokenize, cut into batches, embed, put back into the given order.
//!
//! Threads that find no batch of a window left tokenize the next one.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use matryo_nn::{TokenBatch, Weights};
use matryo_ops::Mat;
use rayon::prelude::*;

use super::{EncodeOptions, Encoded, SentenceEncoder};
use crate::{
    ModelError, Role,
    pipeline::{Prompt, PromptChoice, Tokens, batches, windows},
};

/// Tokens of a batch. Activations of so few stay in a core's cache, and so few rows still pay for reading the weights. On Zen 5
/// (1 MiB of second-level cache) 1,024 tokens took 5 % (BERT-base) and 7 % (MiniLM) more time per token in bf16, 192 took 4 %
/// more. On Emerald Rapids the time from 256 to 4,096 was the same within a few percent. Memory grows with them.
pub const TOKENS_PER_BATCH: usize = 384;

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

/// Rows that are being computed, shared by the threads.
struct Rows<'a> {
    embeddings: Mutex<&'a mut Mat>,
    done: AtomicUsize,
}

impl<W: Weights> SentenceEncoder<W> {
    /// Embeddings of `texts` in their order; no texts give a matrix of no rows.
    ///
    /// # Errors
    /// An unknown prompt name, a dimension or a length that the model does not have, a text that the tokenizer or the model
    /// cannot express, and [`ModelError::Cancelled`].
    pub fn encode_with<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        options: &EncodeOptions<'_>,
    ) -> Result<Encoded, ModelError> {
        let plan = self.plan(options)?;
        if let Some(watch) = &self.watch
            && plan.prompt.text.is_empty()
            && options.prompt.is_none()
            && options.prompt_name.is_none()
            // An empty default is the model's own choice.
            && !(options.role == Role::Plain && self.folder.settings.default_prompt_name.is_some())
        {
            watch.see(options.role, texts);
        }
        let mut embeddings = Mat::zeros(texts.len(), plan.dim);
        let (mut truncated, mut tokens) = (0, 0);
        let rows = Rows {
            embeddings: Mutex::new(&mut embeddings),
            done: AtomicUsize::new(0),
        };
        let windows = windows(texts);
        let tokenize = |i: usize| {
            let window = windows.get(i);
            window
                .map(|window| {
                    let texts = &texts[window.clone()];
                    self.pipeline.tokenize(texts, &plan.prompt, plan.max_len)
                })
                .transpose()
        };
        let mut next = tokenize(0)?;
        for (i, window) in windows.iter().enumerate() {
            let Some(tokenized) = next else { break };
            truncated += tokenized.iter().filter(|text| text.truncated).count();
            tokens += tokenized.iter().map(|text| text.len() as u64).sum::<u64>();
            let encode = || self.encode_window(&tokenized, window.start, &plan, &rows, texts.len());
            next = rayon::join(encode, || tokenize(i + 1)).1?;
            if plan.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
        }
        Ok(Encoded {
            embeddings,
            truncated,
            tokens,
        })
    }

    fn plan<'a>(&self, options: &'a EncodeOptions<'a>) -> Result<Plan<'a>, ModelError> {
        let full = self.network.dim();
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
        let choice = PromptChoice {
            text: options.prompt.as_deref(),
            name: options.prompt_name.as_deref(),
            role: options.role,
            task: options.task.as_deref(),
        };
        let route = self.pipeline.route_of(&choice)?;
        let max_len = (self.pipeline).checked_length(options.max_seq_length, route)?;
        Ok(Plan {
            prompt: self.pipeline.prompt(&choice, max_len)?,
            max_len,
            dim,
            budget: options.tokens_per_batch.unwrap_or(TOKENS_PER_BATCH),
            options,
        })
    }

    /// Encodes the texts from `start` on. Many batches run in parallel, one per thread, which keeps threads busier than sharing
    /// every operation; of few, every operation is shared.
    fn encode_window(
        &self,
        texts: &[Tokens],
        start: usize,
        plan: &Plan<'_>,
        rows: &Rows<'_>,
        total: usize,
    ) {
        let lengths: Vec<usize> = texts.iter().map(Tokens::len).collect();
        let batches = batches(&lengths, even(&lengths, plan.budget));
        let encode = |places: &Vec<usize>| {
            if plan.is_cancelled() {
                return;
            }
            rows.put(&self.encode_batch(texts, places, plan), start, places);
            let done = rows.done.fetch_add(places.len(), Ordering::Relaxed) + places.len();
            plan.options.progress.advance(done, total);
        };
        let ops = self.network.ops();
        if batches.len() < BATCHES_PER_THREAD * rayon::current_num_threads() {
            ops.together(&mut || batches.iter().for_each(encode));
        } else {
            batches
                .par_iter()
                .for_each(|places| ops.alone(&mut || encode(places)));
        }
    }

    fn encode_batch(&self, texts: &[Tokens], places: &[usize], plan: &Plan<'_>) -> Mat {
        let mut batch = TokenBatch::on_route(plan.prompt.route);
        for &place in places {
            texts[place].push_to(&mut batch, place as u64, plan.prompt.skip);
        }
        let full = self.network.embed(&batch);
        let mut kept = if plan.dim < full.cols() {
            full.view().first_cols(plan.dim).to_mat()
        } else {
            full
        };
        if plan.options.normalize {
            let mut norms = vec![0.0; kept.rows()];
            self.network.ops().normalize(kept.view_mut(), &mut norms);
        }
        kept
    }
}

impl Plan<'_> {
    fn is_cancelled(&self) -> bool {
        self.options
            .cancel
            .is_some_and(|cancel| cancel.is_cancelled())
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
