//! Self-attention of each text over itself, forward and backward (Vaswani et al. 2017), without padding.
//!
//! ```text
//! s = q kᵀ / sqrt(head_dim),   p = exp(s - lse),   y = (mask * p) v          lse = log of the sum of exp(s), one a row and head
//! dv = (mask * p)ᵀ dy,   ds = p * (mask * (dy vᵀ) - rowsum(dy * y)) / sqrt(head_dim),   dq = ds k,   dk = dsᵀ q
//! ```
//!
//! 1. One task a text and head: tasks write columns of rows of their own, so nothing is shared and nothing is summed across tasks.
//! 2. The forward holds the scores of 12 queries; the backward holds two `n x n` matrices of one head, computed again from `lse`
//!    (Dao et al. 2022), never stored with the activations.
//! 3. `rowsum(dy * y)` holds with dropout too, since `y` is what left the masked probabilities.
//! 4. All products run on the register tile of `tile.rs`, reading q, ds and p in place through strides.

use rayon::prelude::*;

use crate::{
    Dropout, MatMut, MatRef,
    cpu::{self, Kernel},
    gemm::ScaledRows,
    parallel::SharedMut,
    scratch,
    simd::{self, Vector},
    tile::{PANEL, PanelProduct, Strided},
};

/// Heads of a self-attention over a fused `qkv` of `[tokens, 3 * heads * head_dim]` (all of q, then k, then v).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Number of heads.
    pub heads: usize,
    /// Width of a head; scores are scaled by `1 / sqrt(head_dim)`.
    pub head_dim: usize,
}

impl AttentionShape {
    fn dim(self) -> usize {
        self.heads * self.head_dim
    }

    fn scale(self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// Texts of a packed batch: text `i` owns token rows `bounds[i]..bounds[i + 1]`.
#[derive(Clone, Copy, Debug)]
pub struct Spans<'a> {
    /// `texts + 1` ascending row numbers; the first is 0, the last the number of tokens.
    pub bounds: &'a [u32],
}

impl Spans<'_> {
    /// Number of texts.
    pub fn texts(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Rows of text `i`.
    pub fn rows(&self, i: usize) -> std::ops::Range<usize> {
        self.bounds[i] as usize..self.bounds[i + 1] as usize
    }

    /// Panics unless the bounds ascend from 0 to `tokens`.
    pub(crate) fn check(&self, tokens: usize) {
        assert!(self.bounds.first() == Some(&0) && self.bounds.is_sorted(), "bounds ascend from 0");
        assert_eq!(self.bounds.last().map(|&b| b as usize), Some(tokens), "bounds end at the last token");
    }
}

/// Queries whose scores are held at a time.
const QUERIES: usize = 12;

/// Self-attention: `y` `[t, d]`, `lse` `[t, heads]`, `qkv` `[t, 3 d]`; `dropout` acts on the probabilities.
pub fn attention(
    mut y: MatMut<'_>,
    mut lse: Option<MatMut<'_>>,
    qkv: MatRef<'_>,
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'_>>,
) {
    check(qkv, y.as_ref(), spans, shape, dropout);
    if let Some(lse) = &lse {
        assert_eq!((lse.rows(), lse.cols()), (qkv.rows(), shape.heads), "attention: lse");
    }
    let y = SharedMut(y.data().as_mut_ptr());
    let lse = SharedMut(lse.as_mut().map_or(std::ptr::null_mut(), |l| l.data().as_mut_ptr()));
    for_each_head(spans, shape, |rows, head| {
        let head = Head { qkv, rows, head, shape, dropout };
        scratch::local(head.forward_scratch(), |scratch| cpu::run(Forward { head, y, lse, scratch }));
    });
}

/// Backward of [`attention`]; `dqkv` is assigned.
#[allow(clippy::too_many_arguments)]
pub fn attention_bwd(
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
    assert_eq!((dy.rows(), dy.cols()), (y.rows(), y.cols()), "attention_bwd: dy");
    assert_eq!((dqkv.rows(), dqkv.cols()), (qkv.rows(), qkv.cols()), "attention_bwd: dqkv");
    assert_eq!((lse.rows(), lse.cols()), (qkv.rows(), shape.heads), "attention_bwd: lse");
    let dqkv = SharedMut(dqkv.data().as_mut_ptr());
    for_each_head(spans, shape, |rows, head| {
        let head = Head { qkv, rows, head, shape, dropout };
        scratch::local(head.backward_scratch(), |scratch| cpu::run(Backward { head, dqkv, dy, y, lse, scratch }));
    });
}

fn check(qkv: MatRef<'_>, y: MatRef<'_>, spans: Spans<'_>, shape: AttentionShape, dropout: Option<Dropout<'_>>) {
    spans.check(qkv.rows());
    assert_eq!((qkv.cols(), y.rows(), y.cols()), (3 * shape.dim(), qkv.rows(), shape.dim()), "attention: qkv and y");
    assert!(dropout.is_none_or(|d| d.rows.len() == qkv.rows()), "attention: one dropout key a row");
}

fn for_each_head(spans: Spans<'_>, shape: AttentionShape, f: impl Fn(std::ops::Range<usize>, usize) + Sync) {
    (0..spans.texts() * shape.heads).into_par_iter().for_each(|task| {
        let rows = spans.rows(task / shape.heads);
        if !rows.is_empty() {
            f(rows, task % shape.heads);
        }
    });
}

/// One head of one text.
struct Head<'a> {
    qkv: MatRef<'a>,
    rows: std::ops::Range<usize>,
    head: usize,
    shape: AttentionShape,
    dropout: Option<Dropout<'a>>,
}

