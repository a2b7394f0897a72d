//! Self-attention of each text over itself, forward and backward (Vaswani et al. 2017), without padding.
//!
//! ```text
//! s[i][j] = scale * q[i] . k[j] + b[i][j]         p[i][j] = exp(s[i][j] - lse[i])        y[i] = sum over j of m[i][j] p[i][j] v[j]
//! ```
//! with `j` over the keys that query `i` sees, `b[i][j]` what is added by distance (`relative.rs`, `disentangled.rs`), `lse[i]` the log of the sum over `j` of `exp(s[i][j])`, and `m` the dropout mask, 0 or
//! `1 / (1 - rate)`.
//! With `g = dy`:
//!
//! ```text
//! ds[i][j] = scale * p[i][j] (m[i][j] (g[i] . v[j]) - D[i])                   D[i] = g[i] . y[i]
//! dq[i] = sum over j of ds[i][j] k[j]      dk[j] = sum over i of ds[i][j] q[i]      dv[j] = sum over i of m[i][j] p[i][j] g[i]
//! ```
//!
//! 1. One task is one head of one text: it writes columns of rows of its own, so nothing is summed across tasks.
//! 2. Queries go in blocks of 32, the width of a panel, and scores are kept transposed, `[keys][32]`. So the softmax runs down
//!    columns, one query a lane: no sums across lanes, no tails, no masks for odd lengths. And transposed scores are already
//!    laid out as a strip for the product with the values: nothing is packed between the two products.
//! 3. Memory is 32 scores for each key that a block sees, twice that in the backward, which recomputes the probabilities from `lse`
//!    (Dao et al. 2022).
//! 4. `D[i]` is the softmax's own term, the sum over `j` of `p[i][j] m[i][j] (g[i] . v[j])`; pulling `g[i]` out leaves `y[i]`. That
//!    holds with dropout because the mask inside the sum is the one inside `y`.
//! 5. Lanes past the last query hold anything: what is computed in them is never stored.
//! 6. With a window, a block of queries works on the keys that at least one of them sees, and on no others. Keys and values are
//!    packed once per head; strips and panels are entered at any row, so the range needs no alignment.

mod backward;
mod collected;
mod disentangled;
mod distance_rows;
mod distance_scores;
mod forward;
mod head;
mod integers;
mod mask;
mod products;
mod relative;

use std::ops::Range;

use crate::{
    Arithmetic, Dropout, Level, MatMut, MatRef, parallel::SharedMut, scratch, tile::PANEL,
};
use collected::CollectedVectors;
use head::{HeadSize, Shared};
use relative::Collected;

pub use disentangled::Disentangled;
pub use mask::AttentionMask;
pub use relative::RelativeBias;

/// Heads of a self-attention over a fused `qkv` of `[tokens, 3 * heads * head_dim]` (all of q, then k, then v).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Factor of the scores; positive.
    pub scale: f32,
    /// Keys that a query sees.
    pub mask: AttentionMask,
}

/// Texts of a packed batch: text `i` owns token rows `bounds[i]..bounds[i + 1]`.
#[derive(Clone, Copy, Debug)]
pub struct Spans<'a> {
    /// `texts + 1` ascending row numbers; the first is 0, the last the number of tokens.
    pub bounds: &'a [u32],
}

impl AttentionShape {
    /// Full attention with scores scaled by `1 / sqrt(head_dim)`.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        Self {
            heads,
            head_dim,
            scale: 1.0 / (head_dim as f32).sqrt(),
            mask: AttentionMask::FULL,
        }
    }

    /// Width of all heads together.
    pub fn width(self) -> usize {
        self.heads * self.head_dim
    }
}

/// Arguments of [`attention`].
#[derive(Debug)]
pub struct Attention<'a> {
    /// Assigned; `[t, d]`.
    pub y: MatMut<'a>,
    /// Receives the log-sum-exp of the scaled scores, for the backward; `[t, heads]`.
    pub lse: Option<MatMut<'a>>,
    /// Queries, keys and values side by side; `[t, 3 d]`.
    pub qkv: MatRef<'a>,
    /// Texts of the batch.
    pub spans: Spans<'a>,
    /// Heads, scale and mask.
    pub shape: AttentionShape,
    /// Added to the scaled scores.
    pub bias: Option<RelativeBias<'a>>,
    /// Terms of content and distance, scaled as the scores.
    pub distances: Option<Disentangled<'a>>,
    /// Acts on the probabilities; the column of an element is the place of its key in the text.
    pub dropout: Option<Dropout<'a>>,
}

