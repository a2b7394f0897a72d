//! Names of activations in transformers' `ACT2FN`.

use matryo_ops::Activation;

use crate::{NnError, config::Object};

/// Names that mean one of our functions. `quick_gelu`, `gelu_10` and `mish` are functions of their own and missing here.
const ACTIVATIONS: [(&str, Activation); 12] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

/// The activation that `key` names; `gelu` without it.
pub(super) fn activation(config: &Object, key: &str) -> Result<Activation, NnError> {
    let name = config.text(key)?.unwrap_or("gelu");
    named(name).ok_or_else(|| config.wrong(key, &format!("one of {}", names())))
}

/// The activation of this name.
pub(super) fn named(name: &str) -> Option<Activation> {
    let known = ACTIVATIONS.iter().find(|(known, _)| *known == name);
    known.map(|(_, activation)| *activation)
}

/// All names, for messages.
pub(super) fn names() -> String {
    ACTIVATIONS.map(|(name, _)| name).join(", ")
}
