//! config_sentence_transformers.json: prompts, similarity, truncation.

use std::{fmt, path::Path, str::FromStr};

use matryo_nn::{FolderLayout, NnError, config::Object};
use serde_json::{Map, Value, json};

/// What a model says about its use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Name and text of each prompt, in the order of the file.
    pub prompts: Vec<(String, String)>,
    /// The prompt that is used when none is asked for.
    pub default_prompt_name: Option<String>,
    /// How its embeddings are to be compared; `None` means cosine by default.
    pub similarity: Option<SimilarityFn>,
    /// How many leading values of an embedding are kept.
    pub truncate_dim: Option<usize>,
}

/// Names that earlier versions of sentence-transformers looked for where a model has no `document`.
const EARLIER_DOCUMENT: [&str; 2] = ["passage", "corpus"];

impl Settings {
    /// The text of a prompt.
    pub(crate) fn prompt(&self, name: &str) -> Option<&str> {
        let found = self.prompts.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.as_str())
    }

    /// A prompt that reads as if it were put before documents, and is not.
    pub(crate) fn note(&self) -> Option<String> {
        let is_set = |name: &str| self.prompt(name).is_some_and(|text| !text.is_empty());
        if is_set("document") {
            return None;
        }
        let name = EARLIER_DOCUMENT.into_iter().find(|name| is_set(name))?;
        Some(format!(
            "the prompt `{name}` is not put before documents by itself, as in sentence-transformers, where each model has a prompt \
             `document`, empty unless it is set: name it `document` in config_sentence_transformers.json, or choose `{name}` by name"
        ))
    }
}

/// How two embeddings are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SimilarityFn {
    /// Cosine of the angle.
    #[default]
    Cosine,
    /// Dot product.
    Dot,
    /// Negative Euclidean distance.
    Euclidean,
    /// Negative Manhattan distance.
    Manhattan,
}

impl SimilarityFn {
    /// All of them, in upstream's order.
    pub const ALL: [Self; 4] = [Self::Cosine, Self::Dot, Self::Euclidean, Self::Manhattan];

    /// Upstream's name: `cosine`, `dot`, `euclidean`, `manhattan`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclidean => "euclidean",
            Self::Manhattan => "manhattan",
        }
    }
}

impl fmt::Display for SimilarityFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`SimilarityFn::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown similarity `{0}`, expected cosine, dot, euclidean or manhattan")]
pub struct UnknownSimilarity(pub String);

impl FromStr for SimilarityFn {
    type Err = UnknownSimilarity;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|f| f.name() == name)
            .ok_or_else(|| UnknownSimilarity(name.to_owned()))
    }
}

/// Versions of sentence-transformers whose layouts are written; a reader compares them with its own.
const OLD_VERSION: &str = "3.0.1";
const NEW_VERSION: &str = "5.7.0";

/// Reads the file; a model without one has the default settings.
pub(crate) fn read(path: &Path) -> Result<Settings, NnError> {
    let Some(config) = Object::read_if_present(path)? else {
        return Ok(Settings::default());
    };
    // `requirements` lists Python packages for loading there; it says nothing about the numbers.
    config.deny_unknown(&[
        "__version__",
        "prompts",
        "default_prompt_name",
        "similarity_fn_name",
        "truncate_dim",
        "model_type",
        "requirements",
    ])?;
    if config
        .text("model_type")?
        .is_some_and(|t| t != "SentenceTransformer")
    {
        return Err(config.wrong("model_type", "\"SentenceTransformer\""));
    }
    let settings = Settings {
        prompts: prompts(&config)?,
        default_prompt_name: config.text("default_prompt_name")?.map(str::to_owned),
        similarity: similarity(&config)?,
        truncate_dim: config.count("truncate_dim")?,
    };
    check_default_prompt(&config, &settings)?;
    Ok(settings)
}

fn prompts(config: &Object) -> Result<Vec<(String, String)>, NnError> {
    let wrong = || config.wrong("prompts", "an object of strings");
    let Some(value) = config.get("prompts") else {
        return Ok(Vec::new());
    };
    let map = value.as_object().ok_or_else(wrong)?;
    let texts = map.iter().map(|(name, text)| match text {
        Value::String(text) => Ok((name.clone(), text.clone())),
        _ => Err(wrong()),
    });
    texts.collect()
}

fn similarity(config: &Object) -> Result<Option<SimilarityFn>, NnError> {
    let Some(name) = config.text("similarity_fn_name")? else {
        return Ok(None);
    };
    let wrong = |_| config.wrong("similarity_fn_name", "cosine, dot, euclidean or manhattan");
    name.parse().map(Some).map_err(wrong)
}

fn check_default_prompt(config: &Object, settings: &Settings) -> Result<(), NnError> {
    let Some(name) = &settings.default_prompt_name else {
        return Ok(());
    };
    if settings.prompts.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    Err(config.wrong("default_prompt_name", "the name of one of `prompts`"))
}

/// The file as it is written. The new layout sorts its keys and names the two usual prompts when it has none.
pub(crate) fn written(settings: &Settings, layout: FolderLayout) -> Value {
    let named = |(name, text): &(String, String)| (name.clone(), json!(text));
    let prompts: Map<String, Value> = settings.prompts.iter().map(named).collect();
    let similarity = settings.similarity.map(SimilarityFn::name);
    let default = &settings.default_prompt_name;
    let mut config = match layout {
        FolderLayout::Old => json!({
            "__version__": version(OLD_VERSION),
            "prompts": prompts,
            "default_prompt_name": default,
            "similarity_fn_name": similarity,
        }),
        FolderLayout::New => json!({
            "__version__": version(NEW_VERSION),
            "default_prompt_name": default,
            "model_type": "SentenceTransformer",
            "prompts": if prompts.is_empty() { json!({"document": "", "query": ""}) } else { json!(prompts) },
            "similarity_fn_name": similarity,
        }),
    };
    if let Some(dim) = settings.truncate_dim {
        config["truncate_dim"] = json!(dim);
    }
    config
}

fn version(layout: &str) -> Value {
    json!({"matryo": env!("CARGO_PKG_VERSION"), "sentence_transformers": layout})
}
