//! Saved folders equal those that sentence-transformers writes: 3.0.1 for the old layout, 5.7.0 for the new one.
//!
//! The tiny model was itself saved by 3.0.1; `golden/new_layout` is the same model saved by 5.7.0, and `golden/dense`
//! are the module folders of a model with concatenated pooling and two Dense modules, saved by 5.7.0.

use std::{fs, path::Path, sync::Arc};

use matryo_model::{
    Checkpoint, FolderLayout, Layout, ModelFolder, Params, SaveOptions, Settings, SimilarityFn,
    Tokenizer, save,
};
use matryo_ops::AlignedVec;
use matryo_testkit::tiny_bert;
use matryo_testkit::{self as common, copy_folder, copy_of_tiny, edit, json};
use serde_json::{Value, json as value};

const NEW: SaveOptions<'_> = SaveOptions {
    matryoshka: None,
    layout: FolderLayout::New,
    card: None,
    max_seq_length: None,
    settings: None,
};

fn paths(folder: &ModelFolder) -> String {
    let paths: Vec<&str> = folder.modules.iter().map(|module| &*module.path).collect();
    paths.join(" ")
}

fn no_params() -> Params {
    Params {
        layout: Arc::new(Layout::default()),
        flat: AlignedVec::default(),
    }
}

fn resave(from: &Path, to: &Path, options: &SaveOptions<'_>) -> ModelFolder {
    save(to, &ModelFolder::open(from).unwrap(), &no_params(), options).unwrap();
    ModelFolder::open(to).unwrap()
}

fn golden(folder: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(folder)
}

#[track_caller]
fn assert_same_bytes(a: &Path, b: &Path, file: &str) {
    let read =
        |folder: &Path| fs::read(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    assert!(read(a) == read(b), "{file} differs");
}

#[track_caller]
fn assert_same_json(a: &Path, b: &Path, file: &str) {
    assert_eq!(json(a, file), json(b, file), "{file}");
}

/// Every tensor of both, value for value.
#[track_caller]
fn assert_same_weights(a: &Path, b: &Path) {
    let (a, b) = (Checkpoint::open(a).unwrap(), Checkpoint::open(b).unwrap());
    assert_eq!(a.names(), b.names());
    for name in a.names() {
        assert_eq!(values(&a, name), values(&b, name), "{name}");
    }
}

fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let shape = checkpoint.shape(name).unwrap();
    let mut out = vec![0.0; shape.iter().product()];
    checkpoint.read(name, shape, &mut out).unwrap();
    out
}

/// The tiny model with the modules of `golden/dense`.
fn dense_model() -> tempfile::TempDir {
    let folder = copy_of_tiny();
    copy_folder(&golden("dense"), folder.path());
    folder
}

#[test]
fn the_old_layout_is_that_of_3_0() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("model");
    resave(&tiny_bert(), &to, &SaveOptions::default());
    for file in [
        "modules.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
    ] {
        assert_same_bytes(&to, &tiny_bert(), file);
    }
    for file in ["tokenizer.json", "vocab.txt", "special_tokens_map.json"] {
        assert_same_bytes(&to, &tiny_bert(), file);
    }
    assert_same_json(&to, &tiny_bert(), "config.json");
    assert_same_json(&to, &tiny_bert(), "tokenizer_config.json");
    assert_same_settings(&to, &tiny_bert());
    assert_same_weights(&to, &tiny_bert());
    assert!(to.join("2_Normalize").is_dir());
    assert!(!to.join("README.md").exists());
}

#[test]
fn the_new_layout_is_that_of_5_7() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("model");
    let cosine = Settings {
        similarity: Some(SimilarityFn::Cosine),
        ..Settings::default()
    };
    resave(
        &tiny_bert(),
        &to,
        &SaveOptions {
            settings: Some(&cosine),
            ..NEW
        },
    );
    for file in [
        "modules.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
    ] {
        assert_same_bytes(&to, &golden("new_layout"), file);
    }
    assert_same_settings(&to, &golden("new_layout"));
    let config = json(&to, "config.json");
    assert_eq!(
        (&config["dtype"], config.get("torch_dtype")),
        (&value!("float32"), None)
    );
    assert_eq!(json(&to, "tokenizer_config.json")["model_max_length"], 128);
    assert_same_weights(&to, &tiny_bert());
}