/// Arguments of [`attention_bwd`].
#[derive(Debug)]
pub struct AttentionBackward<'a> {
    /// Assigned; `[t, 3 d]`.
    pub dqkv: MatMut<'a>,
    /// Gradient of the output; `[t, d]`.
    pub dy: MatRef<'a>,
    /// Output of the forward; `[t, d]`.
    pub y: MatRef<'a>,
    /// Log-sum-exp that the forward wrote; `[t, heads]`.
    pub lse: MatRef<'a>,
    /// Input of the forward; `[t, 3 d]`.
    pub qkv: MatRef<'a>,
    /// As in the forward.
    pub spans: Spans<'a>,
    /// As in the forward.
    pub shape: AttentionShape,
    /// As in the forward.
    pub bias: Option<RelativeBias<'a>>,
    /// Gradient of the bias, laid out as it; accumulates. Ignored without a bias.
    pub d_bias: Option<MatMut<'a>>,
    /// As in the forward.
    pub distances: Option<Disentangled<'a>>,
    /// Gradient of the vectors of distances, laid out as they; accumulates. There if they are.
    pub d_vectors: Option<MatMut<'a>>,
    /// As in the forward.
    pub dropout: Option<Dropout<'a>>,
}

impl Spans<'_> {
    /// Number of texts.
    pub fn texts(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Rows of text `i`.
    pub fn rows(&self, i: usize) -> Range<usize> {
        self.bounds[i] as usize..self.bounds[i + 1] as usize
    }

    /// Panics unless the bounds ascend from 0 to `tokens`.
    pub(crate) fn check(&self, tokens: usize) {
        assert!(
            self.bounds.first() == Some(&0) && self.bounds.is_sorted(),
            "bounds ascend from 0"
        );
        assert_eq!(
            self.bounds.last().map(|&b| b as usize),
            Some(tokens),
            "bounds end at the last token"
        );
    }
}

impl<'a> Attention<'a> {
    fn shared(&self) -> Shared<'a> {
        Shared {
            qkv: self.qkv,
            spans: self.spans,
            shape: self.shape,
            bias: self.bias,
            distances: self.distances,
            dropout: self.dropout,
        }
    }

    /// Panics unless all matrices fit together.
    fn check(&self) {
        let (qkv, shape) = (self.qkv, self.shape);
        check(self.shared(), self.y.as_ref());
        assert!(
            self.lse
                .as_ref()
                .is_none_or(|lse| (lse.rows(), lse.cols()) == (qkv.rows(), shape.heads)),
            "attention: lse"
        );
    }
}

impl<'a> AttentionBackward<'a> {
    fn shared(&self) -> Shared<'a> {
        Shared {
            qkv: self.qkv,
            spans: self.spans,
            shape: self.shape,
            bias: self.bias,
            distances: self.distances,
            dropout: self.dropout,
        }
    }

    /// Panics unless all matrices fit together.
    fn check(&self) {
        let size = |m: MatRef<'_>| (m.rows(), m.cols());
        check(self.shared(), self.y);
        assert_eq!(size(self.dy), size(self.y), "attention_bwd: dy");
        assert_eq!(
            (self.dqkv.rows(), self.dqkv.cols()),
            size(self.qkv),
            "attention_bwd: dqkv"
        );
        assert_eq!(
            size(self.lse),
            (self.qkv.rows(), self.shape.heads),
            "attention_bwd: lse"
        );
        if let (Some(bias), Some(d_bias)) = (self.bias, &self.d_bias) {
            let found = (d_bias.rows(), d_bias.cols());
            assert_eq!(found, size(bias.values), "attention_bwd: d_bias");
        }
        let found = self.d_vectors.as_ref().map(|d| (d.rows(), d.cols()));
        assert_eq!(
            found,
            self.distances.map(|distances| size(distances.vectors)),
            "attention_bwd: d_vectors"
        );
    }
}

/// What the memory of a self-attention depends on, besides its arguments.
#[derive(Clone, Copy, Debug)]
pub struct AttentionMemory {
    /// Heads and mask.
    pub shape: AttentionShape,
    /// Tokens of the longest text.
    pub longest: usize,
    /// Tokens of all texts.
    pub tokens: usize,
    /// Whether there is a bias by distance.
    pub has_bias: bool,
    /// Number of terms of content and distance, and of the rows of vectors that the distances in the longest text have.
    pub distances: Option<(usize, usize)>,
}

