//! Self-attention of each text over itself, forward and backward (Vaswani et al. 2017), without padding.
//!
//! ```text
//! s[i][j] = scale * q[i] . k[j]        p[i][j] = exp(s[i][j] - lse[i])        y[i] = sum over j of m[i][j] p[i][j] v[j]
//! ```
//! with `j` over the keys that query `i` sees, `lse[i]` the log of the sum over `j` of `exp(s[i][j])`, and `m` the dropout mask, 0 or
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
//! 5. Lanes past the last query hold queries of zeros: finite, computed in vain, and never stored.
//! 6. With a window, a block of queries works on the keys that at least one of them sees, and on no others. Keys and values are
//!    packed once per head; strips and panels are entered at any row, so the range needs no alignment.

mod backward;
mod forward;
mod mask;

use std::ops::Range;

use crate::{
    Dropout, Level, MatMut, MatRef,
    dropout::{Rate, RowWords},
    pack,
    parallel::SharedMut,
    scratch,
    simd::Vector,
    team,
    tile::{Later, MAX_ROWS, Next, PANEL, Rows, Sums, Tile},
};

pub use mask::AttentionMask;

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

/// Self-attention of each text over itself.
pub fn attention(level: Level, args: Attention<'_>) {
    let Attention {
        mut y,
        mut lse,
        qkv,
        spans,
        shape,
        dropout,
    } = args;
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

/// Backward of [`attention`]; probabilities are recomputed from `qkv` and `lse`.
pub fn attention_bwd(level: Level, args: AttentionBackward<'_>) {
    let AttentionBackward {
        mut dqkv,
        dy,
        y,
        lse,
        qkv,
        spans,
        shape,
        dropout,
    } = args;
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
    // The softmax shifts by the largest score before it scales.
    assert!(shape.scale > 0.0, "attention: scale");
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

    /// Keys that at least one query of a block sees.
    fn keys(&self, queries: &Range<usize>) -> Range<usize> {
        self.shape.mask.keys(queries, self.len())
    }

    /// Floats of the scores of any block.
    fn scores_len(&self) -> usize {
        self.shape.mask.most_keys(self.len()) * PANEL
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

/// Rows of a matrix in strips, each `[k][its rows]`.
struct Strips<'a> {
    values: &'a [f32],
    rows: usize,
    /// Rows of every strip but the last, which may have fewer.
    height: usize,
}

impl<'a> Strips<'a> {
    /// Packs `from` `[rows, k]` into `storage` of as many values.
    #[inline(always)]
    fn pack<V: Vector>(storage: &'a mut [f32], from: MatRef<'_>) -> Self {
        let rows = from.rows();
        let height = strip_height::<V>(rows);
        pack::transpose_strips::<V>(storage, from, height);
        Self {
            values: storage,
            rows,
            height,
        }
    }

    /// `scores[key][query] = row keys.start + key of the strips . column query of the panel`.
    ///
    /// The first and the last strip that hold some of `keys` may be read in part: their rows lie side by side.
    #[inline(always)]
    fn scores<V: Vector>(
        &self,
        scores: &mut [f32],
        keys: &Range<usize>,
        panel: &[f32],
        queries: usize,
    ) {
        let k = panel.len() / PANEL;
        assert_eq!(
            (scores.len(), self.values.len(), panel.len()),
            (keys.len() * PANEL, self.rows * k, k * PANEL),
            "whole rows"
        );
        assert!(keys.end <= self.rows, "keys of the text");
        let first_strip = keys.start / self.height * self.height;
        for strip in (first_strip..keys.end).step_by(self.height) {
            let step = self.height.min(self.rows - strip);
            let first = keys.start.max(strip);
            let end = keys.end.min(strip + step);
            let tile = Tile {
                a: self.values[strip * k + first - strip..].as_ptr(),
                rows: Rows::Adjacent { step },
                height: end - first,
                b: panel.as_ptr(),
                columns: queries,
                k,
                start: std::ptr::null(),
                sums: scores[(first - keys.start) * PANEL..].as_mut_ptr(),
                next: Next::none(panel.as_ptr()),
                later: Later::none(panel.as_ptr()),
            };
            // SAFETY: by the assertions, `step * k` values of the strip exist, of which the tile reads `end - first` at each of
            // `k` steps, the panel's `k` steps, and rows `first..end` of scores.
            unsafe { V::multiply(tile) };
        }
    }
}

/// A product whose left operand is a block of transposed scores `[keys][PANEL]`, read as it lies or transposed.
struct ScoreProduct<'a> {
    scores: &'a [f32],
    /// Whether rows of the product are queries; else keys.
    by_query: bool,
    /// Queries of the block.
    queries: usize,
    /// Right operand, whose rows are keys if `by_query`, else queries.
    panels: Panels<'a>,
}

/// Rows of a matrix in panels of [`PANEL`] columns, some of which are multiplied with.
struct Panels<'a> {
    values: &'a [f32],
    /// Rows of every panel.
    rows: usize,
    /// First row to multiply with.
    first: usize,
    /// Columns of all panels together.
    width: usize,
}

impl ScoreProduct<'_> {
    /// Calls `row(i, first column, sums)` for each of some rows and each panel of the product.
    #[inline(always)]
    fn run<V: Vector>(&self, rows: Range<usize>, mut row: impl FnMut(usize, usize, &mut [f32])) {
        if rows.is_empty() {
            return;
        }
        let keys = self.scores.len() / PANEL;
        let (all_rows, k) = if self.by_query {
            (self.queries, keys)
        } else {
            (keys, self.queries)
        };
        let height = strip_height::<V>(rows.len());
        let (layout, stride) = match self.by_query {
            true => (Rows::Adjacent { step: PANEL }, 1),
            false => (Rows::Panels, PANEL),
        };
        assert!(
            self.scores.len() == keys * PANEL && self.queries <= PANEL && height <= MAX_ROWS,
            "a block of scores"
        );
        assert!(rows.end <= all_rows, "rows of the product");
        let Panels {
            values,
            rows: panel_rows,
            first: entry,
            width,
        } = self.panels;
        let mut sums = Sums::new();
        for (i, panel) in values
            .chunks_exact(panel_rows * PANEL)
            .take(width.div_ceil(PANEL))
            .enumerate()
        {
            let panel = &panel[entry * PANEL..(entry + k) * PANEL];
            let columns = PANEL.min(width - i * PANEL);
            for first in rows.clone().step_by(height) {
                let height = height.min(rows.end - first);
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
                // `panel` has `k` steps; `sums` holds every tile.
                unsafe { V::multiply(tile) };
                for (r, sums) in sums.0.iter_mut().enumerate().take(height) {
                    row(first + r, i * PANEL, &mut sums[..columns]);
                }
            }
        }
    }
}