/// All but the versions, which are our own.
#[track_caller]
fn assert_same_settings(a: &Path, b: &Path) {
    let settings = |folder: &Path| {
        let mut settings = json(folder, "config_sentence_transformers.json");
        settings
            .as_object_mut()
            .unwrap()
            .shift_remove("__version__")
            .unwrap();
        settings.to_string()
    };
    assert_eq!(settings(a), settings(b));
}

#[test]
fn layouts_convert_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let [new, old] = ["new", "old"].map(|name| dir.path().join(name));
    let converted = resave(&tiny_bert(), &new, &NEW);
    assert_eq!(
        (
            converted.input.max_seq_length,
            converted.input.do_lower_case
        ),
        (128, false)
    );
    let back = resave(&new, &old, &SaveOptions::default());
    assert_eq!(back.summaries(), converted.summaries());
    for file in [
        "modules.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
        "config.json",
    ] {
        assert_same_json(&old, &tiny_bert(), file);
    }
    assert_same_weights(&old, &tiny_bert());
}

#[test]
fn dense_modules_keep_their_folders_and_weights() {
    let source = dense_model();
    let dir = tempfile::tempdir().unwrap();
    let folder = resave(source.path(), dir.path(), &NEW);
    assert_eq!(
        (folder.dim(), paths(&folder)),
        (8, " 1_Pooling 2_Dense 3_Normalize 4_Dense".into())
    );
    for file in [
        "modules.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "4_Dense/config.json",
    ] {
        assert_same_bytes(dir.path(), &golden("dense"), file);
    }
    for module in ["2_Dense", "4_Dense"] {
        assert_same_weights(&dir.path().join(module), &golden("dense").join(module));
    }
}

#[test]
fn an_order_of_pooling_that_the_old_layout_cannot_say_is_not_lost() {
    let source = dense_model();
    let dir = tempfile::tempdir().unwrap();
    let folder = resave(source.path(), dir.path(), &SaveOptions::default());
    assert_eq!(
        folder.summaries(),
        ModelFolder::open(source.path()).unwrap().summaries()
    );
    common::put(
        source.path(),
        "1_Pooling/config.json",
        &value!({"pooling_mode": ["cls", "max", "lasttoken"]}),
    );
    let folder = resave(source.path(), dir.path(), &SaveOptions::default());
    assert_eq!(
        folder.summaries(),
        ModelFolder::open(source.path()).unwrap().summaries()
    );
    let config = json(dir.path(), "1_Pooling/config.json");
    assert_eq!(
        (
            config.get("pooling_mode"),
            &config["pooling_mode_cls_token"]
        ),
        (None, &Value::Bool(true))
    );
}

#[test]
fn trained_tensors_replace_and_others_are_carried_over() {
    let name = "encoder.layer.1.attention.self.query.weight";
    let mut layout = Layout::default();
    layout.push(0, name, &[32, 32], true, true);
    let flat: Vec<f32> = (0..32 * 32).map(|i| 0.5 - i as f32).collect();
    let params = Params {
        layout: Arc::new(layout),
        flat: flat.as_slice().into(),
    };
    let dir = tempfile::tempdir().unwrap();
    let source = ModelFolder::open(&tiny_bert()).unwrap();
    save(dir.path(), &source, &params, &SaveOptions::default()).unwrap();
    let (before, after) = (
        source.checkpoint(0).unwrap(),
        Checkpoint::open(dir.path()).unwrap(),
    );
    assert_eq!(before.names(), after.names());
    for other in before.names() {
        let expected = if other == name {
            flat.clone()
        } else {
            values(&before, other)
        };
        assert_eq!(values(&after, other), expected, "{other}");
    }
}

