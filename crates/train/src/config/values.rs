//! Values of settings that are one of a few words.

use std::{collections::BTreeMap, path::PathBuf};

use matryo_model::FolderLayout;
use matryo_ops::Precision;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value};

/// When something happens during training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Never.
    No,
    /// At the end of every epoch.
    Epoch,
    /// Every so many optimizer steps.
    Steps,
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Epoch => "epoch",
            Self::Steps => "steps",
        })
    }
}

/// Shapes of the learning rate over the optimizer steps, with transformers' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // The names are the field's own; `schedule` has the formulas.
pub enum LrScheduler {
    Linear,
    Cosine,
    CosineWithRestarts,
    Polynomial,
    Constant,
    ConstantWithWarmup,
}

/// How rows become batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// Shuffled rows, cut into batches.
    BatchSampler,
    /// As well, and no text twice in a batch.
    NoDuplicates,
}

/// The version of sentence-transformers (with the transformers of its time) whose behaviour is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compat {
    /// sentence-transformers 5.7.
    #[serde(rename = "5.7")]
    Current,
    /// sentence-transformers 3.0.
    #[serde(rename = "3.0")]
    V3_0,
}

/// The words for [`Precision`], which lives where it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum PrecisionWord {
    F32,
    F32x3,
    Bf16,
    Int16,
}

impl From<PrecisionWord> for Precision {
    fn from(word: PrecisionWord) -> Self {
        match word {
            PrecisionWord::F32 => Self::F32,
            PrecisionWord::F32x3 => Self::F32x3,
            PrecisionWord::Bf16 => Self::Bf16,
            PrecisionWord::Int16 => Self::Int16,
        }
    }
}

/// The words for [`FolderLayout`], which lives where it is used.
#[derive(Serialize, Deserialize)]
#[serde(remote = "FolderLayout", rename_all = "snake_case")]
pub(super) enum FolderLayoutWord {
    Old,
    New,
}

/// Learning rates of parameters by patterns over their names, in the order in which they were given.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRates(pub Vec<(String, f64)>);

impl Serialize for LearningRates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(pattern, rate)| (pattern, rate)))
    }
}

impl<'de> Deserialize<'de> for LearningRates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rates = Map::<String, Value>::deserialize(deserializer)?;
        let rate = |(pattern, rate): (String, Value)| match rate.as_f64() {
            Some(rate) => Ok((pattern, rate)),
            None => Err(D::Error::custom("a learning rate is a number")),
        };
        rates
            .into_iter()
            .map(rate)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Texts put before the texts of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompts {
    /// One for all columns.
    All(String),
    /// By the name of the column.
    PerColumn(BTreeMap<String, String>),
}

impl Prompts {
    /// The columns that are named.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let named = match self {
            Self::All(_) => None,
            Self::PerColumn(prompts) => Some(prompts.keys().map(String::as_str)),
        };
        named.into_iter().flatten()
    }

    /// The prompt of a column.
    pub fn of(&self, column: &str) -> Option<&str> {
        match self {
            Self::All(prompt) => Some(prompt),
            Self::PerColumn(prompts) => prompts.get(column).map(String::as_str),
        }
    }
}

/// Where training starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Resume {
    /// `true`: at the last complete checkpoint in `output_dir`; `false`: at the beginning.
    Last(bool),
    /// At this checkpoint.
    From(PathBuf),
}

/// How many micro-batches of a step keep their activations for the backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Retain {
    /// So many; the others are computed again.
    Count(usize),
    /// All of them.
    All(AllWord),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllWord {
    /// `all`.
    All,
}

impl Retain {
    /// As a number of micro-batches.
    pub fn count(self) -> usize {
        match self {
            Self::Count(count) => count,
            Self::All(_) => usize::MAX,
        }
    }
}
