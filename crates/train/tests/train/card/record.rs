//! The record: complete, readable again, and no card invents what is not in it.

use std::path::Path;

use matryo_model::ModelFolder;
use matryo_train::card::{
    Architecture, CardData, LossRow, RECORD_FILE, load_record, render, save_record,
};
use matryo_train::config::Compat;
use serde_json::json;

use super::{
    document::{front_matter, headings},
    fixture::{card, golden},
};

#[test]
fn a_saved_record_renders_the_same_card() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(load_record(folder.path()).expect("no record is fine"), None);
    let card = card(&golden("tiny_long_st57"), Compat::Current);
    save_record(folder.path(), &card).expect("saved");
    let read = load_record(folder.path())
        .expect("readable")
        .expect("there");
    assert_eq!(read, card);
    assert_eq!(
        render(&read).expect("a card"),
        render(&card).expect("a card")
    );
}

#[test]
fn a_diverged_run_has_a_readable_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut card = card(&golden("tiny_long_st57"), Compat::Current);
    let training = card.training.as_mut().expect("training");
    training.losses = vec![LossRow {
        epoch: 0.5,
        step: 10,
        loss: f64::NAN,
    }];
    save_record(folder.path(), &card).expect("saved");
    let read = load_record(folder.path())
        .expect("readable")
        .expect("there");
    assert!(render(&read).expect("a card").contains("| nan "));
}

#[test]
fn a_broken_record_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(RECORD_FILE), "{\"compat\": \"5.7\",").expect("written");
    let error = load_record(folder.path()).expect_err("half a record");
    assert!(
        error.to_string().contains(RECORD_FILE) && error.to_string().contains("line 1"),
        "{error}"
    );
    assert!(error.hint().is_some());
}

#[test]
fn an_untrained_model_gets_a_card_without_invented_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("some-model");
    write_model(&path);
    let card = CardData::untrained(&ModelFolder::open(&path).expect("a model"));
    let text = render(&card).expect("a card");
    let head = front_matter(&text);
    assert_eq!(head.get("model-index"), None);
    assert_eq!(head.get("metrics"), None);
    assert_eq!(
        head["tags"],
        json!([
            "sentence-transformers",
            "sentence-similarity",
            "feature-extraction",
            "dense"
        ])
    );
    let titles = headings(&text);
    assert_eq!(titles[0], "# some-model");
    for missing in [
        "## Evaluation",
        "## Training Details",
        "### Training Logs",
        "### Training Time",
    ] {
        assert!(!titles.contains(&missing), "{missing} has nothing to say");
    }
    assert!(titles.contains(&"### Full Model Architecture") && titles.contains(&"## Usage"));
}

/// Module lines as `print()` of sentence-transformers 5.7.0 gives them for the same modules.
#[test]
fn modules_of_a_folder_print_as_upstream() {
    let folder = tempfile::tempdir().expect("a folder");
    write_model(folder.path());
    let architecture = Architecture::of(&ModelFolder::open(folder.path()).expect("a model"));
    assert_eq!((architecture.dim, architecture.max_seq_length), (16, 128));
    let text = architecture.describe(Compat::Current);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[1].starts_with("  (0): Transformer({")
            && lines[1].ends_with("'architecture': 'BertModel'})")
    );
    let pooling = "Pooling({'embedding_dimension': 32, 'pooling_mode': ('cls', 'mean'), 'include_prompt': True})";
    assert_eq!(lines[2], format!("  (1): {pooling}"));
    let dense = "Dense({'in_features': 64, 'out_features': 16, 'bias': False, 'activation_function': \
                 'torch.nn.modules.linear.Identity', 'module_input_name': 'sentence_embedding', 'module_output_name': \
                 'sentence_embedding'})";
    assert_eq!(lines[3], format!("  (2): {dense}"));
    assert_eq!(lines[4..], ["  (3): Normalize({})", ")"]);
    let old = architecture.describe(Compat::V3_0);
    assert!(old.contains(
        "'pooling_mode_cls_token': True, 'pooling_mode_mean_tokens': True, 'pooling_mode_max_tokens': False"
    ));
}

/// The small files of a model: BERT of width 32, cls and mean pooling, a dense layer, Normalize.
fn write_model(path: &Path) {
    let module = |idx: usize, folder: &str, class: &str| json!({"idx": idx, "name": idx.to_string(), "path": folder, "type": format!("sentence_transformers.models.{class}")});
    let modules = [
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling"),
        module(2, "2_Dense", "Dense"),
        module(3, "3_Normalize", "Normalize"),
    ];
    let pooling = json!({"word_embedding_dimension": 32, "pooling_mode_cls_token": true,
        "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false});
    let dense = json!({"in_features": 64, "out_features": 16, "bias": false,
        "activation_function": "torch.nn.modules.linear.Identity"});
    let files = [
        (
            "config.json",
            json!({"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 32, "num_attention_heads": 4,
                "num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": 100, "max_position_embeddings": 128}),
        ),
        ("modules.json", json!(modules)),
        (
            "sentence_bert_config.json",
            json!({"max_seq_length": 128, "do_lower_case": false}),
        ),
        ("1_Pooling/config.json", pooling),
        ("2_Dense/config.json", dense),
    ];
    for (name, content) in files {
        let file = path.join(name);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("created");
        std::fs::write(file, content.to_string()).expect("written");
    }
}

/// As sentence-transformers 6.2 prints a model without a transformer.
#[test]
fn a_static_model_has_no_transformer() {
    let goldens = matryo_testkit::FamilyGolden::of_static_models();
    let root = goldens.iter().find(|golden| golden.name == "root").unwrap();
    let architecture = Architecture::of(&ModelFolder::open(&root.model()).expect("a model"));
    assert_eq!(
        architecture.describe(Compat::Current),
        "SentenceTransformer(\n  (0): StaticEmbedding({})\n  (1): Normalize({})\n)"
    );
    let mut data = card(&golden("tiny_long_st57"), Compat::Current);
    data.architecture = architecture;
    let text = render(&data).expect("a card");
    assert!(
        text.contains("**Maximum Sequence Length:** inf tokens"),
        "{text}"
    );
}