impl Head<'_> {
    /// Tokens.
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tokens filled up to whole panels: the row length of scores.
    fn padded(&self) -> usize {
        self.len().next_multiple_of(PANEL)
    }

    /// Head width filled up to whole panels.
    fn padded_dim(&self) -> usize {
        self.shape.head_dim.next_multiple_of(PANEL)
    }

    fn forward_scratch(&self) -> usize {
        self.padded() * self.shape.head_dim + self.len() * self.padded_dim() + QUERIES * self.padded()
    }

    fn backward_scratch(&self) -> usize {
        2 * self.padded() * self.shape.head_dim + self.len() * self.padded_dim() + 2 * self.len() * self.padded()
    }

    /// This text's q (0), k (1) or v (2) of this head: rows of `[len, head_dim]`.
    #[inline(always)]
    fn part(&self, part: usize) -> HeadRows<'_> {
        let from = part * self.shape.dim() + self.head * self.shape.head_dim;
        HeadRows { all: self.qkv, first: self.rows.start, from, len: self.len(), width: self.shape.head_dim }
    }

    /// The same columns of a `[t, d]` matrix.
    #[inline(always)]
    fn of<'m>(&self, m: MatRef<'m>) -> HeadRows<'m> {
        let from = self.head * self.shape.head_dim;
        HeadRows { all: m, first: self.rows.start, from, len: self.len(), width: self.shape.head_dim }
    }

    /// Multiplies a value a key by the dropout mask of query `q` (within the text); the mask's column stands for head and key.
    #[inline(always)]
    fn mask(&self, q: usize, values: &mut [f32]) {
        if let Some(dropout) = self.dropout {
            let row = dropout.row(self.rows.start + q);
            for (k, x) in values.iter_mut().enumerate() {
                *x *= row.factor((self.head as u64) << 32 | k as u64);
            }
        }
    }
}

/// Some columns of some rows.
#[derive(Clone, Copy)]
struct HeadRows<'a> {
    all: MatRef<'a>,
    first: usize,
    from: usize,
    len: usize,
    width: usize,
}

