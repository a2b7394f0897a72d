//! What is not understood in a model folder is an error that names file and key; what upstream writes is understood.

use std::{fs, path::Path};

use matryo_model::{ModelError, ModelFolder, SimilarityFn, WriteConfig};
use matryo_testkit::{copy_of_tiny, edit, put};
use serde_json::{Value, json};

const POOLING: &str = "1_Pooling/config.json";
const MODULES: &str = "modules.json";
const TRANSFORMER: &str = "sentence_bert_config.json";
const SETTINGS: &str = "config_sentence_transformers.json";

#[track_caller]
fn open(folder: &Path) -> ModelFolder {
    ModelFolder::open(folder).unwrap_or_else(|e| panic!("{e}"))
}

/// The message of the error, after a file of the tiny model was changed.
#[track_caller]
fn message(file: &str, change: impl FnOnce(&mut Value)) -> String {
    let folder = copy_of_tiny();
    edit(folder.path(), file, change);
    let error = ModelFolder::open(folder.path()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(file), "{text}");
    format!("{text} | {}", error.hint().unwrap_or_default())
}

#[track_caller]
fn assert_contains(message: &str, parts: &[&str]) {
    assert!(
        parts.iter().all(|part| message.contains(part)),
        "{message:?} lacks one of {parts:?}"
    );
}

#[test]
fn unknown_pooling_keys() {
    let text = message(POOLING, |c| c["pooling_mode_means_tokens"] = json!(true));
    assert_contains(
        &text,
        &[
            "unknown key `pooling_mode_means_tokens`",
            "did you mean `pooling_mode_mean_tokens`?",
        ],
    );
    let text =
        message(
            POOLING,
            |c| *c = json!({"embedding_dimension": 32, "pooling_mode": ["cls", "middle"]}),
        );
    assert_contains(&text, &["`pooling_mode`", "middle", "lasttoken"]);
    let text = message(POOLING, |c| c["pooling_mode_cls_token"] = json!("yes"));
    assert_contains(
        &text,
        &["`pooling_mode_cls_token` is \"yes\", expected true or false"],
    );
}

#[test]
fn widths_that_disagree() {
    let text = message(POOLING, |c| c["word_embedding_dimension"] = json!(48));
    assert_contains(
        &text,
        &[
            "`word_embedding_dimension` is 48",
            "the module before",
            "32",
            "same model?",
        ],
    );
    let folder = copy_of_tiny();
    put(
        folder.path(),
        "2_Normalize/config.json",
        &json!({"in_features": 31, "out_features": 8}),
    );
    edit(folder.path(), MODULES, |m| {
        m[2]["type"] = json!("sentence_transformers.models.Dense")
    });
    let error = ModelFolder::open(folder.path()).unwrap_err().to_string();
    assert_contains(
        &error,
        &["`in_features` is 31, but the module before gives 32"],
    );
    let text = message(SETTINGS, |c| c["truncate_dim"] = json!(33));
    assert_contains(&text, &["`truncate_dim` is 33", "1 to 32"]);
}

