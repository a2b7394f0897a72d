//! The reference device: plain loops on one thread, sums in f64. Every other device must agree with it.

use matryo_kernels::{self as kernels, Level, scalar};

use crate::{
    Activation, AdamW, AttentionShape, Dropout, Epilogue, InputGradient, MatMut, MatRef, Operand,
    Ops, PackedWeight, PoolMode, Precision, Spans, Weight,
};

/// The reference device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

impl Ops for Scalar {
    fn describe(&self) -> String {
        "cpu, scalar reference".to_owned()
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }

    fn describe_precision(&self) -> String {
        "f32 (sums in f64)".to_owned()
    }

    fn alone(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }

    fn together(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }

    fn pack(&self, w: MatRef<'_>) -> PackedWeight {
        PackedWeight::new(Level::Portable, w)
    }

    fn linear(&self, y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, epilogue: Epilogue<'_>) {
        scalar::linear(y, x, w, epilogue);
    }

    fn linear_bwd(
        &self,
        dx: Option<InputGradient<'_>>,
        dw: Option<MatMut<'_>>,
        db: Option<&mut [f32]>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        w: MatRef<'_>,
    ) {
        scalar::linear_bwd(dx, dw, db, dy, x, w);
    }

    fn matmul(&self, out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
        scalar::matmul(out, a, b, alpha);
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
        scalar::layer_norm(y, stats, x, gamma, beta, eps);
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
        scalar::layer_norm_bwd(dx, dgamma, dbeta, dy, x, stats, gamma);
    }

    fn activation_bwd(&self, d: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        scalar::activation_bwd(d, pre, activation);
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
        scalar::attention(y, lse, qkv, spans, shape, dropout);
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
        scalar::attention_bwd(dqkv, dy, y, lse, qkv, spans, shape, dropout);
    }

    fn dropout(&self, x: MatMut<'_>, dropout: Dropout<'_>) {
        kernels::dropout(Level::Portable, x, dropout);
    }

    fn add(&self, y: MatMut<'_>, x: MatRef<'_>) {
        kernels::add(Level::Portable, y, x);
    }

    fn pool(&self, y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, skip: &[u32], mode: PoolMode) {
        kernels::pool(y, x, spans, skip, mode);
    }

    fn pool_bwd(
        &self,
        dx: MatMut<'_>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
        spans: Spans<'_>,
        skip: &[u32],
        mode: PoolMode,
    ) {
        kernels::pool_bwd(dx, dy, x, spans, skip, mode);
    }

    fn normalize(&self, x: MatMut<'_>, norms: &mut [f32]) {
        kernels::normalize(x, norms);
    }

    fn normalize_bwd(&self, d: MatMut<'_>, y: MatRef<'_>, norms: &[f32]) {
        kernels::normalize_bwd(d, y, norms);
    }

    fn adamw(
        &self,
        params: &mut [f32],
        grads: &[f32],
        m: &mut [f32],
        v: &mut [f32],
        update: AdamW,
    ) {
        scalar::adamw(params, grads, m, v, update);
    }

    fn sum_squares(&self, x: &[f32]) -> f64 {
        scalar::sum_squares(x)
    }
}
