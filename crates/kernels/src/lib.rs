//! CPU arithmetic on slices: the only crate with `unsafe`.
//!
//! Every kernel is written once over a small vector trait and compiled for each instruction set; a [`Level`] picks the one to run. Gradients of activations are assigned (`=`), gradients of parameters accumulate (`+=`). Shapes are asserted.
//!
//! No result depends on the number of threads: work is cut into blocks of fixed size, and sums across blocks are taken in their order.

mod activation;
mod adamw;
mod aligned;
mod attention;
mod bag;
mod cache;
mod cpu;
mod dropout;
mod embed;
mod epilogue;
mod gate;
mod gemm;
mod heap;
mod layer_norm;
mod left;
mod map;
mod matrix;
mod multiply;
mod normalize;
mod pack;
mod packed_weight;
mod parallel;
mod pooling;
mod precision;
mod reduce;
mod rotary;
mod rotate;
mod rows;
pub mod scalar;
mod scale;
mod scan;
mod scratch;
mod simd;
mod slices;
mod team;
mod tile;
mod touched;
mod unfold;
mod words;

pub use activation::{Activation, activation, activation_bwd};
pub use adamw::{AdamW, adamw};
pub use aligned::AlignedVec;
pub use attention::{
    Attention, AttentionBackward, AttentionMask, AttentionMemory, AttentionShape, Disentangled,
    RelativeBias, Spans, attention, attention_bwd,
};
pub use bag::{bag, bag_bwd};
pub use cpu::{LEVEL_VARIABLE, Level};
pub use dropout::{Dropout, dropout};
pub use embed::{Lookup, LookupGradient, embed, embed_bwd};
pub use epilogue::{Epilogue, InputGradient, LinearBackward};
pub use gate::{gate, gate_bwd};
pub use gemm::{Operand, TOKENS_PACKED, Weight, linear, linear_bwd, matmul};
pub use heap::trim_heap;
pub use layer_norm::{LayerNorm, LayerNormBackward, layer_norm, layer_norm_bwd};
pub use map::{MappedFile, map_file};
pub use matrix::{Mat, MatMut, MatRef};
pub use normalize::{normalize, normalize_bwd};
pub use packed_weight::PackedWeight;
pub use pooling::{PoolMode, pool, pool_bwd};
pub use precision::{Arithmetic, Precision};
pub use reduce::{add, sum_squares};
pub use rotary::{Rotary, rotary};
pub use scan::{RowsRef, gather_f32, scan_bits, scan_f32, scan_i8};
#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
pub use simd::amx::assume_amx;
pub use team::{alone, together};
pub use touched::{Touched, TouchedPart};
pub use unfold::{unfold, unfold_bwd};
