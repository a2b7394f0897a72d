//! Encoders as data. A family translates a config.json into an [`EncoderSpec`]; layers compute whatever a specification says,
//! forward and backward; modules are what modules.json lists; a [`Network`] is the modules of one model with their weights.
//!
//! ```text
//! config.json ─ families/ ─► EncoderSpec ─┐
//! modules.json ─ modules/ ─► dyn Module ──┴─ build ─► layers with handles ─┬─ Network<Frozen>     embed
//! model.safetensors ─ checkpoint/ ──────── weights/ ─────────────────────┴─ Network<Trainable>  forward, backward
//! ```
//! Code asks for a property of a specification, never for a model's name.

mod arena;
mod batch;
mod checkpoint;
pub mod config;
mod dropout;
mod error;
mod families;
mod features;
mod layers;
mod modules;
mod network;
mod pass;
mod spec;
mod weights;

pub use batch::TokenBatch;
pub use checkpoint::{Checkpoint, missing_file, to_f32, value_size};
pub use error::NnError;
pub use families::{Axis, Family, ParamId, model_types};
pub use features::{Feature, Features, Widths};
pub use modules::{
    BatchSize, BuiltModule, ConfigFile, FolderLayout, Module, ModuleClass, ModuleSource, TextInput,
    TokenRules, WriteConfig, default_modules, pooling_modes,
};
pub use network::{Activations, ModulePlace, Network, widths};
pub use spec::{
    AttentionSpec, BlockSpec, ConvolutionSpec, DisentangledSpec, DropoutSpec, EmbeddingSpec,
    EncoderSpec, FeedForwardSpec, NormSpec, Numbering, Placement, PositionSpec, Projection,
    RelativeSpec, RotarySpec, UNLIMITED, limit,
};
pub use weights::{
    Builder, Entry, Frozen, Grads, Layout, Params, ProductParam, TableParam, TablePlace, TableRows,
    Tensor, Trainable, VectorParam, Weights,
};
