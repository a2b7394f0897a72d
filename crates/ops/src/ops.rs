//! The trait that an encoder computes through.

use matryo_kernels::{
    Activation, AdamW, Attention, AttentionBackward, Dropout, Epilogue, LayerNorm,
    LayerNormBackward, LinearBackward, Lookup, LookupGradient, MatMut, MatRef, Operand,
    PackedWeight, PoolMode, Precision, Rotary, Spans, TouchedPart, Weight,
};

/// The operations on one device. Shapes stand in brackets; `t` is tokens, `n` texts, `d` width.
pub trait Ops: Send + Sync {
    /// What it runs on and why, in words: `cpu, avx512, 2 threads`.
    fn describe(&self) -> String;

    /// How exactly linear layers are multiplied, forward and backward.
    fn precision(&self) -> Precision;

    /// The precision and why, in words: `f32 (the fastest here ...)`.
    fn describe_precision(&self) -> String;

    /// Runs `work` with its operations on this thread alone, for a caller that keeps the other threads busy itself.
    fn alone(&self, work: &mut (dyn FnMut() + Send));

    /// Runs `work` with its operations shared among threads that wait awake for them: for work of few tokens.
    fn together(&self, work: &mut (dyn FnMut() + Send));

    /// Packs `w` `[out, in]` for repeated forward products.
    fn pack(&self, w: MatRef<'_>) -> PackedWeight;

    /// `y = epilogue(x wᵀ)`: `y` `[t, out]`, `x` `[t, in]`, `w` `[out, in]`.
    fn linear(&self, y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, epilogue: Epilogue<'_>);

    /// Backward of `y = x wᵀ + b`: `dx = dy w` and what follows it, `dw += dyᵀ x`, `db += column sums of dy`;
    /// what is `None` is skipped.
    fn linear_bwd(&self, args: LinearBackward<'_>);

    /// `out = alpha * a b` (`out` is `[m, n]`), for losses and similarity.
    fn matmul(&self, out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32);

    /// Sum of one row of each table per token, in the order of the lookups: `y[r] = table[rows[r]] + ..`; `y` `[t, d]`.
    fn embed(&self, y: MatMut<'_>, lookups: &[Lookup<'_>]);

    /// Backward of [`Ops::embed`]: `d_table[rows[r]] += dy[r]` for each table, in the order of the rows, but for frozen rows.
    fn embed_bwd(&self, dy: MatRef<'_>, gradients: &mut [LookupGradient<'_>]);

    /// Mean of a table's rows for each text, 0 for a text without tokens: `y` `[n, d]`.
    fn bag(&self, y: MatMut<'_>, lookup: Lookup<'_>, spans: Spans<'_>);

    /// Backward of [`Ops::bag`]: `d_table[rows[r]] += dy[i] / tokens of i` for each token `r` of text `i`, but for the frozen row.
    fn bag_bwd(&self, gradient: LookupGradient<'_>, dy: MatRef<'_>, spans: Spans<'_>);

    /// Layer normalisation of each row of `x` (biased variance).
    fn layer_norm(&self, args: LayerNorm<'_>);

    /// Backward of [`Ops::layer_norm`] from its input `x` and its `stats`; `dx` is assigned, `dgamma`, `dbeta` accumulate.
    fn layer_norm_bwd(&self, args: LayerNormBackward<'_>);

    /// `y = f(pre)`; both `[t, d]`.
    fn activation(&self, y: MatMut<'_>, pre: MatRef<'_>, activation: Activation);

    /// `dx = dy * f'(pre)`, in place: `d` holds `dy` before and `dx` after.
    fn activation_bwd(&self, d: MatMut<'_>, pre: MatRef<'_>, activation: Activation);

    /// Gated linear unit: `y = f(first half of pre) * second half of pre`, row by row; `y` `[t, d]`, `pre` `[t, 2 d]`.
    fn gate(&self, y: MatMut<'_>, pre: MatRef<'_>, activation: Activation);

    /// Backward of [`Ops::gate`] from its input: both halves of `d_pre` `[t, 2 d]` are assigned; `dy` `[t, d]`.
    fn gate_bwd(&self, d_pre: MatMut<'_>, dy: MatRef<'_>, pre: MatRef<'_>, activation: Activation);

    /// Rotary position embedding in place; its backward is the same call on the gradient with `inverse` turned over.
    fn rotary(&self, args: Rotary<'_>);

    /// Self-attention of each text over itself.
    fn attention(&self, args: Attention<'_>);

    /// Backward of [`Ops::attention`]; probabilities are recomputed from `qkv` and `lse`. `dqkv` is assigned.
    fn attention_bwd(&self, args: AttentionBackward<'_>);

    /// The `taps` neighbours of each token of a text side by side, `taps` odd, 0 beyond its ends: `y` `[t, d * taps]`, `x` `[t, d]`,
    /// `y[i][c * taps + tap] = x[i + tap - taps / 2][c]`.
    fn unfold(&self, y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, taps: usize);

    /// Backward of [`Ops::unfold`]: assigns the columns of `dx` `[t, _]` from `first` on, as many as `x` had; `dy` `[t, d * taps]`.
    fn unfold_bwd(
        &self,
        dx: MatMut<'_>,
        first: usize,
        dy: MatRef<'_>,
        spans: Spans<'_>,
        taps: usize,
    );

    /// Dropout in place; its backward is the same call on the gradient.
    fn dropout(&self, x: MatMut<'_>, dropout: Dropout<'_>);

    /// `y += x`.
    fn add(&self, y: MatMut<'_>, x: MatRef<'_>);

    /// One row a text from rows `spans[i] + skip[i] ..`: `y` `[n, d]`, `x` `[t, d]`. A text whose every row is skipped gives
    /// what upstream gives: 0 for means and the last token, minus infinity for max, the first token for cls.
    fn pool(&self, y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode);

    /// Backward of [`Ops::pool`]: adds into `dx` `[t, d]`, since several modes may be concatenated. `x` is the forward's input.
    fn pool_bwd(
        &self,
        dx: MatMut<'_>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        spans: Spans<'_>,
        skip: &[u32],
        mode: PoolMode,
    );

    /// Rows scaled to length 1 in place, with the length clamped at 1e-12; `norms` `[rows]` receives the lengths.
    fn normalize(&self, x: MatMut<'_>, norms: &mut [f32]);

    /// Backward of [`Ops::normalize`] in place (`d` holds `dy`, then `dx`), from its output `y` and `norms`.
    fn normalize_bwd(&self, d: MatMut<'_>, y: MatRef<'_>, norms: &[f32]);

    /// One AdamW update of `params` and its moments `m`, `v`; all of one length. Outside `touched` gradients and moments are 0.
    fn adamw(
        &self,
        params: &mut [f32],
        grads: &[f32],
        m: &mut [f32],
        v: &mut [f32],
        touched: TouchedPart<'_>,
        update: AdamW,
    );

    /// Sum of squares in f64, in an order that depends on the length alone. Outside `touched` the values are 0.
    fn sum_squares(&self, x: &[f32], touched: TouchedPart<'_>) -> f64;
}
