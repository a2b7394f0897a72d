//! The CPU: every operation is a kernel of `matryo_kernels`.

use matryo_kernels::{self as kernels, Level};

use crate::{
    Activation, AdamW, AttentionShape, Dropout, Epilogue, MatMut, MatRef, Operand, Ops, PackedWeight, PoolMode, Spans,
    Weight,
};

/// Names the instruction set to use instead of the best: `avx512`, `avx2` or `portable`.
const VARIABLE: &str = "MATRYO_CPU";

/// The CPU of this machine, with the threads of rayon's current pool.
#[derive(Clone, Debug)]
pub struct Cpu {
    level: Level,
    /// A value of [`VARIABLE`] that could not be followed.
    refused: Option<String>,
}

impl Cpu {
    /// The best instruction set of this processor, or the one that the environment variable `MATRYO_CPU` names. A name that is
    /// unknown, or that this processor lacks, is not followed; [`Ops::describe`] says so.
    pub fn new() -> Self {
        let wanted = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty());
        match wanted.as_deref().map(Level::named) {
            None => Self::at(Level::best()),
            Some(Some(level)) => Self::at(level),
            Some(None) => Self { refused: wanted, ..Self::at(Level::best()) },
        }
    }

    /// A particular instruction set; its operations panic if this processor lacks it.
    pub fn at(level: Level) -> Self {
        Self { level, refused: None }
    }

    /// The instruction set in use.
    pub fn level(&self) -> Level {
        self.level
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Ops for Cpu {
    fn describe(&self) -> String {
        let (level, threads) = (self.level.name(), rayon::current_num_threads());
        let plural = if threads == 1 { "" } else { "s" };
        let text = format!("cpu, {level}, {threads} thread{plural}");
        let Some(refused) = &self.refused else { return text };
        let names: Vec<&str> = Level::available().map(Level::name).collect();
        format!("{text} ({VARIABLE}={refused} is none of {})", names.join(", "))
    }

    fn pack(&self, w: MatRef<'_>) -> PackedWeight {
        PackedWeight::new(self.level, w)
    }

    fn linear(&self, y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, epilogue: Epilogue<'_>) {
        kernels::linear(self.level, y, x, w, epilogue);
    }

    fn linear_bwd(
        &self,
        dx: Option<MatMut<'_>>,
        dw: Option<MatMut<'_>>,
        db: Option<&mut [f32]>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        w: MatRef<'_>,
    ) {
        kernels::linear_bwd(self.level, dx, dw, db, dy, x, w);
    }

    fn matmul(&self, out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
        kernels::matmul(self.level, out, a, b, alpha);
    }

    fn embed(
        &self,
        y: MatMut<'_>,
        ids: &[u32],
        positions: &[u32],
        word: MatRef<'_>,
        position: Option<MatRef<'_>>,
        kind: Option<MatRef<'_>>,
    ) {
        kernels::embed(y, ids, positions, word, position, kind);
    }

    fn embed_bwd(
        &self,
        dy: MatRef<'_>,
        ids: &[u32],
        positions: &[u32],
        d_word: Option<MatMut<'_>>,
        d_position: Option<MatMut<'_>>,
        d_kind: Option<MatMut<'_>>,
    ) {
        kernels::embed_bwd(dy, ids, positions, d_word, d_position, d_kind);
    }

    fn layer_norm(
        &self,
        y: MatMut<'_>,
        stats: Option<MatMut<'_>>,
        x: MatRef<'_>,
        gamma: &[f32],
        beta: &[f32],
        eps: f32,
    ) {
        kernels::layer_norm(self.level, y, stats, x, gamma, beta, eps);
    }

    fn layer_norm_bwd(
        &self,
        dx: MatMut<'_>,
        dgamma: Option<&mut [f32]>,
        dbeta: Option<&mut [f32]>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        stats: MatRef<'_>,
        gamma: &[f32],
    ) {
        kernels::layer_norm_bwd(self.level, dx, dgamma, dbeta, dy, x, stats, gamma);
    }

    fn activation_bwd(&self, d: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        kernels::activation_bwd(self.level, d, pre, activation);
    }

    fn attention(
        &self,
        y: MatMut<'_>,
        lse: Option<MatMut<'_>>,
        qkv: MatRef<'_>,
        spans: Spans<'_>,
        shape: AttentionShape,
        dropout: Option<Dropout<'_>>,
    ) {
        kernels::attention(self.level, y, lse, qkv, spans, shape, dropout);
    }

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
    ) {
        kernels::attention_bwd(self.level, dqkv, dy, y, lse, qkv, spans, shape, dropout);
    }

    fn dropout(&self, x: MatMut<'_>, dropout: Dropout<'_>) {
        kernels::dropout(self.level, x, dropout);
    }

    fn add(&self, y: MatMut<'_>, x: MatRef<'_>) {
        kernels::add(self.level, y, x);
    }

    fn pool(&self, y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode) {
        kernels::pool(y, x, spans, skip, mode);
    }

    fn pool_bwd(&self, dx: MatMut<'_>, dy: MatRef<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode) {
        kernels::pool_bwd(dx, dy, x, spans, skip, mode);
    }

    fn normalize(&self, x: MatMut<'_>, norms: &mut [f32]) {
        kernels::normalize(x, norms);
    }

    fn normalize_bwd(&self, d: MatMut<'_>, y: MatRef<'_>, norms: &[f32]) {
        kernels::normalize_bwd(d, y, norms);
    }

    fn adamw(&self, params: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], update: AdamW) {
        kernels::adamw(self.level, params, grads, m, v, update);
    }

    fn sum_squares(&self, x: &[f32]) -> f64 {
        kernels::sum_squares(x)
    }
}
