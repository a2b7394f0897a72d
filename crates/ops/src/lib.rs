//! The closed set of operations of an encoder on a device: each a forward with its backward.
//!
//! Two rules, said once: gradients of activations are assigned (`=`), gradients of parameters accumulate (`+=`).
//! Operations assert shapes and do not return `Result`: a wrong shape is a bug, not an input.

use std::sync::Arc;

mod cpu;
mod ops;
mod scalar;

pub use cpu::Cpu;
pub use matryo_kernels::{
    Activation, AdamW, AlignedVec, Arithmetic, Attention, AttentionBackward, AttentionMask,
    AttentionMemory, AttentionShape, Disentangled, Dropout, Epilogue, InputGradient, LayerNorm,
    LayerNormBackward, Level, LinearBackward, Lookup, LookupGradient, Mat, MatMut, MatRef, Operand,
    PackedWeight, PoolMode, Precision, RelativeBias, Rotary, Spans, Touched, TouchedPart, Weight,
    trim_heap,
};
pub use ops::Ops;
pub use scalar::Scalar;

/// The CPU of this machine, in the fastest precision within 1e-5 of the Python libraries.
pub fn cpu() -> Arc<dyn Ops> {
    cpu_in(None)
}

/// The CPU of this machine in a precision; see [`Cpu::new`].
pub fn cpu_in(precision: Option<Precision>) -> Arc<dyn Ops> {
    Arc::new(Cpu::new(precision))
}
