//! The CPU: every operation is a kernel of `matryo_kernels`.

use matryo_kernels::{self as kernels, Arithmetic, LEVEL_VARIABLE, Level, Precision};

use crate::{
    Activation, AdamW, Attention, AttentionBackward, Dropout, Epilogue, LayerNorm,
    LayerNormBackward, LinearBackward, Lookup, LookupGradient, MatMut, MatRef, Operand, Ops,
    PackedWeight, PoolMode, Rotary, Spans, TouchedPart, Weight,
};

/// The CPU of this machine, with the threads of rayon's current pool.
#[derive(Clone, Debug)]
pub struct Cpu {
    arithmetic: Arithmetic,
    /// Whether the precision was asked for.
    chosen: bool,
    /// A value of [`LEVEL_VARIABLE`] that could not be followed.
    refused: Option<String>,
}

impl Cpu {
    /// The best instruction set of this processor, or the one that the environment variable `MATRYO_CPU` names, in `precision` or, without
    /// one, in the fastest within 1e-5 of the Python libraries. A name that is unknown, or that this processor lacks, is not
    /// followed; [`Ops::describe`] says so.
    pub fn new(precision: Option<Precision>) -> Self {
        let wanted = Level::wanted();
        let level = wanted
            .as_ref()
            .ok()
            .copied()
            .flatten()
            .unwrap_or_else(Level::best);
        let arithmetic = Arithmetic {
            level,
            precision: precision.unwrap_or(Precision::best(level)),
        };
        Self {
            arithmetic,
            chosen: precision.is_some(),
            refused: wanted.err(),
        }
    }

    /// A particular instruction set, in single precision unless the argument says otherwise; operations panic if this processor
    /// lacks it.
    pub fn at(arithmetic: impl Into<Arithmetic>) -> Self {
        Self {
            arithmetic: arithmetic.into(),
            chosen: true,
            refused: None,
        }
    }

    /// The instruction set in use.
    pub fn level(&self) -> Level {
        self.arithmetic.level
    }

    /// Why this precision, or what it means here.
    fn reason(&self) -> &'static str {
        match (self.chosen, self.arithmetic.precision, self.level()) {
            (false, ..) => {
                "the fastest here whose vectors are those of the Python libraries within 1e-5"
            }
            (_, Precision::F32, _) => {
                "as asked: results are those of the Python libraries to rounding"
            }
            (_, Precision::F32x3, Level::Amx) => "as asked: bf16 in two parts on AMX",
            (_, Precision::F32x3, _) => "as asked: without AMX the same as f32",
            (_, Precision::Bf16, Level::Amx | Level::Avx512Bf16) => {
                "as asked: linear layers multiply bf16, sums are f32"
            }
            (_, Precision::Bf16, _) => {
                "as asked: linear layers multiply values rounded to bf16, in the time of f32"
            }
            (
                _,
                Precision::Int8,
                Level::Amx | Level::Avx512Bf16 | Level::Avx512Vnni | Level::Avx2Vnni,
            ) => {
                "as asked: linear layers multiply rotated 8-bit integers exactly; vectors stay float32"
            }
            (_, Precision::Int8, _) => {
                "as asked: linear layers multiply rotated 8-bit integers exactly, without VNNI in the time of int16; vectors stay float32"
            }
            (
                _,
                Precision::Int16,
                Level::Amx | Level::Avx512Bf16 | Level::Avx512Vnni | Level::Avx2Vnni,
            ) => "as asked: linear layers multiply 16-bit integers exactly",
            (_, Precision::Int16, _) => {
                "as asked: linear layers multiply 16-bit integers, without VNNI no faster than f32"
            }
        }
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Ops for Cpu {
    fn describe(&self) -> String {
        let (level, threads) = (self.level().name(), rayon::current_num_threads());
        let plural = if threads == 1 { "" } else { "s" };
        let text = format!("cpu, {level}, {threads} thread{plural}");
        let Some(refused) = &self.refused else {
            return text;
        };
        let names: Vec<&str> = Level::available().map(Level::name).collect();
        format!(
            "{text} ({LEVEL_VARIABLE}={refused} is none of {})",
            names.join(", ")
        )
    }

    fn precision(&self) -> Precision {
        self.arithmetic.precision
    }

    fn describe_precision(&self) -> String {
        format!("{} ({})", self.arithmetic.precision.name(), self.reason())
    }

    fn alone(&self, work: &mut (dyn FnMut() + Send)) {
        kernels::alone(work);
    }

    fn together(&self, work: &mut (dyn FnMut() + Send)) {
        kernels::together(work);
    }

    fn pack(&self, w: MatRef<'_>) -> PackedWeight {
        PackedWeight::new(self.arithmetic, w)
    }

    fn linear(&self, y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, epilogue: Epilogue<'_>) {
        kernels::linear(self.arithmetic, y, x, w, epilogue);
    }

    fn linear_bwd(&self, args: LinearBackward<'_>) {
        kernels::linear_bwd(self.arithmetic, args);
    }

    fn matmul(&self, out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
        kernels::matmul(self.level(), out, a, b, alpha);
    }

    fn embed(&self, y: MatMut<'_>, lookups: &[Lookup<'_>]) {
        kernels::embed(y, lookups);
    }

    fn embed_bwd(&self, dy: MatRef<'_>, gradients: &mut [LookupGradient<'_>]) {
        kernels::embed_bwd(dy, gradients);
    }

    fn bag(&self, y: MatMut<'_>, lookup: Lookup<'_>, spans: Spans<'_>) {
        kernels::bag(self.level(), y, lookup, spans);
    }

    fn bag_bwd(&self, gradient: LookupGradient<'_>, dy: MatRef<'_>, spans: Spans<'_>) {
        kernels::bag_bwd(gradient, dy, spans);
    }

    fn layer_norm(&self, args: LayerNorm<'_>) {
        kernels::layer_norm(self.level(), args);
    }

    fn layer_norm_bwd(&self, args: LayerNormBackward<'_>) {
        kernels::layer_norm_bwd(self.level(), args);
    }

    fn activation(&self, y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        kernels::activation(self.level(), y, pre, activation);
    }

    fn activation_bwd(&self, d: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        kernels::activation_bwd(self.level(), d, pre, activation);
    }

    fn gate(&self, y: MatMut<'_>, pre: MatRef<'_>, activation: Activation) {
        kernels::gate(self.level(), y, pre, activation);
    }

    fn gate_bwd(&self, d_pre: MatMut<'_>, dy: MatRef<'_>, pre: MatRef<'_>, activation: Activation) {
        kernels::gate_bwd(self.level(), d_pre, dy, pre, activation);
    }

    fn rotary(&self, args: Rotary<'_>) {
        kernels::rotary(self.level(), args);
    }

    fn attention(&self, args: Attention<'_>) {
        kernels::attention(self.arithmetic, args);
    }

    fn attention_bwd(&self, args: AttentionBackward<'_>) {
        kernels::attention_bwd(self.level(), args);
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
        kernels::dropout(self.level(), x, dropout);
    }

    fn add(&self, y: MatMut<'_>, x: MatRef<'_>) {
        kernels::add(self.level(), y, x);
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
        touched: TouchedPart<'_>,
        update: AdamW,
    ) {
        kernels::adamw(self.level(), params, grads, m, v, touched, update);
    }

    fn sum_squares(&self, x: &[f32], touched: TouchedPart<'_>) -> f64 {
        kernels::sum_squares(x, touched)
    }
}