#[test]
fn half_precision_weights_are_written_as_f32() {
    let folder = copy_of_tiny();
    let bf16s: Vec<u8> = [0x3f80_u16, 0xc049]
        .iter()
        .flat_map(|b| b.to_le_bytes())
        .collect();
    let ids: Vec<u8> = [0_i64, 1].iter().flat_map(|b| b.to_le_bytes()).collect();
    let view = |dtype, bytes| safetensors::tensor::TensorView::new(dtype, vec![2], bytes).unwrap();
    let tensors = [
        ("a", view(safetensors::Dtype::BF16, &bf16s)),
        ("position_ids", view(safetensors::Dtype::I64, &ids)),
    ];
    fs::write(
        folder.path().join("model.safetensors"),
        safetensors::serialize(tensors, None).unwrap(),
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    resave(folder.path(), dir.path(), &SaveOptions::default());
    let bytes = fs::read(dir.path().join("model.safetensors")).unwrap();
    let saved = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(saved.tensor("a").unwrap().dtype(), safetensors::Dtype::F32);
    assert_eq!(saved.tensor("position_ids").unwrap().data(), ids);
    assert_eq!(
        values(&Checkpoint::open(dir.path()).unwrap(), "a"),
        [1.0, -3.140625]
    );
}

#[test]
fn a_vocabulary_becomes_a_tokenizer_json() {
    let folder = copy_of_tiny();
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    edit(folder.path(), "tokenizer_config.json", |c| {
        c["do_lower_case"] = value!(false)
    });
    let dir = tempfile::tempdir().unwrap();
    let saved = resave(folder.path(), dir.path(), &SaveOptions::default());
    fs::remove_file(dir.path().join("vocab.txt")).unwrap();
    let ids = |folder: &ModelFolder| {
        Tokenizer::open(folder)
            .unwrap()
            .encode("The [MASK] Café paid 5%", 64)
            .unwrap()
    };
    assert_eq!(ids(&saved), ids(&ModelFolder::open(folder.path()).unwrap()));
}

#[test]
fn settings_card_and_length_are_written() {
    let settings = Settings {
        prompts: vec![
            ("query".into(), "Frage: ".into()),
            ("a".into(), String::new()),
        ],
        default_prompt_name: Some("query".into()),
        similarity: Some(SimilarityFn::Dot),
        truncate_dim: Some(16),
    };
    let dir = tempfile::tempdir().unwrap();
    for layout in [FolderLayout::Old, FolderLayout::New] {
        let options = SaveOptions {
            layout,
            card: Some("# card\n"),
            max_seq_length: Some(64),
            settings: Some(&settings),
            matryoshka: None,
        };
        let saved = resave(&tiny_bert(), &dir.path().join("model"), &options);
        assert_eq!(
            (saved.settings, saved.input.max_seq_length),
            (settings.clone(), 64)
        );
        assert_eq!(
            fs::read_to_string(dir.path().join("model/README.md")).unwrap(),
            "# card\n"
        );
    }
}

#[test]
fn lower_casing_survives_the_new_layout() {
    let folder = copy_of_tiny();
    edit(folder.path(), "sentence_bert_config.json", |c| {
        c["do_lower_case"] = value!(true)
    });
    let dir = tempfile::tempdir().unwrap();
    assert!(resave(folder.path(), dir.path(), &NEW).input.do_lower_case);
}

#[test]
fn a_model_may_be_saved_over_itself() {
    let folder = copy_of_tiny();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    resave(folder.path(), folder.path(), &NEW);
    resave(folder.path(), folder.path(), &SaveOptions::default());
    assert_same_weights(folder.path(), &tiny_bert());
    assert_eq!(
        fs::read_to_string(folder.path().join("notes.txt")).unwrap(),
        "mine"
    );
}

#[test]
fn a_source_without_weights_leaves_the_target_alone() {
    let (folder, target) = (copy_of_tiny(), copy_of_tiny());
    let source = ModelFolder::open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    fs::write(target.path().join("config.json"), "old").unwrap();
    assert!(save(target.path(), &source, &no_params(), &NEW).is_err());
    assert_eq!(
        fs::read_to_string(target.path().join("config.json")).unwrap(),
        "old"
    );
    assert!(!target.path().join(".saving.tmp").exists());
}

/// With the whole width, from the largest to the smallest; without dimensions config.json stays as it was read, with an empty list it
/// makes no promise.
#[test]
fn trained_widths_stand_in_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let written = |dims: Option<&[usize]>, source: &Path| {
        let target = dir.path().join(format!("{dims:?}"));
        let options = SaveOptions {
            matryoshka: dims,
            ..SaveOptions::default()
        };
        resave(source, &target, &options);
        (json(&target, "config.json"), target)
    };
    let (config, target) = written(Some(&[8, 16]), &tiny_bert());
    assert_eq!(config["is_matryoshka"], true);
    assert_eq!(config["matryoshka_dimensions"], value!([32, 16, 8]));
    let (again, _) = written(None, &target);
    assert_eq!(again, config);
    let (plain, _) = written(Some(&[]), &target);
    assert!(plain.get("is_matryoshka").is_none() && plain.get("matryoshka_dimensions").is_none());
}
