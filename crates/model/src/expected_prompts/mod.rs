//! Which texts a model wants before queries and documents, and whether a call leaves them out. Nothing is ever put before a text
//! because of this: it is only said.
//!
//! A model's own configuration counts: prompts that it names and does not use by default. For a model without prompts its name
//! may stand in [`cards::CARDS`].

mod cards;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use cards::{CARDS, Card};
use serde_json::Value;

use crate::{Role, Settings};

/// What a model wants before its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedPrompts {
    source: Source,
    /// Before queries; may be empty.
    query: String,
    /// Before documents; may be empty.
    document: String,
    /// Prompts for uses other than queries and documents.
    other: Vec<String>,
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// The model's configuration, with the names of its prompts.
    Configuration(Vec<String>),
    /// The card of the model of this name.
    Card(String),
}

impl ExpectedPrompts {
    /// What the model in the folder `path` wants; `None` if it wants nothing that is known of.
    pub(crate) fn of(path: &Path, settings: &Settings, config: &Value) -> Option<Self> {
        let named = settings.prompts.iter().filter(|(_, text)| !text.is_empty());
        let named: Vec<&(String, String)> = named.collect();
        if !named.is_empty() {
            let text = |name: &str| {
                let found = named.iter().find(|(known, _)| known == name);
                found.map_or_else(String::new, |(_, text)| text.clone())
            };
            return Some(Self {
                query: text("query"),
                document: text("document"),
                other: named.iter().map(|(_, text)| text.clone()).collect(),
                source: Source::Configuration(named.iter().map(|(name, _)| name.clone()).collect()),
            });
        }
        // A path such as `.` has no name in it.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut names = names(&path, config).into_iter();
        let (card, name) = names.find_map(|name| Some((card(&name)?, name)))?;
        Some(Self {
            query: card.query.to_owned(),
            document: card.document.to_owned(),
            other: Vec::new(),
            source: Source::Card(name),
        })
    }

    /// Whether texts that go without a prompt should have one. `role` is what they are; texts that begin with what is wanted have
    /// it already.
    pub fn are_missing<S: AsRef<str>>(&self, role: Role, texts: &[S]) -> bool {
        let wanted: Vec<&str> = match role {
            Role::Query => vec![&self.query],
            Role::Document => vec![&self.document],
            Role::Plain => [&self.query, &self.document]
                .into_iter()
                .chain(&self.other)
                .map(String::as_str)
                .collect(),
        };
        let starts: Vec<&str> = wanted
            .iter()
            .map(|text| fixed(text))
            .filter(|start| !start.is_empty())
            .collect();
        let has_one = |text: &S| starts.iter().any(|start| text.as_ref().starts_with(start));
        if starts.is_empty() || texts.iter().all(has_one) {
            return false;
        }
        // Where only one side has a prefix, texts without it may be of the other side.
        let one_sided = self.query.is_empty() || self.document.is_empty();
        role != Role::Plain || !one_sided || !texts.iter().any(has_one)
    }

    /// What the model wants, as the beginning of a sentence.
    pub fn wish(&self) -> String {
        match &self.source {
            Source::Configuration(names) => format!("the model has prompts ({})", names.join(", ")),
            Source::Card(name) => format!(
                "the card of {name} asks for {} before queries and {} before documents",
                shown(&self.query),
                shown(&self.document)
            ),
        }
    }

    /// What the user of a call that may choose a prompt should know.
    pub fn note(&self) -> String {
        let advice = match self.source {
            Source::Configuration(_) => {
                "and none is used by itself: choose one by name, by role or by its text"
            }
            Source::Card(_) => {
                "and nothing is added by itself: give it as the prompt, or name it in `prompts` of \
                 config_sentence_transformers.json"
            }
        };
        format!("{}, {advice}", self.wish())
    }
}

/// What a text before texts begins with, whatever the user fills in.
fn fixed(text: &str) -> &str {
    text.split('{').next().unwrap_or_default()
}

fn shown(text: &str) -> String {
    match text {
        "" => "nothing".to_owned(),
        text => format!("{text:?}"),
    }
}

/// Names that the model in a folder may have on the hub: by the folder in the hub's cache, by the folder's own name, and by the model that
/// config.json says it was made from.
fn names(path: &Path, config: &Value) -> Vec<String> {
    let parts = path.components().rev();
    let parts = parts.filter_map(|part| part.as_os_str().to_str());
    let cached = parts.clone().find_map(|part| part.strip_prefix("models--"));
    let made_from = config["_name_or_path"].as_str();
    let named = [cached, parts.clone().next(), made_from]
        .into_iter()
        .flatten();
    let last = |name: &str| {
        let name = name.trim_end_matches('/');
        let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
        name.rsplit_once("--")
            .map_or(name, |(_, name)| name)
            .to_owned()
    };
    named.map(last).collect()
}

/// The card of a model of that name, also behind an organisation's and an underscore, as folders are called.
fn card(name: &str) -> Option<&'static Card> {
    let name = name.to_lowercase();
    let bare = name.rsplit_once('_').map(|(_, bare)| bare);
    card_of(&name).or_else(|| card_of(bare?))
}

fn card_of(name: &str) -> Option<&'static Card> {
    let is = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    };
    CARDS.iter().find(|card| card.names.iter().any(is))
}

/// Is notified, once, that texts go without the prompt that their model wants.
pub(crate) struct Watch {
    expected: Option<ExpectedPrompts>,
    told: AtomicBool,
    tell: Box<dyn Fn(&ExpectedPrompts) + Send + Sync>,
}

