//! The example of use: whether it tells queries from documents, and its code, as sentence-transformers 6.2 writes it.

use std::path::PathBuf;

use matryo_model::ModelFolder;
use matryo_testkit::{FamilyGolden, copy_of, edit, tiny_bert};
use matryo_train::{
    card::{Architecture, CardData, WidgetExample, render},
    config::Compat,
};
use serde_json::{Value, json};

use super::fixture::{card, golden};

/// Lines of code between the model's opening and the fence: without comments, and what is printed.
fn code(snippet: &str) -> Vec<&str> {
    let block = snippet.split("```python\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let lines = block
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("model ="));
    lines.collect()
}

/// The texts in upstream's example.
fn example() -> WidgetExample {
    let sentences = [
        "Venus is often called Earth's twin because of its similar size and proximity.",
        "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
        "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
    ];
    WidgetExample {
        source_sentence: "Which planet is known as the Red Planet?".into(),
        sentences: sentences.map(str::to_owned).to_vec(),
    }
}

/// The card of a model that was trained on a column of that name and never measured.
fn trained(model: PathBuf, prompts: Option<Value>, column: &str) -> CardData {
    let folder = copy_of(&model);
    if let Some(prompts) = prompts {
        let file = "config_sentence_transformers.json";
        edit(folder.path(), file, |config| config["prompts"] = prompts);
    }
    let mut card = card(&golden("seedU_st57"), Compat::Current);
    card.architecture = Architecture::of(&ModelFolder::open(folder.path()).unwrap());
    let training = card.training.as_mut().unwrap();
    training.evaluations.clear();
    training.dataset.columns[1].name = column.to_owned();
    training.widget = vec![example()];
    card
}

fn module(name: &str) -> PathBuf {
    let mut goldens = FamilyGolden::of_modules().into_iter();
    goldens.find(|golden| golden.name == name).unwrap().model()
}

#[test]
fn roles_are_those_of_upstream() {
    let upstream = golden("usage_st62");
    let plain = || Some(json!({}));
    let cases = [
        ("plain", tiny_bert(), plain(), "anchor"),
        ("static-query", module("static-query"), plain(), "anchor"),
        ("two-encoders", module("two-encoders"), None, "anchor"),
        (
            "query prompt",
            tiny_bert(),
            Some(json!({"query": "q: "})),
            "anchor",
        ),
        (
            "passage prompt",
            tiny_bert(),
            Some(json!({"passage": "p: "})),
            "anchor",
        ),
        (
            "empty prompts",
            tiny_bert(),
            Some(json!({"query": "", "document": ""})),
            "anchor",
        ),
        (
            "other prompt",
            tiny_bert(),
            Some(json!({"topic": "t: "})),
            "anchor",
        ),
        ("question column", tiny_bert(), plain(), "question"),
        ("query column", tiny_bert(), plain(), "query"),
    ];
    assert_eq!(upstream.as_object().unwrap().len(), cases.len());
    for (name, model, prompts, column) in cases {
        let text = render(&trained(model, prompts, column)).unwrap();
        let (ours, theirs) = (code(&text), code(upstream[name].as_str().unwrap()));
        let roles = theirs.iter().any(|line| line.contains("encode_query"));
        if roles {
            assert_eq!(ours, theirs, "{name}");
        }
        // Without roles ours compares the first text with the others, theirs all with all.
        assert_eq!(
            ours.contains(&"embeddings = model.encode(sentences)"),
            !roles,
            "{name}"
        );
        assert_eq!(text.contains("Role::Query"), roles, "{name}");
        assert_eq!(text.contains(" --roles\n"), roles, "{name}");
        assert_eq!(text.contains("--role document"), roles, "{name}");
    }
}