impl<'a> HeadRows<'a> {
    #[inline(always)]
    fn row(&self, i: usize) -> &'a [f32] {
        &self.all.row(self.first + i)[self.from..self.from + self.width]
    }

    #[inline(always)]
    fn strided(&self) -> Strided {
        Strided { ptr: self.row(0).as_ptr(), rows: self.all.stride(), cols: 1 }
    }

    /// Packs the transpose: `[len / PANEL][width][PANEL]`.
    #[inline(always)]
    fn pack_transposed(&self, panels: &mut [f32]) {
        panels[..self.len.next_multiple_of(PANEL) * self.width].fill(0.0);
        for i in 0..self.len {
            let panel = &mut panels[i / PANEL * PANEL * self.width..];
            for (l, &x) in self.row(i).iter().enumerate() {
                panel[l * PANEL + i % PANEL] = x;
            }
        }
    }

    /// Packs the rows as they are: `[width / PANEL][len][PANEL]`.
    #[inline(always)]
    fn pack(&self, panels: &mut [f32]) {
        for (p, panel) in panels.chunks_exact_mut(PANEL * self.len).take(self.width.div_ceil(PANEL)).enumerate() {
            let columns = PANEL.min(self.width - p * PANEL);
            for (i, step) in panel.chunks_exact_mut(PANEL).enumerate() {
                step[..columns].copy_from_slice(&self.row(i)[p * PANEL..p * PANEL + columns]);
                step[columns..].fill(0.0);
            }
        }
    }
}

/// `out[rows, 0..n] = alpha * a b` for packed `b` of `k` steps and `n` columns.
///
/// # Safety
/// `a` holds `rows.len()` rows and `k` columns; `finish` may be written at `rows` and `n` columns.
#[inline(always)]
unsafe fn multiply<V: Vector>(
    a: Strided,
    rows: std::ops::Range<usize>,
    b: &[f32],
    k: usize,
    n: usize,
    finish: ScaledRows,
) {
    for (i, panel) in b.chunks_exact(PANEL * k).take(n.div_ceil(PANEL)).enumerate() {
        let (col, valid) = (i * PANEL, PANEL.min(n - i * PANEL));
        let product = PanelProduct { a, rows: rows.clone(), panel: panel.as_ptr(), k, col, valid, finish: &finish };
        // SAFETY: the caller's promise.
        unsafe { product.run::<V>() };
    }
}

struct Forward<'a> {
    head: Head<'a>,
    y: SharedMut,
    lse: SharedMut,
    scratch: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { head, y, lse, scratch } = self;
        let (n, padded, shape) = (head.len(), head.padded(), head.shape);
        let (keys, rest) = scratch.split_at_mut(padded * shape.head_dim);
        let (values, scores) = rest.split_at_mut(n * head.padded_dim());
        head.part(1).pack_transposed(keys);
        head.part(2).pack(values);
        let queries = head.part(0).strided();
        for first in (0..n).step_by(QUERIES) {
            let count = QUERIES.min(n - first);
            let out = ScaledRows::assign(scores.as_mut_ptr(), padded, 1.0);
            // SAFETY: queries first..first + count exist; scores hold QUERIES rows of `padded`.
            unsafe { multiply::<V>(queries.skip_rows(first), 0..count, keys, shape.head_dim, padded, out) };
            for i in 0..count {
                let p = &mut scores[i * padded..i * padded + n];
                let sum = softmax::<V>(p, shape.scale());
                head.mask(first + i, p);
                if !lse.0.is_null() {
                    let at = (head.rows.start + first + i) * shape.heads + head.head;
                    // SAFETY: `attention` checked the shape of lse; no other task writes this head's column of this row.
                    unsafe { *lse.0.add(at) = sum };
                }
            }
            let a = Strided { ptr: scores.as_ptr(), rows: padded, cols: 1 };
            let at = (head.rows.start + first) * shape.dim() + head.head * shape.head_dim;
            // SAFETY: `attention` checked the shape of y; no other task writes this head's columns of these rows.
            unsafe {
                let out = ScaledRows::assign(y.0.add(at), shape.dim(), 1.0);
                multiply::<V>(a, 0..count, values, n, shape.head_dim, out);
            }
        }
    }
}

