//! What can be wrong with the parameters of a loss.

/// Everything that choosing a loss can report.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// No loss has this name.
    #[error("unknown loss `{name}`")]
    UnknownLoss {
        /// The name asked for.
        name: String,
        /// The registered loss with the nearest name.
        similar: Option<&'static str>,
    },
    /// A parameter that the loss does not have.
    #[error("{loss} has no parameter `{key}`")]
    UnknownKey {
        /// The loss.
        loss: &'static str,
        /// The parameter asked for.
        key: String,
        /// Its parameter with the nearest name.
        similar: Option<&'static str>,
    },
    /// A parameter that must be given and is not.
    #[error("{loss} needs the parameter `{key}`, {expected}")]
    MissingKey {
        /// The loss.
        loss: &'static str,
        /// The parameter.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A parameter has a value that the loss cannot work with.
    #[error("`{key}` of {loss} is {found}, expected {expected}")]
    WrongValue {
        /// The loss.
        loss: &'static str,
        /// The parameter; `parameters` for all of them together.
        key: &'static str,
        /// Its value, as JSON.
        found: String,
        /// What would be understood.
        expected: &'static str,
    },
    /// A parameter of upstream's loss with a value other than its default, which is all there is here.
    #[error("`{key}` of {loss} is {found}; only {supported} is supported")]
    NotSupported {
        /// The loss.
        loss: &'static str,
        /// The parameter.
        key: &'static str,
        /// Its value, as JSON.
        found: String,
        /// Upstream's default, as JSON.
        supported: String,
    },
    /// As many weights as dimensions are needed.
    #[error(
        "MatryoshkaLoss has {weights} values in `matryoshka_weights` for {dims} in `matryoshka_dims`"
    )]
    WeightCount {
        /// Number of dimensions.
        dims: usize,
        /// Number of weights.
        weights: usize,
    },
    /// A dimension that the model's embeddings do not reach.
    #[error("`matryoshka_dims` names {dim}, but the model's embeddings have {model_dim} values")]
    DimTooLarge {
        /// The dimension.
        dim: usize,
        /// Width of an embedding.
        model_dim: usize,
    },
}

impl LossError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownLoss {
                similar: Some(name),
                ..
            } => Some(format!("did you mean `{name}`?")),
            Self::UnknownLoss { .. } => {
                let names: Vec<_> = crate::LOSSES.iter().map(|entry| entry.name).collect();
                Some(format!("there are {}", names.join(", ")))
            }
            Self::UnknownKey { similar, .. } => similar.map(|key| format!("did you mean `{key}`?")),
            Self::NotSupported { key, .. } => Some(format!("leave `{key}` out")),
            Self::DimTooLarge { model_dim, .. } => {
                Some(format!("{model_dim} is the largest possible value"))
            }
            _ => None,
        }
    }
}
