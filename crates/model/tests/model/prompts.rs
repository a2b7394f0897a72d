//! Prompts: which one goes before a text, as in sentence-transformers 6.2, and which one is missed.

use std::sync::atomic::{AtomicUsize, Ordering};

use matryo_model::{Embed, EncodeOptions, Role, SentenceEncoder};
use matryo_ops::Mat;
use matryo_testkit::tiny_bert;
use serde_json::json;
use tempfile::TempDir;

use crate::{cases, tiny::*};

/// The tiny model with prompts.
pub fn prompted(prompts: &[(&str, &str)], default: Option<&str>) -> TempDir {
    let dir = copy_of_tiny();
    let map: serde_json::Map<_, _> = prompts
        .iter()
        .map(|(name, text)| (name.to_string(), json!(text)))
        .collect();
    edit(dir.path(), "config_sentence_transformers.json", |config| {
        config["prompts"] = map.into();
        config["default_prompt_name"] = json!(default);
    });
    dir
}

fn encode(model: &SentenceEncoder, options: EncodeOptions<'_>) -> Mat {
    model.encode_with(&texts(), &options).unwrap().embeddings
}

#[test]
fn a_prompt_is_text_before_the_text() {
    let dir = prompted(&[("query", "query: "), ("document", "passage: ")], None);
    let model = SentenceEncoder::open(dir.path()).unwrap();
    let spelled = |prompt: &str| {
        model
            .encode(
                &texts()
                    .iter()
                    .map(|text| format!("{prompt}{text}"))
                    .collect::<Vec<_>>(),
            )
            .unwrap()
    };
    let named = EncodeOptions {
        prompt_name: Some("query".into()),
        ..EncodeOptions::default()
    };
    assert_eq!(encode(&model, named), spelled("query: "));
    let both = EncodeOptions {
        prompt: Some("find: ".into()),
        prompt_name: Some("query".into()),
        ..EncodeOptions::default()
    };
    assert_eq!(
        encode(&model, both),
        spelled("find: "),
        "a text beats a name"
    );
    let role = |role| {
        encode(
            &model,
            EncodeOptions {
                role,
                ..EncodeOptions::default()
            },
        )
    };
    assert_eq!(role(Role::Query), spelled("query: "));
    assert_eq!(role(Role::Document), spelled("passage: "));
    assert_eq!(role(Role::Plain), spelled(""), "no default prompt");
}

#[test]
fn roles_leave_the_default_prompt_out() {
    let dir = prompted(
        &[("corpus", "c: "), ("document", "d: "), ("other", "o: ")],
        Some("other"),
    );
    let model = SentenceEncoder::open(dir.path()).unwrap();
    let text = ["What was the total revenue in 2019?"];
    let embed = |role| Embed::embed(&model, &text, role).unwrap();
    let spelled = |prompt: &str| {
        let options = EncodeOptions {
            prompt: Some(prompt.into()),
            ..EncodeOptions::default()
        };
        model.encode_with(&text, &options).unwrap().embeddings
    };
    assert_eq!(embed(Role::Document), spelled("d: "));
    assert_eq!(embed(Role::Query), spelled(""), "no prompt named query");
    assert_eq!(embed(Role::Plain), spelled("o: "));
}

/// A model whose folder has the name of one whose card asks for prompts says so once, and not where a call chooses a prompt.
#[test]
fn a_missing_prompt_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("e5-small-v2");
    matryo_testkit::copy_folder(&tiny_bert(), &folder);
    let told = |texts: &[&str], options: &[EncodeOptions<'_>]| {
        let count = std::sync::Arc::new(AtomicUsize::new(0));
        let mut model = SentenceEncoder::open(&folder).unwrap();
        let counted = count.clone();
        model.on_missing_prompt(move |expected| {
            assert!(
                expected.note().contains("e5-small-v2"),
                "{}",
                expected.note()
            );
            counted.fetch_add(1, Ordering::Relaxed);
        });
        for options in options {
            model.encode_with(texts, options).unwrap();
        }
        count.load(Ordering::Relaxed)
    };
    let plain = || EncodeOptions::default();
    let document = || EncodeOptions {
        role: Role::Document,
        ..EncodeOptions::default()
    };
    let chosen = |prompt: &str| EncodeOptions {
        prompt: Some(prompt.into()),
        ..EncodeOptions::default()
    };
    assert_eq!(told(&["revenue"], &[plain(), document(), plain()]), 1);
    assert_eq!(told(&["query: revenue"], &[plain()]), 0);
    assert_eq!(told(&["query: revenue"], &[document()]), 1);
    assert_eq!(told(&["revenue"], &[chosen("query: "), chosen("")]), 0);
    // A prompt that is missing is not put there.
    let [unnamed, named] = [&tiny_bert(), &folder].map(|dir| SentenceEncoder::open(dir).unwrap());
    for role in [Role::Plain, Role::Query, Role::Document] {
        let embed = |model: &SentenceEncoder| Embed::embed(model, &["revenue"], role).unwrap();
        assert_eq!(embed(&named), embed(&unnamed), "{role:?}");
    }
}

#[test]
fn prompts_by_role() {
    let cases = cases::golden("prompts");
    for case in cases.as_array().unwrap() {
        let dir = copy_of_tiny();
        edit(dir.path(), "config_sentence_transformers.json", |config| {
            config["prompts"] = case["prompts"].clone();
            config["default_prompt_name"] = case["default"].clone();
        });
        let model = for_inference(dir.path());
        for (role, name) in [
            (Role::Plain, "plain"),
            (Role::Query, "query"),
            (Role::Document, "document"),
        ] {
            let encode = |options: EncodeOptions<'_>| {
                let encoded = model.encode_with(&["revenue"], &options).unwrap();
                encoded.embeddings
            };
            let found = encode(EncodeOptions {
                role,
                ..EncodeOptions::default()
            });
            let spelled = encode(EncodeOptions {
                prompt: Some(case[name].as_str().unwrap().to_owned()),
                ..EncodeOptions::default()
            });
            assert_eq!(found, spelled, "{name} of {case}");
        }
        let passage_is_idle =
            case["prompts"]["passage"].is_string() || case["prompts"]["corpus"].is_string();
        let has_document = case["prompts"]["document"]
            .as_str()
            .is_some_and(|text| !text.is_empty());
        let notes = &model.folder().notes;
        assert_eq!(
            !notes.is_empty(),
            passage_is_idle && !has_document,
            "{case}: {notes:?}"
        );
    }
}