impl Watch {
    pub(crate) fn new(
        expected: Option<ExpectedPrompts>,
        tell: impl Fn(&ExpectedPrompts) + Send + Sync + 'static,
    ) -> Self {
        Self {
            expected,
            told: AtomicBool::new(false),
            tell: Box::new(tell),
        }
    }

    /// Looks at texts that go without a prompt, until something was told.
    pub(crate) fn see<S: AsRef<str>>(&self, role: Role, texts: &[S]) {
        let Some(expected) = &self.expected else {
            return;
        };
        if self.told.load(Ordering::Relaxed) || !expected.are_missing(role, texts) {
            return;
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            (self.tell)(expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(path: &str, config: &Value) -> Option<ExpectedPrompts> {
        ExpectedPrompts::of(Path::new(path), &Settings::default(), config)
    }

    fn query(path: &str) -> Option<String> {
        of(path, &Value::Null).map(|expected| expected.query)
    }

    #[test]
    fn a_name_is_found_wherever_it_stands() {
        let cached = "/cache/hub/models--intfloat--e5-base-v2/snapshots/0123abc";
        assert_eq!(query(cached).as_deref(), Some("query: "));
        assert_eq!(
            query("models/multilingual-e5-small").as_deref(),
            Some("query: ")
        );
        let config = json!({"_name_or_path": "BAAI/bge-base-en-v1.5"});
        let made_from = of("my-model", &config).unwrap();
        assert!(made_from.query.starts_with("Represent this sentence"));
        assert_eq!(made_from.document, "");
        assert!(
            made_from.note().contains("bge-base-en-v1.5"),
            "{}",
            made_from.note()
        );
    }

    #[test]
    fn the_narrower_name_counts_and_others_are_left_alone() {
        for (name, expected) in [
            (
                "multilingual-e5-large-instruct",
                "Instruct: {task}\nQuery: ",
            ),
            ("Multilingual-E5-Large", "query: "),
            ("snowflake-arctic-embed-l-v2.0", "query: "),
            ("snowflake-arctic-embed-l-v2.0-ko", "query: "),
            ("snowflake-arctic-embed-m-long", cards_represent()),
            ("snowflake-arctic-embed-m-v1.5", cards_represent()),
            ("nomic-embed-text-v1.5", "search_query: "),
            ("intfloat_e5-small", "query: "),
            ("UAE-Large-V1", cards_represent()),
            (
                "instructor-large",
                "Represent the {domain} question for retrieving supporting documents: ",
            ),
        ] {
            assert_eq!(query(name).as_deref(), Some(expected), "{name}");
        }
        for name in [
            "bge-m3",
            "all-MiniLM-L6-v2",
            "bge-large-zh-noinstruct",
            "e5",
            "",
            "my-e5-base",
        ] {
            assert_eq!(query(name), None, "{name}");
        }
    }

    fn cards_represent() -> &'static str {
        "Represent this sentence for searching relevant passages: "
    }

    #[test]
    fn texts_that_have_it_are_not_missing_it() {
        let e5 = of("e5-small-v2", &Value::Null).unwrap();
        assert!(e5.are_missing(Role::Plain, &["what is goodwill"]));
        assert!(!e5.are_missing(Role::Plain, &["query: a", "passage: b"]));
        assert!(e5.are_missing(Role::Plain, &["query: a", "b"]));
        assert!(e5.are_missing(Role::Document, &["query: a"]));
        assert!(!e5.are_missing(Role::Plain, &[] as &[&str]));
    }

    /// Documents of a model that has a prefix for queries alone.
    #[test]
    fn a_side_without_a_prefix_misses_nothing() {
        let bge = of("bge-small-en", &Value::Null).unwrap();
        assert!(!bge.are_missing(Role::Document, &["a document"]));
        assert!(bge.are_missing(Role::Query, &["a question"]));
        assert!(bge.are_missing(Role::Plain, &["a question"]));
        let both = [format!("{}a question", bge.query), "a document".to_owned()];
        assert!(!bge.are_missing(Role::Plain, &both));
        let instruct = of("multilingual-e5-large-instruct", &Value::Null).unwrap();
        assert!(!instruct.are_missing(Role::Query, &["Instruct: find it\nQuery: a question"]));
    }

    #[test]
    fn prompts_of_the_configuration_come_first() {
        let settings = Settings {
            prompts: vec![
                ("query".into(), "q: ".into()),
                ("document".into(), String::new()),
                ("title".into(), "t: ".into()),
            ],
            ..Settings::default()
        };
        let expected = ExpectedPrompts::of(Path::new("e5-base"), &settings, &Value::Null).unwrap();
        assert!(
            expected.note().contains("(query, title)"),
            "{}",
            expected.note()
        );
        assert!(expected.are_missing(Role::Plain, &["a"]));
        assert!(!expected.are_missing(Role::Plain, &["q: a", "t: b"]));
        assert!(!expected.are_missing(Role::Document, &["a"]));
    }

    #[test]
    fn it_is_told_once() {
        let told = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = told.clone();
        let watch = Watch::new(of("e5-base", &Value::Null), move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        watch.see(Role::Query, &["query: a"]);
        assert_eq!(told.load(Ordering::Relaxed), 0);
        for _ in 0..3 {
            watch.see(Role::Query, &["a"]);
        }
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }
}
