//! The trait that an encoder computes through.

use matryo_kernels::{
    Activation, AdamW, AttentionShape, Dropout, Epilogue, InputGradient, MatMut, MatRef, Operand,
    PackedWeight, PoolMode, Precision, Spans, Weight,
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
    /// `dx` `[t, in]`, `dw` `[out, in]`, `db` `[out]`, `dy` `[t, out]`.
    fn linear_bwd(
        &self,
        dx: Option<InputGradient<'_>>,
        dw: Option<MatMut<'_>>,
        db: Option<&mut [f32]>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        w: MatRef<'_>,
    );

    /// `out = alpha * a b` (`out` is `[m, n]`), for losses and similarity.
    fn matmul(&self, out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32);

    /// Sum of one row of each table per token: `y[r] = word[ids[r]] + position[positions[r]] + kind[0]`.
    /// `position` and `kind` may be absent.
    fn embed(
        &self,
        y: MatMut<'_>,
        ids: &[u32],
        positions: &[u32],
        word: MatRef<'_>,
        position: Option<MatRef<'_>>,
        kind: Option<MatRef<'_>>,
    );

    /// Backward of [`Ops::embed`]: `d_word[ids[r]] += dy[r]` and so on, in the order of the rows.
    fn embed_bwd(
        &self,
        dy: MatRef<'_>,
        ids: &[u32],
        positions: &[u32],
        d_word: Option<MatMut<'_>>,
        d_position: Option<MatMut<'_>>,
        d_kind: Option<MatMut<'_>>,
    );

    /// Layer normalisation of each row of `x` (biased variance). `stats` `[t, 2]` receives mean and 1/deviation.
    fn layer_norm(
        &self,
        y: MatMut<'_>,
        stats: Option<MatMut<'_>>,
        x: MatRef<'_>,
        gamma: &[f32],
        beta: &[f32],
        eps: f32,
    );

    /// Backward of [`Ops::layer_norm`] from its input `x` and its `stats`; `dx` is assigned, `dgamma`, `dbeta` accumulate.
    #[allow(clippy::too_many_arguments)]
    fn layer_norm_bwd(
        &self,
        dx: MatMut<'_>,
        dgamma: Option<&mut [f32]>,
        dbeta: Option<&mut [f32]>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        stats: MatRef<'_>,
        gamma: &[f32],
    );

    /// `dx = dy * f'(pre)`, in place: `d` holds `dy` before and `dx` after.
    fn activation_bwd(&self, d: MatMut<'_>, pre: MatRef<'_>, activation: Activation);

    /// Self-attention of each text over itself: `y` `[t, d]`, `lse` `[t, heads]` (log-sum-exp of the scaled scores, for the
    /// backward), `qkv` `[t, 3 d]`. `dropout` acts on the probabilities.
    fn attention(
        &self,
        y: MatMut<'_>,
        lse: Option<MatMut<'_>>,
        qkv: MatRef<'_>,
        spans: Spans<'_>,
        shape: AttentionShape,
        dropout: Option<Dropout<'_>>,
    );

    /// Backward of [`Ops::attention`]; probabilities are computed again from `qkv` and `lse`. `dqkv` is assigned.
    #[allow(clippy::too_many_arguments)]
    fn attention_bwd(
        &self,
        dqkv: MatMut<'_>,
        dy: MatRef<'_>,
        y: MatRef<'_>,
        lse: MatRef<'_>,
        qkv: MatRef<'_>,
        spans: Spans<'_>,
        shape: AttentionShape,
        dropout: Option<Dropout<'_>>,
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

    /// One AdamW update of `params` and its moments `m`, `v`; all of one length.
    fn adamw(&self, params: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], update: AdamW);

    /// Sum of squares in f64, in an order that depends on the length alone.
    fn sum_squares(&self, x: &[f32]) -> f64;
}
