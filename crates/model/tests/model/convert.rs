//! Folders with weights as pickles alone, made readable.

use std::{
    fs,
    path::{Path, PathBuf},
};

use matryo_model::{ModelError, SentenceEncoder, convert};
use matryo_testkit::{
    FamilyGolden, copy_folder, copy_of, edit, json, put, read_safetensors, tiny_bert,
};
use serde_json::json;

fn pickled(name: &str) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    crates.join("pickle/tests/golden").join(name)
}

#[test]
fn a_folder_is_opened_after_it_was_converted() {
    let all = FamilyGolden::of_static_models();
    let golden = all.iter().find(|golden| golden.name == "root").unwrap();
    let folder = copy_of(&golden.model());
    let at = |name: &str| folder.path().join(name);
    fs::remove_file(at("model.safetensors")).unwrap();
    fs::copy(pickled("static.bin"), at("pytorch_model.bin")).unwrap();
    let error = SentenceEncoder::open(folder.path()).err().unwrap();
    assert!(error.hint().unwrap().contains("matryo convert"));
    let written = convert(folder.path(), None).unwrap();
    assert_eq!(
        (written.len(), &written[0].path, written[0].tensors),
        (1, &at("model.safetensors"), 1)
    );
    assert_eq!(
        read_safetensors(at("model.safetensors")),
        read_safetensors(golden.model().join("model.safetensors"))
    );
    SentenceEncoder::open(folder.path()).unwrap();
    let error = convert(folder.path(), None).unwrap_err();
    assert!(
        matches!(error, ModelError::NothingToConvert { .. }),
        "{error}"
    );
}

#[test]
fn modules_and_shards() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let map = json!({"plain": "pytorch_model-00001-of-00002.bin", "rows": "pytorch_model-00002-of-00002.bin"});
    put(
        folder.path(),
        "pytorch_model.bin.index.json",
        &json!({"metadata": {"total_size": 9}, "weight_map": map}),
    );
    fs::copy(
        pickled("tensors.bin"),
        at("pytorch_model-00001-of-00002.bin"),
    )
    .unwrap();
    fs::copy(
        pickled("tensors.stream.bin"),
        at("pytorch_model-00002-of-00002.bin"),
    )
    .unwrap();
    fs::create_dir(at("2_Dense")).unwrap();
    fs::copy(
        pickled("tensors.stream.bin"),
        at("2_Dense/pytorch_model.bin"),
    )
    .unwrap();
    let written = convert(folder.path(), None).unwrap();
    let paths: Vec<&PathBuf> = written.iter().map(|file| &file.path).collect();
    let expected = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "2_Dense/model.safetensors",
    ];
    assert_eq!(paths, expected.map(at).each_ref());
    let index = json(folder.path(), "model.safetensors.index.json");
    assert_eq!(
        index,
        json!({"metadata": {"total_size": 9}, "weight_map": {
            "plain": "model-00001-of-00002.safetensors", "rows": "model-00002-of-00002.safetensors",
        }})
    );
    let shards = matryo_model::Checkpoint::open(folder.path()).unwrap();
    assert_eq!(shards.shape("rows"), Some(&[2, 8][..]));
    // Types stay.
    let (dtype, _, _) = matryo_model::Checkpoint::open(&at("2_Dense"))
        .unwrap()
        .raw("bf16")
        .map(|(d, s, b)| (d, s.to_vec(), b.to_vec()))
        .unwrap();
    assert_eq!(dtype, safetensors::Dtype::BF16);
}

