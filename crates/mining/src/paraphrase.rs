//! The pairs of rows that are most alike (semantics of `paraphrase_mining_embeddings` in sentence_transformers/util/retrieval.py 5.7).

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashSet},
};

use matryo_base::Progress;
use matryo_index::{Hit, Mat, MatRef, semantic_search};

use crate::{MiningError, blocks::pieces, error::check_positive};

/// Settings with upstream's names and defaults.
#[derive(Clone, Copy)]
pub struct ParaphraseOptions<'a> {
    /// Rows that are compared with a chunk of the corpus at a time.
    pub query_chunk_size: usize,
    /// Rows that they are compared with. Each chunk gives a row's `top_k + 1` best, so smaller chunks offer more pairs.
    pub corpus_chunk_size: usize,
    /// Bounds the pairs that are kept. As upstream, (i, j) and (j, i) count as two, and the last is dropped: about half as many come
    /// back, all of them among the best.
    pub max_pairs: usize,
    /// Pairs offered of each row and chunk, the row with itself besides.
    pub top_k: usize,
    /// Called after each chunk.
    pub progress: Progress<'a>,
}

impl Default for ParaphraseOptions<'_> {
    fn default() -> Self {
        Self {
            query_chunk_size: 5000,
            corpus_chunk_size: 100_000,
            max_pairs: 500_000,
            top_k: 100,
            progress: Progress::none(),
        }
    }
}

/// Two rows and how alike they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The score; more is more alike.
    pub score: f32,
    /// The row with the smaller number.
    pub first: usize,
    /// The other.
    pub second: usize,
}

/// Pairs of rows of `embeddings` `[rows, dim]` with a score above -1, best first, each once; `score` as in
/// [`Search::add`](matryo_index::Search::add).
///
/// Memory: `top_k + 1` hits for each row of a query chunk, and `max_pairs` pairs. Upstream takes a row's best from `torch.topk`, which
/// leaves open which of several rows with one score are among them; here the last of them are.
///
/// # Errors
/// [`MiningError::Setting`] for a chunk size of 0.
pub fn paraphrase_mining<F>(
    embeddings: MatRef<'_>,
    options: &ParaphraseOptions<'_>,
    score: F,
) -> Result<Vec<Pair>, MiningError>
where
    F: Fn(MatRef<'_>, MatRef<'_>) -> Mat + Sync,
{
    check_positive("query_chunk_size", options.query_chunk_size)?;
    check_positive("corpus_chunk_size", options.corpus_chunk_size)?;
    let rows = embeddings.rows();
    let chunks = rows.div_ceil(options.query_chunk_size) * rows.div_ceil(options.corpus_chunk_size);
    let (mut best, mut done) = (Best::new(options.max_pairs), 0);
    for corpus in pieces(rows, options.corpus_chunk_size) {
        let chunk = embeddings.row_range(corpus.start, corpus.end);
        for queries in pieces(rows, options.query_chunk_size) {
            let rows = embeddings.row_range(queries.start, queries.end);
            let k = options.top_k.saturating_add(1).min(chunk.rows());
            let found = semantic_search(rows, chunk, k, &score);
            (queries.start..)
                .zip(&found)
                .for_each(|(row, hits)| best.offer(row, hits, corpus.start));
            done += 1;
            options.progress.advance(done, chunks);
        }
    }
    Ok(best.into_pairs())
}

/// A row, another that was found for it, and their score; ordered as Python orders the tuple.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Directed {
    score: f32,
    from: u32,
    to: u32,
}

impl Eq for Directed {}

impl Ord for Directed {
    fn cmp(&self, other: &Self) -> Ordering {
        by_score(self, other).then_with(|| (self.from, self.to).cmp(&(other.from, other.to)))
    }
}

impl PartialOrd for Directed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn by_score(a: &Directed, b: &Directed) -> Ordering {
    a.score
        .partial_cmp(&b.score)
        .expect("only scores above a number are kept")
}

/// Upstream's priority queue: once `max_pairs` were put in, each further one drives out the least.
struct Best {
    queue: BinaryHeap<Reverse<Directed>>,
    max_pairs: usize,
    added: usize,
    min_score: f32,
}

impl Best {
    fn new(max_pairs: usize) -> Self {
        Self {
            queue: BinaryHeap::new(),
            max_pairs,
            added: 0,
            min_score: -1.0,
        }
    }

    /// Offers what was found for `row` in the chunk that begins at row `start`.
    fn offer(&mut self, row: usize, hits: &[Hit], start: usize) {
        for hit in hits {
            let other = start + hit.row;
            if other != row && hit.score > self.min_score {
                self.push(Directed {
                    score: hit.score,
                    from: row as u32,
                    to: other as u32,
                });
            }
        }
    }

    fn push(&mut self, pair: Directed) {
        self.queue.push(Reverse(pair));
        self.added += 1;
        if self.added >= self.max_pairs
            && let Some(Reverse(least)) = self.queue.pop()
        {
            self.min_score = least.score;
        }
    }

    /// Of both directions the first in ascending order counts; then by descending score, equal scores in ascending order.
    fn into_pairs(self) -> Vec<Pair> {
        let mut directed: Vec<Directed> =
            self.queue.into_iter().map(|Reverse(pair)| pair).collect();
        directed.sort_unstable();
        let mut seen = HashSet::new();
        directed.retain(|pair| seen.insert((pair.from.min(pair.to), pair.from.max(pair.to))));
        directed.sort_by(|a, b| by_score(b, a));
        let pair = |pair: &Directed| Pair {
            score: pair.score,
            first: pair.from.min(pair.to) as usize,
            second: pair.from.max(pair.to) as usize,
        };
        directed.iter().map(pair).collect()
    }
}
