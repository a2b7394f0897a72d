//! Where the hub and its cache are: the variables that Python's huggingface_hub reads.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// How to reach the hub and where to keep what comes from it.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// The folder that holds `models--org--name` folders.
    pub cache: PathBuf,
    /// Proves who asks; sent to `endpoint` only.
    pub token: Option<String>,
    /// Whether to use nothing but the cache.
    pub offline: bool,
    /// A branch, tag or commit, for names without `@revision`; `main` by default.
    pub revision: Option<String>,
    /// Wait before the second attempt; doubles with every further one.
    pub backoff: Duration,
}

impl HubOptions {
    /// Reads HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, HF_TOKEN, HF_TOKEN_PATH and HF_HUB_OFFLINE, with their usual defaults.
    pub fn from_env() -> Self {
        let home = path("HF_HOME").unwrap_or_else(|| user_cache().join("huggingface"));
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: path("HF_HUB_CACHE")
                .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| home.join("hub")),
            token: token(&home),
            offline: flag("HF_HUB_OFFLINE") || flag("TRANSFORMERS_OFFLINE"),
            revision: None,
            backoff: Duration::from_millis(500),
        }
    }
}

/// HF_TOKEN, else the file that `hf auth login` writes.
fn token(home: &Path) -> Option<String> {
    let named = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
    if named.is_some() || flag("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return named;
    }
    let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
    fs::read_to_string(file)
        .ok()
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
}

fn user_cache() -> PathBuf {
    path("XDG_CACHE_HOME").unwrap_or_else(|| user_home().join(".cache"))
}

fn user_home() -> PathBuf {
    env::home_dir().unwrap_or_default()
}

fn text(variable: &str) -> Option<String> {
    env::var(variable)
        .ok()
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

fn path(variable: &str) -> Option<PathBuf> {
    let value = text(variable)?;
    Some(match value.strip_prefix("~/") {
        Some(rest) => user_home().join(rest),
        None => PathBuf::from(value),
    })
}

fn flag(variable: &str) -> bool {
    text(variable).is_some_and(|value| {
        matches!(
            value.to_ascii_uppercase().as_str(),
            "1" | "ON" | "YES" | "TRUE"
        )
    })
}
