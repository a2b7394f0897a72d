//! The closed set of operations of an encoder on a device: each a forward with its backward.
//!
//! Two rules, said once: gradients of activations are assigned (`=`), gradients of parameters accumulate (`+=`).
//! Operations assert shapes and do not return `Result`: a wrong shape is a bug, not an input.

pub use matryo_kernels::{Mat, MatMut, MatRef, PackedWeight};

/// Non-linearities of feed-forward and dense layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * Phi(x)` with the exact error function (`gelu`).
    Gelu,
    /// The tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)` (`silu`, `swish`).
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

/// Texts of a packed batch: text `i` owns token rows `bounds[i]..bounds[i + 1]`.
#[derive(Clone, Copy, Debug)]
pub struct Spans<'a> {
    /// `texts + 1` ascending row numbers; the first is 0, the last the number of tokens.
    pub bounds: &'a [u32],
}

/// Heads of a self-attention over a fused `qkv` of `[tokens, 3 * heads * head_dim]` (all of q, then k, then v).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Number of heads.
    pub heads: usize,
    /// Width of a head; scores are scaled by `1 / sqrt(head_dim)`.
    pub head_dim: usize,
}

/// Dropout as a pure function: the mask of an element depends on `key`, its row's key and its column only,
/// so that any batching, any number of threads and a recomputed forward see the same mask.
#[derive(Clone, Copy, Debug)]
pub struct Dropout<'a> {
    /// Probability of zeroing an element; survivors are divided by `1 - rate`.
    pub rate: f32,
    /// Stands for (seed, layer, site).
    pub key: u64,
    /// One key a token row; stands for (text id, position).
    pub rows: &'a [u64],
}

/// A weight `[out, in]`: as stored, or packed once by [`Ops::pack`].
#[derive(Clone, Copy)]
pub enum Weight<'a> {
    /// As in the checkpoint; packed on the fly, which costs about `1 / tokens` of the product.
    Plain(MatRef<'a>),
    /// Packed for this device; forward only.
    Packed(&'a PackedWeight),
}

/// What follows a matrix product, in this order: bias, activation, residual.
#[derive(Default)]
pub struct Epilogue<'a> {
    /// Added to every row; `[out]`.
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Option<Activation>,
    /// Receives the value before the activation, for its backward; `[tokens, out]`.
    pub pre_activation: Option<MatMut<'a>>,
    /// Added last; `[tokens, out]`.
    pub residual: Option<MatRef<'a>>,
}

/// How token rows become one row a text. `lo` below is the first row that counts (prompt tokens may be left out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolMode {
    /// First token.
    Cls,
    /// Largest value of each column.
    Max,
    /// Mean over the tokens.
    Mean,
    /// Sum over the tokens divided by the square root of their number.
    MeanSqrtLen,
    /// Mean weighted by position, 1 for the first token.
    WeightedMean,
    /// Last token.
    LastToken,
}

/// Hyper-parameters of one AdamW update (Loshchilov & Hutter 2019; the semantics of `torch.optim.AdamW`).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// 1 for the first update.
    pub step: u64,
    /// Multiplies every gradient as it is read (clipping), so that clipping needs no pass of its own.
    pub grad_scale: f32,
}

/// An operand of [`Ops::matmul`], read as it lies or transposed.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// `a`.
    Normal(MatRef<'a>),
    /// `a` transposed.
    Transposed(MatRef<'a>),
}

/// The operations on one device. Shapes stand in brackets; `t` is tokens, `n` texts, `d` width.
pub trait Ops: Send + Sync {
    /// What it runs on and why, in words: `cpu, avx512, 2 threads`.
    fn describe(&self) -> String;

    /// Packs `w` `[out, in]` for repeated forward products.
    fn pack(&self, w: MatRef<'_>) -> PackedWeight;

    /// `y = epilogue(x wᵀ)`: `y` `[t, out]`, `x` `[t, in]`, `w` `[out, in]`.
    fn linear(&self, y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, epilogue: Epilogue<'_>);

    /// Backward of `y = x wᵀ + b`: `dx = dy w`, `dw += dyᵀ x`, `db += column sums of dy`; what is `None` is skipped.
    /// `dx` `[t, in]`, `dw` `[out, in]`, `db` `[out]`, `dy` `[t, out]`.
    fn linear_bwd(
        &self,
        dx: Option<MatMut<'_>>,
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
    /// what upstream's masked sum gives: 0 for means, the masked minimum for max.
    fn pool(&self, y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode);

    /// Backward of [`Ops::pool`]: adds into `dx` `[t, d]`, since several modes may be concatenated. `x` is the forward's input.
    fn pool_bwd(&self, dx: MatMut<'_>, dy: MatRef<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode);

    /// Rows scaled to length 1 in place, with the length clamped at 1e-12; `norms` `[rows]` receives the lengths.
    fn normalize(&self, x: MatMut<'_>, norms: &mut [f32]);

    /// Backward of [`Ops::normalize`] in place (`d` holds `dy`, then `dx`), from its output `y` and `norms`.
    fn normalize_bwd(&self, d: MatMut<'_>, y: MatRef<'_>, norms: &[f32]);

    /// One AdamW update of `params` and its moments `m`, `v`; all of one length.
    fn adamw(&self, params: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], update: AdamW);

    /// Sum of squares in f64, in an order that depends on the length alone.
    fn sum_squares(&self, x: &[f32]) -> f64;
}
