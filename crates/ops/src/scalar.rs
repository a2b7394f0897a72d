//! The reference device: plain loops, sums in f64, for what a kernel computes in blocks or vectors; pooling,
//! normalising, unfolding, dropout and additions, which are plain loops themselves, are those of the kernels. Every other device must agree with it.

use matryo_kernels::{self as kernels, Level, scalar};

use crate::{
    Activation, AdamW, Attention, AttentionBackward, Dropout, Epilogue, LayerNorm,
    LayerNormBackward, LinearBackward, Lookup, LookupGradient, MatMut, MatRef, Operand, Ops,
    PackedWeight, PoolMode, Precision, Rotary, Spans, TouchedPart, Weight,
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

    fn linear_bwd(&self, args: LinearBackward<'_>) {
        scalar::linear_bwd(args);
    }

    fn matmul(&self, out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
        scalar::matmul(out, a, b, alpha);
    }

    fn embed(&self, y: MatMut<'_>, lookups: &[Lookup<'_>]) {
        scalar::embed(y, lookups);
    }

    fn embed_bwd(&self, dy: MatRef<'_>, gradients: &mut [LookupGradient<'_>]) {
        scalar::embed_bwd(dy, gradients);
    }

    fn bag(&self, y: MatMut<'_>, lookup: Lookup<'_>, spans: Spans<'_>) {
        scalar::bag(y, lookup, spans);
    }

    fn bag_bwd(&self, gradient: LookupGradient<'_>, dy: MatRef<'_>, spans: Spans<'_>) {
        scalar::bag_bwd(gradient, dy, spans);
    }

    fn layer_norm(&self, args: LayerNorm<'_>) {
        scalar::layer_norm(args);
    }

    fn layer_norm_bwd(&self, args: LayerNormBackward<'_>) {
        scalar::layer_norm_bwd(args);
    }

    fn activation(&self, y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        scalar::activation(y, pre, activation);
    }

    fn activation_bwd(&self, d: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        scalar::activation_bwd(d, pre, activation);
    }

    fn gate(&self, y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        scalar::gate(y, pre, activation);
    }

    fn gate_bwd(&self, d_pre: MatMut<'_>, dy: MatRef<'_>, pre: MatRef<'_>, activation: Activation) {
        scalar::gate_bwd(d_pre, dy, pre, activation);
    }

    fn rotary(&self, args: Rotary<'_>) {
        scalar::rotary(args);
    }

    fn attention(&self, args: Attention<'_>) {
        scalar::attention(args);
    }

    fn attention_bwd(&self, args: AttentionBackward<'_>) {
        scalar::attention_bwd(args);
    }

    fn unfold(&self, y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, taps: usize) {
        kernels::unfold(y, x, spans, taps);
    }

    fn unfold_bwd(
        &self,
        dx: MatMut<'_>,
        first: usize,
        dy: MatRef<'_>,
        spans: Spans<'_>,
        taps: usize,
    ) {
        kernels::unfold_bwd(dx, first, dy, spans, taps);
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
        _: TouchedPart<'_>,
        update: AdamW,
    ) {
        scalar::adamw(params, grads, m, v, update);
    }

    fn sum_squares(&self, x: &[f32], _: TouchedPart<'_>) -> f64 {
        scalar::sum_squares(x)
    }
}
