//! Architectures as data: how to read config.json, and which tensors of the checkpoint go where.

mod bert;

use crate::{ModelError, ModelFolder, Spec, folder::json::Object, spec::Axis};

/// One family of models. A new one is a file here and a line in [`ARCHS`].
pub(crate) struct Arch {
    /// `model_type` of config.json.
    pub(crate) model_type: &'static str,
    /// config.json to properties.
    pub(crate) spec: fn(&Object) -> Result<Spec, ModelError>,
    /// Where a slot's values lie: names without `.weight` and `.bias`; several are one below the other.
    pub(crate) tensors: fn(Slot) -> Vec<String>,
    /// What models with a task head put before every name.
    pub(crate) prefix: &'static str,
    /// The key of config.json that states a length, for messages.
    pub(crate) key: fn(Axis) -> &'static str,
}

const ARCHS: &[&Arch] = &[&bert::BERT];

/// A place in the encoder that holds parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Words,
    Positions,
    Kinds,
    EmbedNorm,
    Qkv(usize),
    AttentionOut(usize),
    AttentionNorm(usize),
    FfnIn(usize),
    FfnOut(usize),
    FfnNorm(usize),
}

impl Slot {
    /// Shape of each of the slot's weights, `[out, in]` or `[rows, width]`; of a norm `[width]`. A bias has the first length.
    pub(crate) fn axes(self) -> &'static [Axis] {
        match self {
            Self::Words => &[Axis::Vocab, Axis::Dim],
            Self::Positions => &[Axis::Positions, Axis::Dim],
            Self::Kinds => &[Axis::Kinds, Axis::Dim],
            Self::Qkv(_) | Self::AttentionOut(_) => &[Axis::Dim, Axis::Dim],
            Self::FfnIn(_) => &[Axis::Ffn, Axis::Dim],
            Self::FfnOut(_) => &[Axis::Dim, Axis::Ffn],
            Self::EmbedNorm | Self::AttentionNorm(_) | Self::FfnNorm(_) => &[Axis::Dim],
        }
    }
}

/// The architecture of a folder and its properties.
pub(crate) fn read(folder: &ModelFolder) -> Result<(&'static Arch, Spec), ModelError> {
    let config = Object::new(
        &folder.transformer_dir().join("config.json"),
        folder.config.clone(),
    )?;
    let found = config
        .text("model_type")?
        .ok_or_else(|| config.wrong("model_type", &supported()))?;
    let arch = ARCHS.iter().find(|arch| arch.model_type == found);
    let arch = arch.ok_or_else(|| ModelError::UnknownArchitecture {
        path: config.path().to_owned(),
        found: found.to_owned(),
        supported: supported(),
    })?;
    Ok((arch, (arch.spec)(&config)?))
}

fn supported() -> String {
    ARCHS
        .iter()
        .map(|arch| arch.model_type)
        .collect::<Vec<_>>()
        .join(", ")
}