impl AttentionMemory {
    /// Bytes that each thread keeps for itself, forward and backward.
    pub fn per_thread(self) -> usize {
        let size = HeadSize {
            shape: self.shape,
            len: self.longest,
            has_bias: self.has_bias,
            runs: self.distances.map(|(_, rows)| rows.div_ceil(PANEL)),
        };
        forward::scratch_len(size).max(backward::scratch_len(size)) * size_of::<f32>()
    }

    /// Bytes of the sums of gradients that the backward holds while it runs, at most.
    pub fn sums(self) -> usize {
        let of_bias = if self.has_bias {
            2 * self.tokens * self.shape.heads
        } else {
            0
        };
        let of_vectors = self.distances.map_or(0, |(terms, rows)| {
            CollectedVectors::most(self.tokens, terms * rows, self.shape.width())
        });
        (of_bias + of_vectors) * size_of::<f32>()
    }
}

/// Self-attention of each text over itself.
///
/// Products are calculated in `f32`; in [`Precision::Int8`](crate::Precision::Int8) with 16-bit integers, where queries see 160 to 1,024 keys, the
/// processor has instructions for them, and no log-sum-exp, dropout or terms of distances are asked for.
pub fn attention(arithmetic: impl Into<Arithmetic>, args: Attention<'_>) {
    args.check();
    let (shared, arithmetic) = (args.shared(), arithmetic.into());
    let for_use = args.lse.is_none() && shared.dropout.is_none();
    let integers = integers::multiply(arithmetic).filter(|_| for_use);
    let Attention { mut y, mut lse, .. } = args;
    let y = SharedMut::new(y.data());
    let lse = lse.as_mut().map(|lse| SharedMut::new(lse.data()));
    shared.for_each_head(|head| {
        scratch::local(forward::scratch_len(head.size()), |scratch| {
            arithmetic.level.run(forward::Forward {
                head,
                y,
                lse,
                integers,
                scratch,
            });
        });
    });
}

/// Backward of [`attention`]; probabilities are recomputed from `qkv` and `lse`.
pub fn attention_bwd(level: Level, args: AttentionBackward<'_>) {
    args.check();
    let shared = args.shared();
    let AttentionBackward {
        mut dqkv,
        dy,
        y,
        lse,
        d_bias,
        d_vectors,
        ..
    } = args;
    let (tokens, heads, dim) = (shared.qkv.rows(), shared.shape.heads, shared.shape.head_dim);
    let d_bias = shared.bias.zip(d_bias);
    let mut collected = d_bias.as_ref().map(|_| Collected::new(tokens, heads));
    let sums = collected.as_mut().map(Collected::shared);
    let mut vectors = CollectedVectors::new(shared.distances, shared.spans, heads, dim);
    let dqkv = SharedMut::new(dqkv.data());
    let (vector_sums, share) = (SharedMut::new(vectors.sums()), vectors.share());
    shared.for_each_head_of(vectors.groups(), |group, head| {
        let [dy, y] = [dy, y].map(|m| head.columns_of(m, 0));
        // SAFETY: no other task writes the sums of this head of this group of texts.
        let d_vectors = unsafe { vector_sums.piece((group * heads + head.head) * share, share) };
        scratch::local(backward::scratch_len(head.size()), |scratch| {
            level.run(backward::Backward {
                head,
                dqkv,
                dy,
                y,
                lse,
                d_bias: sums,
                d_vectors,
                scratch,
            });
        });
    });
    if let (Some((bias, mut d_bias)), Some(collected)) = (d_bias, collected) {
        collected.add_to(&mut d_bias, bias, shared.spans, shared.shape.scale);
    }
    if let (Some(distances), Some(d_vectors)) = (shared.distances, d_vectors) {
        vectors.add_to(d_vectors, distances, heads, dim);
    }
}

fn check(shared: Shared<'_>, y: MatRef<'_>) {
    let Shared {
        qkv,
        spans,
        shape,
        bias,
        distances,
        dropout,
    } = shared;
    spans.check(qkv.rows());
    assert_eq!(
        (qkv.cols(), y.rows(), y.cols()),
        (3 * shape.width(), qkv.rows(), shape.width()),
        "attention: qkv and y"
    );
    // The softmax shifts by the largest score before it scales.
    assert!(shape.scale > 0.0, "attention: scale");
    if let Some(bias) = bias {
        bias.check(shape.heads, spans);
    }
    if let Some(distances) = distances {
        distances.check(shape, spans);
    }
    assert!(
        dropout.is_none_or(|d| d.rows.len() == qkv.rows()),
        "attention: one dropout key a row"
    );
}
