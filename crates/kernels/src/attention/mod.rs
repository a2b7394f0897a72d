//! Self-attention of each text over itself, forward and backward (Vaswani et al. 2017), without padding.
//!
//! ```text
//! s[i][j] = scale * q[i] . k[j]        p[i][j] = exp(s[i][j] - lse[i])        y[i] = sum over j of m[i][j] p[i][j] v[j]
//! ```
//! with `lse[i]` the log of the sum over `j` of `exp(s[i][j])`, and `m` the dropout mask, 0 or `1 / (1 - rate)`.
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
//! 3. Memory is `32 * keys` scores a task, twice that in the backward, which computes the probabilities again from `lse`
//!    (Dao et al. 2022).
//! 4. `D[i]` is the softmax's own term, the sum over `j` of `p[i][j] m[i][j] (g[i] . v[j])`; pulling `g[i]` out leaves `y[i]`. That
//!    holds with dropout because the mask inside the sum is the one inside `y`.
//! 5. Lanes past the last query hold queries of zeros: finite, computed in vain, and never stored.

mod backward;
mod forward;

use std::ops::Range;

use crate::{
    Dropout, Level, MatMut, MatRef,
    dropout::{Rate, RowWords},
    parallel::SharedMut,
    scratch,
    simd::Vector,
    team,
    tile::{Later, MAX_ROWS, Next, PANEL, Rows, Sums, Tile},
};

/// Heads of a self-attention over a fused `qkv` of `[tokens, 3 * heads * head_dim]` (all of q, then k, then v).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Number of heads.
    pub heads: usize,
    /// Width of a head; scores are scaled by `1 / sqrt(head_dim)`.
    pub head_dim: usize,
}

/// Texts of a packed batch: text `i` owns token rows `bounds[i]..bounds[i + 1]`.
#[derive(Clone, Copy, Debug)]
pub struct Spans<'a> {
    /// `texts + 1` ascending row numbers; the first is 0, the last the number of tokens.
    pub bounds: &'a [u32],
}

impl AttentionShape {
    /// Width of all heads together.
    pub fn width(self) -> usize {
        self.heads * self.head_dim
    }

    /// Factor of the scores.
    pub fn scale(self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
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

/// Self-attention: `y` `[t, d]`, `lse` `[t, heads]`, `qkv` `[t, 3 d]`; `dropout` acts on the probabilities.
pub fn attention(
    level: Level,
    mut y: MatMut<'_>,
    mut lse: Option<MatMut<'_>>,
    qkv: MatRef<'_>,
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'_>>,
) {
    check(qkv, y.as_ref(), spans, shape, dropout);
    assert!(
        lse.as_ref()
            .is_none_or(|lse| (lse.rows(), lse.cols()) == (qkv.rows(), shape.heads)),
        "attention: lse"
    );
    let y = SharedMut::new(y.data());
    let lse = lse.as_mut().map(|lse| SharedMut::new(lse.data()));
    for_each_head(qkv, spans, shape, dropout, |head| {
        scratch::local(forward::scratch_len(&head), |scratch| {
            level.run(forward::Forward {
                head,
                y,
                lse,
                scratch,
            });
        });
    });
}

/// Backward of [`attention`]; `dqkv` is assigned.
#[allow(clippy::too_many_arguments)]
pub fn attention_bwd(
    level: Level,
    mut dqkv: MatMut<'_>,
    dy: MatRef<'_>,
    y: MatRef<'_>,
    lse: MatRef<'_>,
    qkv: MatRef<'_>,
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'_>>,
) {
    check(qkv, y, spans, shape, dropout);
    assert_eq!(
        (dy.rows(), dy.cols()),
        (y.rows(), y.cols()),
        "attention_bwd: dy"
    );
    assert_eq!(
        (dqkv.rows(), dqkv.cols()),
        (qkv.rows(), qkv.cols()),
        "attention_bwd: dqkv"
    );
    assert_eq!(
        (lse.rows(), lse.cols()),
        (qkv.rows(), shape.heads),
        "attention_bwd: lse"
    );
    let dqkv = SharedMut::new(dqkv.data());
    for_each_head(qkv, spans, shape, dropout, |head| {
        let [dy, y] = [dy, y].map(|m| head.columns_of(m, 0));
        scratch::local(backward::scratch_len(&head), |scratch| {
            level.run(backward::Backward {
                head,
                dqkv,
                dy,
                y,
                lse,
                scratch,
            });
        });
    });
}

fn check(
    qkv: MatRef<'_>,
    y: MatRef<'_>,
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'_>>,
) {
    spans.check(qkv.rows());
    assert_eq!(
        (qkv.cols(), y.rows(), y.cols()),
        (3 * shape.width(), qkv.rows(), shape.width()),
        "attention: qkv and y"
    );
    assert!(
        dropout.is_none_or(|d| d.rows.len() == qkv.rows()),
        "attention: one dropout key a row"
    );
}

fn for_each_head<'a>(
    qkv: MatRef<'a>,
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'a>>,
    f: impl Fn(Head<'a>) + Sync,
) {
    team::for_each(spans.texts() * shape.heads, &|task| {
        let rows = spans.rows(task / shape.heads);
        if !rows.is_empty() {
            f(Head {
                qkv,
                rows,
                head: task % shape.heads,
                shape,
                dropout,
            });
        }
    });
}

/// One head of one text.
struct Head<'a> {
    qkv: MatRef<'a>,
    rows: Range<usize>,
    head: usize,
    shape: AttentionShape,
    dropout: Option<Dropout<'a>>,
}

impl<'a> Head<'a> {
    /// Tokens.
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// Floats of the head's rows packed as panels.
    fn panels_len(&self) -> usize {
        self.len() * self.shape.head_dim.next_multiple_of(PANEL)
    }