/// `s` to `exp(scale * s - lse)` in place; returns `lse`.
#[inline(always)]
fn softmax<V: Vector>(s: &mut [f32], scale: f32) -> f32 {
    let vectors = simd::count::<V>(s.len());
    let mut largest = V::splat(f32::NEG_INFINITY);
    for i in 0..vectors {
        largest = largest.max(V::load_at(s, i, f32::NEG_INFINITY));
    }
    let (largest, mut sums) = (largest.largest() * scale, V::splat(0.0));
    for i in 0..vectors {
        let e = simd::exp(V::load_at(s, i, f32::NEG_INFINITY).fma(V::splat(scale), V::splat(-largest)));
        e.store_at(s, i);
        sums = sums.add(e);
    }
    // The tail's missing lanes added exp(-87) each: far below the rounding of a sum that is at least 1.
    let sum = sums.sum();
    let inverse = V::splat(1.0 / sum);
    for i in 0..vectors {
        V::load_at(s, i, 0.0).mul(inverse).store_at(s, i);
    }
    largest + sum.ln()
}

struct Backward<'a> {
    head: Head<'a>,
    dqkv: SharedMut,
    dy: MatRef<'a>,
    y: MatRef<'a>,
    lse: MatRef<'a>,
    scratch: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { head, dqkv, dy, y, lse, scratch } = self;
        let (n, padded, shape) = (head.len(), head.padded(), head.shape);
        let (dy, y) = (head.of(dy), head.of(y));
        let (keys, rest) = scratch.split_at_mut(padded * shape.head_dim);
        let (values, rest) = rest.split_at_mut(padded * shape.head_dim);
        let (operand, rest) = rest.split_at_mut(n * head.padded_dim());
        let (p, ds) = rest.split_at_mut(n * padded);
        head.part(1).pack_transposed(keys);
        head.part(2).pack_transposed(values);
        // SAFETY: p and ds hold n rows of `padded`; the operands have n rows.
        unsafe {
            multiply::<V>(
                head.part(0).strided(),
                0..n,
                keys,
                shape.head_dim,
                padded,
                ScaledRows::assign(p.as_mut_ptr(), padded, 1.0),
            );
            multiply::<V>(
                dy.strided(),
                0..n,
                values,
                shape.head_dim,
                padded,
                ScaledRows::assign(ds.as_mut_ptr(), padded, 1.0),
            );
        }
        for q in 0..n {
            let row = q * padded..q * padded + n;
            let lse = lse.row(head.rows.start + q)[head.head];
            let delta = dot::<V>(dy.row(q), y.row(q));
            score_gradient::<V>(&mut p[row.clone()], &mut ds[row], lse, delta, &head, q);
        }
        let in_place = Strided { ptr: ds.as_ptr(), rows: padded, cols: 1 };
        let transposed = |m: &[f32]| Strided { ptr: m.as_ptr(), rows: 1, cols: padded };
        for (part, a, b) in [(0, in_place, head.part(1)), (1, transposed(ds), head.part(0)), (2, transposed(p), dy)] {
            b.pack(operand);
            let at = head.rows.start * 3 * shape.dim() + part * shape.dim() + head.head * shape.head_dim;
            // SAFETY: `attention_bwd` checked the shape of dqkv; no other task writes this head's columns of these rows.
            unsafe {
                let out = ScaledRows::assign(dqkv.0.add(at), 3 * shape.dim(), 1.0);
                multiply::<V>(a, 0..n, operand, n, shape.head_dim, out);
            }
        }
    }
}

/// Scores and `dy vᵀ` of one query to masked probabilities and score gradients, in place.
#[inline(always)]
fn score_gradient<V: Vector>(s: &mut [f32], dp: &mut [f32], lse: f32, delta: f32, head: &Head<'_>, q: usize) {
    let scale = V::splat(head.shape.scale());
    let (lse, delta) = (V::splat(-lse), V::splat(delta));
    head.mask(q, dp);
    for i in 0..simd::count::<V>(s.len()) {
        let p = simd::exp(V::load_at(s, i, 0.0).fma(scale, lse));
        p.mul(V::load_at(dp, i, 0.0).sub(delta)).mul(scale).store_at(dp, i);
        p.store_at(s, i);
    }
    head.mask(q, s);
}

/// Dot product.
#[inline(always)]
pub(crate) fn dot<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = V::splat(0.0);
    for i in 0..simd::count::<V>(a.len()) {
        sums = V::load_at(a, i, 0.0).fma(V::load_at(b, i, 0.0), sums);
    }
    sums.sum()
}
