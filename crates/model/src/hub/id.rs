//! Names of models on the hub: `org/name`, with `@revision` behind it if wanted.

use std::path::Path;

/// The revision that is meant when none is named.
const DEFAULT_REVISION: &str = "main";

/// A model on the hub at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelId {
    /// `org/name`.
    pub(super) name: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
}

impl ModelId {
    /// Reads `org/name` or `org/name@revision`; `None` for what cannot be a name on the hub.
    pub(super) fn parse(text: &str, revision: Option<&str>) -> Option<Self> {
        let (name, suffix) = text
            .split_once('@')
            .map_or((text, None), |(name, suffix)| (name, Some(suffix)));
        let (org, model) = name.split_once('/')?;
        let revision = suffix.or(revision).unwrap_or(DEFAULT_REVISION);
        let valid = is_name(org) && is_name(model) && is_revision(revision);
        valid.then(|| Self {
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// The folder of the model in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}", self.name.replace('/', "--"))
    }
}

/// Whether the text is meant as a path and nothing else.
pub(super) fn is_path_like(text: &str) -> bool {
    Path::new(text).is_absolute()
        || text.starts_with(['.', '~'])
        || text.contains('\\')
        || text
            .split('@')
            .next()
            .is_some_and(|name| name.matches('/').count() != 1)
}

/// The hub's own rule: letters, digits, `-`, `_`, `.`; no two of `-` or `.` together, none at an end.
fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=96).contains(&text.len())
        && text.chars().all(legal)
        && !text.contains("--")
        && !text.contains("..")
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
}

/// A revision becomes part of a path, so it must not lead out of it.
fn is_revision(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+');
    !text.is_empty()
        && text.chars().all(legal)
        && text
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.'))
}

/// Whether the text is a full commit hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_revisions() {
        let id = |text, revision| ModelId::parse(text, revision).map(|id| (id.name, id.revision));
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(
            id("BAAI/bge-base-en-v1.5", None),
            pair("BAAI/bge-base-en-v1.5", "main")
        );
        assert_eq!(id("a/b@refs/pr/1", Some("x")), pair("a/b", "refs/pr/1"));
        assert_eq!(id("a/b", Some("v1.0")), pair("a/b", "v1.0"));
        for bad in [
            "b",
            "a/b/c",
            "../b",
            "a/..",
            "a/b@../../x",
            "a/b@",
            "a/b--c",
            "a b/c",
            "a/b@x//y",
        ] {
            assert_eq!(id(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn paths_are_told_from_names() {
        for path in ["./a/b", "/a/b", "~/a", "models", "a/b/c", "a\\b", "../x/y"] {
            assert!(is_path_like(path), "{path}");
        }
        assert!(!is_path_like("a/b") && !is_path_like("a/b@refs/pr/1"));
    }
}