#[test]
fn every_pooling_of_both_layouts() {
    let folder = copy_of_tiny();
    let modes = [
        ("cls_token", "cls"),
        ("max_tokens", "max"),
        ("mean_tokens", "mean"),
        ("mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("weightedmean_tokens", "weightedmean"),
        ("lasttoken", "lasttoken"),
    ];
    for (old, new) in modes {
        put(
            folder.path(),
            POOLING,
            &json!({format!("pooling_mode_{old}"): true, "include_prompt": false}),
        );
        let without = format!("Pooling({new}, without the prompt)");
        assert_eq!(open(folder.path()).summaries()[1], without);
        assert!(!open(folder.path()).include_prompt(0));
        put(
            folder.path(),
            POOLING,
            &json!({"embedding_dimension": 32, "pooling_mode": new}),
        );
        assert_eq!(
            open(folder.path()).summaries()[1],
            format!("Pooling({new})")
        );
    }
}

#[test]
fn concatenations_keep_their_order() {
    let folder = copy_of_tiny();
    let two = json!({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true, "pooling_mode_cls_token": true});
    put(folder.path(), POOLING, &two);
    assert_eq!(
        open(folder.path()).summaries()[1],
        "Pooling(cls + max + mean)"
    );
    assert_eq!(open(folder.path()).dim(), 96);
    put(
        folder.path(),
        POOLING,
        &json!({"pooling_mode": ["mean", "cls"], "pooling_mode_max_tokens": true}),
    );
    assert_eq!(open(folder.path()).summaries()[1], "Pooling(mean + cls)");
}

#[test]
fn no_pooling_mode_is_mean_as_upstream_with_a_note() {
    let folder = copy_of_tiny();
    for config in [
        json!({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": false}),
        json!({"word_embedding_dimension": 32}),
        json!({"embedding_dimension": 32, "pooling_mode": []}),
    ] {
        put(folder.path(), POOLING, &config);
        let folder = open(folder.path());
        assert_eq!(folder.summaries()[1], "Pooling(mean)", "{config}");
        let note = &folder.notes[0];
        assert!(note.contains("mean pooling"), "{config}: {note}");
    }
}

#[test]
fn a_plain_transformers_folder_gets_mean_pooling_with_a_note() {
    let folder = copy_of_tiny();
    for file in [MODULES, TRANSFORMER, SETTINGS] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    edit(folder.path(), "tokenizer_config.json", |c| {
        c["model_max_length"] = json!(1e30)
    });
    let folder = open(folder.path());
    assert_eq!(folder.summaries(), ["Transformer", "Pooling(mean)"]);
    assert_eq!(
        folder.input.max_seq_length, 128,
        "as many as there are positions"
    );
    assert!(
        folder.notes[0].contains("no modules.json"),
        "{:?}",
        folder.notes
    );
}

#[test]
fn the_longest_input() {
    let folder = copy_of_tiny();
    edit(folder.path(), TRANSFORMER, |c| {
        c["max_seq_length"] = json!(64)
    });
    assert_eq!(
        open(folder.path()).input.max_seq_length,
        64,
        "the module's own length wins"
    );
    edit(folder.path(), TRANSFORMER, |c| {
        c["max_seq_length"] = Value::Null
    });
    edit(folder.path(), "tokenizer_config.json", |c| {
        c["model_max_length"] = json!(100)
    });
    assert_eq!(open(folder.path()).input.max_seq_length, 100);
    edit(folder.path(), "tokenizer_config.json", |c| {
        c["model_max_length"] = json!(512)
    });
    let folder = open(folder.path());
    assert_eq!(folder.input.max_seq_length, 128);
    assert!(folder.notes[0].contains("512"), "{:?}", folder.notes);
}

#[test]
fn types_of_every_version_are_known_and_no_others() {
    let folder = copy_of_tiny();
    let both = |name: &str| {
        [
            format!("sentence_transformers.base.modules.normalize.{name}"),
            format!("sentence_transformers.sentence_transformer.modules.normalize.{name}"),
        ]
    };
    for class in both("Normalize") {
        edit(folder.path(), MODULES, |m| m[2]["type"] = json!(class));
        put(
            folder.path(),
            "2_Normalize/config.json",
            &json!({"module_input_name": "sentence_embedding"}),
        );
        assert_eq!(open(folder.path()).summaries()[2], "Normalize");
    }
    for class in [
        "sentence_transformers.models.LSTM",
        "my_code.Normalize",
        "Normalize",
    ] {
        let text = message(MODULES, |m| m[2]["type"] = json!(class));
        assert_contains(
            &text,
            &["module 2", class, "not supported", "Normalize and Router"],
        );
    }
}

#[test]
fn modules_in_an_order_that_makes_no_sense() {
    let text = message(MODULES, |m| m.as_array_mut().unwrap().swap(0, 1));
    assert_contains(&text, &["module 0 is Pooling, expected Transformer"]);
    let text = message(MODULES, |m| m.as_array_mut().unwrap().truncate(1));
    assert_contains(&text, &["module 1 is missing, expected Pooling"]);
    let text = message(MODULES, |m| m[2]["path"] = json!("../elsewhere"));
    assert_contains(&text, &["`path` is \"../elsewhere\""]);
    let text = message(MODULES, |m| m[0]["kwargs"] = json!(["task"]));
    assert_contains(&text, &["`kwargs`", "task"]);
}

#[test]
fn dense_activations_and_what_is_not_supported() {
    let folder = copy_of_tiny();
    edit(folder.path(), MODULES, |m| {
        m[2]["type"] = json!("sentence_transformers.base.modules.dense.Dense")
    });
    let config = |class: &str| json!({"in_features": 32, "out_features": 8, "bias": false, "activation_function": class});
    let cases = [
        "torch.nn.modules.activation.Tanh",
        "torch.nn.modules.activation.GELU",
        "torch.nn.modules.activation.ReLU",
        "torch.nn.modules.activation.SiLU",
        "torch.nn.modules.activation.Sigmoid",
        "torch.nn.modules.linear.Identity",
    ];
    for class in cases {
        put(folder.path(), "2_Normalize/config.json", &config(class));
        let opened = open(folder.path());
        assert_eq!(opened.summaries()[2], "Dense(32 to 8)");
        let written = opened.modules[2].module.files(&WriteConfig::default());
        assert_eq!(written[0].value, config(class));
        assert_eq!(open(folder.path()).dim(), 8);
    }
    let mut wrong = vec![
        (config("torch.nn.modules.activation.Mish"), "Mish"),
        (config("my.Tanh"), "my.Tanh"),
    ];
    for (key, value) in [
        ("use_residual", json!("true")),
        ("module_input_name", json!("token_embeddings")),
    ] {
        let mut dense = config("torch.nn.modules.activation.Tanh");
        dense[key] = value;
        wrong.push((dense, key));
    }
    for (dense, part) in wrong {
        put(folder.path(), "2_Normalize/config.json", &dense);
        assert_contains(
            &ModelFolder::open(folder.path()).unwrap_err().to_string(),
            &[part, "2_Normalize"],
        );
    }
}

#[test]
fn settings_are_read_and_checked() {
    let folder = copy_of_tiny();
    edit(folder.path(), SETTINGS, |c| {
        c["prompts"] = json!({"query": "q: ", "document": ""});
        c["default_prompt_name"] = json!("query");
        c["similarity_fn_name"] = json!("euclidean");
        c["truncate_dim"] = json!(16);
        c["model_type"] = json!("SentenceTransformer");
    });
    let settings = open(folder.path()).settings;
    assert_eq!(
        settings.prompts,
        [
            ("query".into(), "q: ".into()),
            ("document".to_owned(), String::new())
        ]
    );
    assert_eq!(
        (
            settings.default_prompt_name.as_deref(),
            settings.truncate_dim
        ),
        (Some("query"), Some(16))
    );
    assert_eq!(settings.similarity, Some(SimilarityFn::Euclidean));
    assert_contains(
        &message(SETTINGS, |c| c["model_type"] = json!("CrossEncoder")),
        &["`model_type`", "CrossEncoder"],
    );
    assert_contains(
        &message(SETTINGS, |c| c["default_prompt_name"] = json!("q")),
        &["`default_prompt_name` is \"q\""],
    );
    assert_contains(
        &message(SETTINGS, |c| c["similarity_fn_name"] = json!("angular")),
        &["angular", "manhattan"],
    );
    assert_contains(
        &message(SETTINGS, |c| c["promts"] = json!({})),
        &["`promts`", "did you mean `prompts`?"],
    );
    assert_contains(
        &message(SETTINGS, |c| c["prompts"] = json!({"a": 1})),
        &["`prompts`", "strings"],
    );
}

#[test]
fn transformer_settings_that_would_change_the_numbers() {
    let harmless = json!({"max_seq_length": 128, "model_args": {"trust_remote_code": true}, "processing_kwargs": {}});
    let folder = copy_of_tiny();
    put(folder.path(), TRANSFORMER, &harmless);
    open(folder.path());
    assert_contains(
        &message(TRANSFORMER, |c| c["query_length"] = json!(32)),
        &["unknown key `query_length`"],
    );
    let args = message(TRANSFORMER, |c| {
        c["tokenizer_args"] = json!({"model_max_length": 8})
    });
    assert_contains(&args, &["`tokenizer_args`", "model_max_length"]);
    let task = message(TRANSFORMER, |c| c["transformer_task"] = json!("fill-mask"));
    assert_contains(&task, &["fill-mask", "feature-extraction"]);
    let image = json!({"image": {"method": "forward", "method_output_name": "last_hidden_state"}});
    assert_contains(
        &message(TRANSFORMER, |c| c["modality_config"] = image),
        &["`modality_config`"],
    );
    assert_contains(
        &message(TRANSFORMER, |c| c["max_seq_length"] = json!(-1)),
        &["`max_seq_length` is -1"],
    );
}

#[test]
fn older_names_and_places_of_the_transformer() {
    let folder = copy_of_tiny();
    fs::create_dir(folder.path().join("0_Transformer")).unwrap();
    for file in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        fs::rename(
            folder.path().join(file),
            folder.path().join("0_Transformer").join(file),
        )
        .unwrap();
    }
    fs::remove_file(folder.path().join(TRANSFORMER)).unwrap();
    put(
        folder.path(),
        "0_Transformer/sentence_roberta_config.json",
        &json!({"max_seq_length": 77}),
    );
    edit(folder.path(), MODULES, |m| {
        m[0]["path"] = json!("0_Transformer")
    });
    let opened = open(folder.path());
    assert_eq!((opened.input.max_seq_length, opened.dim()), (77, 32));
    assert!(opened.checkpoint(0).unwrap().has("pooler.dense.bias"));
    assert!(matryo_model::Tokenizer::open(&opened).unwrap().vocab_size() == 3000);
}

#[test]
fn missing_and_broken_files() {
    let folder = copy_of_tiny();
    fs::write(folder.path().join(MODULES), "[{]").unwrap();
    let error = ModelFolder::open(folder.path()).unwrap_err().to_string();
    assert_contains(&error, &["not valid JSON", "line 1", MODULES]);
    let error = ModelFolder::open(&folder.path().join("model.safetensors"))
        .unwrap_err()
        .to_string();
    assert_contains(&error, &["no model folder"]);
    fs::remove_file(folder.path().join(MODULES)).unwrap();
    fs::remove_file(folder.path().join("config.json")).unwrap();
    let error = ModelFolder::open(folder.path()).unwrap_err();
    assert_contains(&error.to_string(), &["no `config.json`"]);
    assert!(error.hint().unwrap().contains("model.safetensors"));
    for file in ["tokenizer.json", "vocab.txt"] {
        let folder = copy_of_tiny();
        fs::write(folder.path().join(file), b"\xff{").unwrap();
        if file == "vocab.txt" {
            fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        }
        let error = matryo_model::Tokenizer::open(&open(folder.path())).unwrap_err();
        assert!(matches!(error, ModelError::Tokenizer { .. }), "{error}");
        assert_contains(&error.to_string(), &[file]);
    }
}
