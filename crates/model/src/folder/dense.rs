//! The configuration of the Dense and Normalize modules.

use std::path::Path;

use matryo_ops::Activation;

use super::json::Object;
use crate::{Dense, ModelError};

/// The feature that Pooling leaves and that every later module reads and writes.
const SENTENCE_EMBEDDING: &str = "sentence_embedding";

/// torch's classes, as Dense writes them, by the last part of their path.
const ACTIVATIONS: [(&str, Option<Activation>); 6] = [
    ("Tanh", Some(Activation::Tanh)),
    ("GELU", Some(Activation::Gelu)),
    ("ReLU", Some(Activation::Relu)),
    ("SiLU", Some(Activation::Silu)),
    ("Sigmoid", Some(Activation::Sigmoid)),
    ("Identity", None),
];

/// Reads `<module>/config.json` of a Dense and checks its width against that of the module before.
pub(crate) fn read_dense(path: &Path, width_before: usize) -> Result<Dense, ModelError> {
    let config = Object::read(path)?;
    config.deny_unknown(&[
        "in_features",
        "out_features",
        "bias",
        "activation_function",
        "module_input_name",
        "module_output_name",
        "use_residual",
    ])?;
    check_feature_names(&config)?;
    if config.flag("use_residual")? == Some(true) {
        return Err(config.wrong("use_residual", "false"));
    }
    let in_features = config.required_count("in_features")?;
    if in_features != width_before {
        let (path, origin) = (path.to_owned(), "the module before".to_owned());
        let (key, found) = ("in_features", in_features);
        return Err(ModelError::WidthMismatch {
            path,
            key,
            found,
            origin,
            expected: width_before,
        });
    }
    Ok(Dense {
        in_features,
        out_features: config.required_count("out_features")?,
        bias: config.flag("bias")?.unwrap_or(true),
        activation: activation(&config)?,
    })
}

/// Reads `<module>/config.json` of a Normalize, which the old layout does not write.
pub(crate) fn check_normalize(path: &Path) -> Result<(), ModelError> {
    let Some(config) = Object::read_if_present(path)? else {
        return Ok(());
    };
    config.deny_unknown(&["module_input_name", "module_output_name"])?;
    check_feature_names(&config)
}

/// The class path that Dense writes for an activation. GELU's tanh form has no class of its own in torch.
pub(crate) fn activation_class(activation: Option<Activation>) -> String {
    let name = ACTIVATIONS
        .iter()
        .find(|(_, a)| *a == activation)
        .map_or("GELU", |(name, _)| name);
    let module = if activation.is_some() {
        "activation"
    } else {
        "linear"
    };
    format!("torch.nn.modules.{module}.{name}")
}

fn check_feature_names(config: &Object) -> Result<(), ModelError> {
    for key in ["module_input_name", "module_output_name"] {
        if config
            .text(key)?
            .is_some_and(|name| name != SENTENCE_EMBEDDING)
        {
            return Err(config.wrong(key, "\"sentence_embedding\""));
        }
    }
    Ok(())
}

/// `torch.nn.modules.activation.Tanh`, or the short `torch.nn.Tanh`; upstream's default is Tanh.
fn activation(config: &Object) -> Result<Option<Activation>, ModelError> {
    let Some(class) = config.text("activation_function")? else {
        return Ok(Some(Activation::Tanh));
    };
    let name = [
        "torch.nn.modules.activation.",
        "torch.nn.modules.linear.",
        "torch.nn.",
    ]
    .iter()
    .find_map(|prefix| class.strip_prefix(prefix));
    let known = ACTIVATIONS.iter().find(|(known, _)| Some(*known) == name);
    let names = ACTIVATIONS.map(|(name, _)| name).join(", ");
    known
        .map(|(_, activation)| *activation)
        .ok_or_else(|| config.wrong("activation_function", &format!("one of torch's {names}")))
}
