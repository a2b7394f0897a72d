//! The configuration of the Pooling module, in the old form (six booleans) and the new one (`pooling_mode`).

use std::path::Path;

use matryo_ops::PoolMode;
use serde_json::Value;

use super::json::Object;
use crate::{ModelError, Pooling};

/// Mode, its old key, its new name; in the order in which the old form concatenates.
pub(crate) const MODES: [(PoolMode, &str, &str); 6] = [
    (PoolMode::Cls, "pooling_mode_cls_token", "cls"),
    (PoolMode::Max, "pooling_mode_max_tokens", "max"),
    (PoolMode::Mean, "pooling_mode_mean_tokens", "mean"),
    (
        PoolMode::MeanSqrtLen,
        "pooling_mode_mean_sqrt_len_tokens",
        "mean_sqrt_len_tokens",
    ),
    (
        PoolMode::WeightedMean,
        "pooling_mode_weightedmean_tokens",
        "weightedmean",
    ),
    (PoolMode::LastToken, "pooling_mode_lasttoken", "lasttoken"),
];

/// Reads `<module>/config.json` and checks its width against `hidden_size`.
pub(crate) fn read(
    path: &Path,
    hidden_size: usize,
    notes: &mut Vec<String>,
) -> Result<Pooling, ModelError> {
    let config = Object::read(path)?;
    let mut known = vec![
        "word_embedding_dimension",
        "embedding_dimension",
        "pooling_mode",
        "include_prompt",
    ];
    known.extend(MODES.iter().map(|(_, old, _)| *old));
    config.deny_unknown(&known)?;
    check_width(&config, hidden_size)?;
    let mut modes = if config.get("pooling_mode").is_some() {
        new_modes(&config)?
    } else {
        old_modes(&config)?
    };
    if modes.is_empty() {
        notes.push(format!(
            "{} names no pooling mode: mean pooling",
            path.display()
        ));
        modes.push(PoolMode::Mean);
    }
    Ok(Pooling {
        modes,
        include_prompt: config.flag("include_prompt")?.unwrap_or(true),
    })
}

fn check_width(config: &Object, hidden_size: usize) -> Result<(), ModelError> {
    for key in ["embedding_dimension", "word_embedding_dimension"] {
        if let Some(found) = config.count(key)?.filter(|&width| width != hidden_size) {
            let origin = "`hidden_size` in config.json".to_owned();
            let path = config.path().to_owned();
            return Err(ModelError::WidthMismatch {
                path,
                key,
                found,
                origin,
                expected: hidden_size,
            });
        }
    }
    Ok(())
}

fn old_modes(config: &Object) -> Result<Vec<PoolMode>, ModelError> {
    let mut modes = Vec::new();
    for (mode, key, _) in MODES {
        if config.flag(key)? == Some(true) {
            modes.push(mode);
        }
    }
    Ok(modes)
}

/// One name, or a list of names, concatenated in the order of the list.
fn new_modes(config: &Object) -> Result<Vec<PoolMode>, ModelError> {
    let value = config.get("pooling_mode").unwrap_or(&Value::Null);
    let names = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    names
        .iter()
        .map(|name| named(name).ok_or_else(|| wrong_mode(config)))
        .collect()
}

fn named(name: &Value) -> Option<PoolMode> {
    let name = name.as_str()?;
    MODES
        .iter()
        .find(|(_, _, new)| *new == name)
        .map(|(mode, ..)| *mode)
}

fn wrong_mode(config: &Object) -> ModelError {
    let names = MODES.map(|(_, _, new)| new).join(", ");
    config.wrong("pooling_mode", &format!("one or a list of {names}"))
}