#[test]
fn files_that_are_refused_leave_nothing() {
    for (name, part) in [
        ("hostile.bin", "posix.system"),
        ("nested.bin", "no tensors at the top"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pytorch_model.bin");
        fs::copy(pickled(name), &path).unwrap();
        let error = convert(folder.path(), None).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("pytorch_model.bin"), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let folder = tempfile::tempdir().unwrap();
    for shard in ["../pytorch_model.bin", "..", ".", ""] {
        let escape = json!({"weight_map": {"a": shard}});
        put(folder.path(), "pytorch_model.bin.index.json", &escape);
        let error = convert(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("`weight_map`"), "{error}");
    }
    convert(Path::new("/nonexistent"), None).unwrap_err();
}

/// The modules of a Router's routes lie a folder deeper than others.
#[test]
fn modules_of_routes() {
    let all = FamilyGolden::of_static_models();
    let golden = all.iter().find(|golden| golden.name == "root").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let router = at("0_Router");
    let routes = ["query_0_StaticEmbedding", "document_0_StaticEmbedding"];
    for route in routes {
        copy_folder(&golden.model(), &router.join(route));
        fs::remove_file(router.join(route).join("model.safetensors")).unwrap();
        fs::copy(
            pickled("static.bin"),
            router.join(route).join("pytorch_model.bin"),
        )
        .unwrap();
    }
    let modules = "sentence_transformers.base.modules";
    let class = format!("{modules}.router.Router");
    let entry = json!({"idx": 0, "name": "0", "path": "0_Router", "type": class});
    put(folder.path(), "modules.json", &json!([entry]));
    let class =
        "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding";
    put(
        &router,
        "router_config.json",
        &json!({
            "types": {routes[0]: class, routes[1]: class},
            "structure": {"query": [routes[0]], "document": [routes[1]]},
        }),
    );
    let error = SentenceEncoder::open(folder.path()).err().unwrap();
    assert!(error.to_string().contains(routes[0]), "{error}");
    assert!(error.hint().unwrap().contains("matryo convert"));
    let written = convert(folder.path(), None).unwrap();
    let paths: Vec<&PathBuf> = written.iter().map(|file| &file.path).collect();
    let expected = [routes[1], routes[0]].map(|route| router.join(route).join("model.safetensors"));
    assert_eq!(paths, expected.each_ref());
    SentenceEncoder::open(folder.path()).unwrap();

    put(
        &router,
        "router_config.json",
        &json!({"types": {"../..": class}}),
    );
    let error = convert(folder.path(), None).unwrap_err().to_string();
    assert!(
        error.contains("`types`") && error.contains("router_config.json"),
        "{error}"
    );
}

/// Weights for other programs are named with the way out, with a config.json beside them and without.
#[test]
fn weights_for_other_programs() {
    for file in [
        "model.gguf",
        "model.onnx",
        "onnx/model_quantized.onnx",
        "openvino/openvino_model.bin",
        "tf_model.h5",
        "flax_model.msgpack",
    ] {
        let folder = copy_of(&tiny_bert());
        fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "weights").unwrap();
        for name in ["", "modules.json", "config.json"] {
            if !name.is_empty() {
                fs::remove_file(folder.path().join(name)).unwrap();
            }
            let opened = SentenceEncoder::open(folder.path()).err().unwrap();
            let converted = convert(folder.path(), None).unwrap_err();
            for error in [opened, converted] {
                let message = error.to_string();
                assert!(message.contains(&format!("`{file}`")), "{message}");
                let hint = error.hint().unwrap();
                assert!(hint.contains("in the form of transformers"), "{hint}");
            }
        }
    }
}

#[test]
fn python_code_of_a_model() {
    let folder = copy_of(&tiny_bert());
    let message = |folder: &Path| {
        let error = SentenceEncoder::open(folder).err().unwrap();
        (error.to_string(), error.hint().unwrap())
    };
    for kind in ["bert", "nomic_bert"] {
        edit(folder.path(), "config.json", |config| {
            config["model_type"] = json!(kind);
            config["auto_map"] = json!({"AutoModel": "modeling.NomicBertModel"});
        });
        let (error, hint) = message(folder.path());
        assert!(error.contains("modeling.NomicBertModel"), "{error}");
        assert!(hint.contains("without `trust_remote_code`"), "{hint}");
    }
    let folder = copy_of(&tiny_bert());
    edit(folder.path(), "modules.json", |modules| {
        modules[0]["type"] = json!("custom_st.Transformer");
    });
    let (error, hint) = message(folder.path());
    assert!(error.contains("custom_st.Transformer"), "{error}");
    assert!(hint.contains("Python code of the model's own"), "{hint}");
}

/// Nothing is written through a link into another folder.
#[cfg(unix)]
#[test]
fn a_folder_behind_a_link() {
    let folder = copy_of(&tiny_bert());
    let other = tempfile::tempdir().unwrap();
    fs::copy(
        pickled("static.bin"),
        other.path().join("pytorch_model.bin"),
    )
    .unwrap();
    std::os::unix::fs::symlink(other.path(), folder.path().join("2_Dense")).unwrap();
    // One that has nothing to convert is none of its business.
    let unrelated = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(unrelated.path(), folder.path().join("data")).unwrap();
    let error = convert(folder.path(), None).unwrap_err().to_string();
    assert!(
        error.contains("2_Dense leads out of the model's folder"),
        "{error}"
    );
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}