    /// This head's columns of part `part` (of as many parts as `m` has: q, k, v or only one) of this text's rows.
    fn columns_of<'m>(&self, m: MatRef<'m>, part: usize) -> MatRef<'m> {
        let first = part * self.shape.width() + self.head * self.shape.head_dim;
        m.row_range(self.rows.start, self.rows.end)
            .col_range(first, first + self.shape.head_dim)
    }

    /// This text's q (0), k (1) or v (2) of this head, `[len, head_dim]`.
    fn part(&self, part: usize) -> MatRef<'a> {
        self.columns_of(self.qkv, part)
    }

    /// Blocks of up to [`PANEL`] queries.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len();
        (0..len)
            .step_by(PANEL)
            .map(move |first| first..(first + PANEL).min(len))
    }

    /// The dropout masks of a block of queries.
    fn masks(&self, queries: &Range<usize>) -> Option<Masks> {
        let dropout = self.dropout?;
        let mut words = [RowWords::default(); PANEL];
        for (words, query) in words.iter_mut().zip(queries.clone()) {
            *words = dropout.row(self.rows.start + query, self.head);
        }
        Some(Masks {
            words,
            rate: dropout.rate(),
        })
    }
}

/// Dropout masks of a block of queries.
struct Masks {
    words: [RowWords; PANEL],
    rate: Rate,
}

impl Masks {
    /// Factors of all queries for the key at place `key` of the text.
    #[inline(always)]
    fn of_key(&self, key: usize) -> [f32; PANEL] {
        let mut factors = [0.0; PANEL];
        for (factor, words) in factors.iter_mut().zip(&self.words) {
            *factor = words.factor(key as u32, self.rate);
        }
        factors
    }
}

/// Height of the strips that `len` rows are cut into: about equal, at most a tile.
fn strip_height<V: Vector>(len: usize) -> usize {
    len.div_ceil(len.div_ceil(V::TILE_ROWS))
}

/// `scores[key][query] = row key of the strips . column query of the panel`.
#[inline(always)]
fn transposed_scores<V: Vector>(
    scores: &mut [f32],
    strips: &[f32],
    panel: &[f32],
    queries: usize,
    height: usize,
) {
    let (k, len) = (panel.len() / PANEL, scores.len() / PANEL);
    assert_eq!(
        (scores.len(), strips.len(), panel.len()),
        (len * PANEL, len * k, k * PANEL),
        "whole rows"
    );
    for first in (0..len).step_by(height) {
        let rows = height.min(len - first);
        let tile = Tile {
            a: strips[first * k..].as_ptr(),
            rows: Rows::Adjacent { step: rows },
            height: rows,
            b: panel.as_ptr(),
            columns: queries,
            k,
            start: std::ptr::null(),
            sums: scores[first * PANEL..].as_mut_ptr(),
            next: Next::none(panel.as_ptr()),
            later: Later::none(panel.as_ptr()),
        };
        // SAFETY: by the assertion, `rows * k` values of the strip, the panel's `k` steps and `rows` rows of scores exist.
        unsafe { V::multiply(tile) };
    }
}

/// A product whose left operand is a block of transposed scores `[keys][PANEL]`, read as it lies or transposed.
struct ScoreProduct<'a> {
    scores: &'a [f32],
    /// Whether rows of the product are queries; else keys.
    by_query: bool,
    /// Queries of the block.
    queries: usize,
    /// Right operand in panels: rows are keys if `by_query`, else queries.
    panels: &'a [f32],
    width: usize,
}

impl ScoreProduct<'_> {
    /// Calls `row(i, first column, sums)` for each row and panel of the product.
    #[inline(always)]
    fn run<V: Vector>(&self, mut row: impl FnMut(usize, usize, &mut [f32])) {
        let keys = self.scores.len() / PANEL;
        let (rows, k) = if self.by_query {
            (self.queries, keys)
        } else {
            (keys, self.queries)
        };
        let (height, layout, stride) = match self.by_query {
            true => (strip_height::<V>(rows), Rows::Adjacent { step: PANEL }, 1),
            false => (strip_height::<V>(rows), Rows::Panels, PANEL),
        };
        assert!(
            self.scores.len() == keys * PANEL && self.queries <= PANEL && height <= MAX_ROWS,
            "a block of scores"
        );
        let mut sums = Sums::new();
        for (i, panel) in self
            .panels
            .chunks_exact(k * PANEL)
            .take(self.width.div_ceil(PANEL))
            .enumerate()
        {
            let columns = PANEL.min(self.width - i * PANEL);
            for first in (0..rows).step_by(height) {
                let height = height.min(rows - first);
                let tile = Tile {
                    a: self.scores[first * stride..].as_ptr(),
                    rows: layout,
                    height,
                    b: panel.as_ptr(),
                    columns,
                    k,
                    start: std::ptr::null(),
                    sums: sums.0.as_mut_ptr().cast(),
                    next: Next::none(panel.as_ptr()),
                    later: Later::none(panel.as_ptr()),
                };
                // SAFETY: rows `first..first + height` and all `k` steps lie in the block of scores, transposed or not;
                // the panel has `k` steps; `sums` holds every tile.
                unsafe { V::multiply(tile) };
                for (r, sums) in sums.0.iter_mut().enumerate().take(height) {
                    row(first + r, i * PANEL, &mut sums[..columns]);
                }
            }
        }
    }
}
