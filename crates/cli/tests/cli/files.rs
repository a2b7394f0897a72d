//! `matryo info`, `card` and `save`: what a model folder is, and copies of it.

use std::fs;

use serde_json::{Value, json};

use crate::common::{model, model_copy, run};

#[test]
fn info_tells_what_the_model_is() {
    let info = run(&["info", &model(), "--json", "--threads", "1"]).json();
    let expected = json!({
        "parameters": 118_368, "dim": 32, "max_seq_length": 128, "threads": 1,
        "modules": ["Transformer", "Pooling(mean)", "Normalize"],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&info[key], value, "{key}");
    }
    assert!(
        info["architecture"]
            .as_str()
            .unwrap()
            .starts_with("bert, 2 layers, 32 wide, 4 heads"),
        "{info}"
    );
    let text = run(&["info", &model()]).ok();
    for part in [
        "118,368",
        "Pooling(mean)",
        "128 tokens",
        "cosine",
        "f32",
        "cpu",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn a_folder_without_modules_gets_mean_pooling_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let folder = model_copy(dir.path());
    for file in [
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    ] {
        fs::remove_file(folder.join(file)).unwrap();
    }
    fs::remove_dir_all(folder.join("1_Pooling")).unwrap();
    let ran = run(&["encode", folder.to_str().unwrap(), "It rained."]);
    assert!(
        ran.stderr.contains("note: no modules.json: mean pooling"),
        "{}",
        ran.stderr
    );
    ran.ok();
}

#[test]
fn a_card_is_printed_or_written_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let folder = model_copy(dir.path());
    let (path, readme) = (folder.to_str().unwrap(), folder.join("README.md"));
    let card = run(&["card", path]).ok();
    assert!(
        card.starts_with("---\n") && card.contains("sentence-transformers"),
        "{card}"
    );
    run(&["card", path, "--write"]).ok();
    assert_eq!(fs::read_to_string(&readme).unwrap(), card);
    fs::write(&readme, "mine").unwrap();
    run(&["card", path, "--write"]).fails_with(&[
        "error: ",
        "README.md exists",
        "hint: `--overwrite`",
    ]);
    assert_eq!(fs::read_to_string(&readme).unwrap(), "mine");
    run(&["card", path, "--write", "--overwrite"]).ok();
    assert_eq!(fs::read_to_string(&readme).unwrap(), card);
}

#[test]
fn both_layouts_give_the_same_vectors() {
    let dir = tempfile::tempdir().unwrap();
    let expected = run(&["encode", &model(), "What is goodwill?"]).ok();
    let types = [
        ("old", "sentence_transformers.models.Pooling"),
        ("new", "sentence_transformers.sentence_transformer"),
    ];
    for (layout, class) in types {
        let target = dir.path().join(layout);
        let path = target.to_str().unwrap();
        run(&["save", &model(), path, "--layout", layout]).ok();
        assert_eq!(
            run(&["encode", path, "What is goodwill?"]).ok(),
            expected,
            "{layout}"
        );
        let modules: Value =
            serde_json::from_slice(&fs::read(target.join("modules.json")).unwrap()).unwrap();
        assert!(
            modules[1]["type"].as_str().unwrap().starts_with(class),
            "{modules}"
        );
    }
}
