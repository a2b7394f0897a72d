//! Files that are not what they should be, and files of which one part disagrees with another: of all families where it concerns them.

use std::{fs, path::Path};

use matryo_model::{
    FolderLayout, ModelError, ModelFolder, SaveOptions, SentenceEncoder, Tokenizer, convert, save,
};
use matryo_testkit::{
    FamilyGolden, copy_of, copy_of_tiny, edit, json, put, read_safetensors, write_safetensors,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::json;

use crate::tiny::{for_inference, for_training, texts, with_dense};

const WEIGHTS: &str = "model.safetensors";
const POINTER: &str =
    "version https://git-lfs.github.com/spec/v1\noid sha256:0011\nsize 90868376\n";
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n";

fn error(folder: &Path) -> ModelError {
    SentenceEncoder::open(folder).err().expect("an error")
}

/// Message and hint in one.
fn whole(error: &ModelError) -> String {
    format!("{error}\n{}", error.hint().unwrap_or_default())
}

/// Whatever file of a model the download left in its place.
#[test]
fn pointers_and_pages_in_the_place_of_files() {
    for (content, found, way_out) in [
        (POINTER, "a pointer of git LFS", "git lfs pull"),
        (PAGE, "a web page", "download"),
    ] {
        for file in [
            WEIGHTS,
            "config.json",
            "modules.json",
            "tokenizer.json",
            "1_Pooling/config.json",
            "vocab.txt",
        ] {
            let dir = copy_of_tiny();
            if file == "vocab.txt" {
                fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
            }
            fs::write(dir.path().join(file), content).unwrap();
            let message = whole(&error(dir.path()));
            for part in [found, file, way_out] {
                assert!(message.contains(part), "{file}: {message}");
            }
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pytorch_model.bin"), content).unwrap();
        let message = whole(&convert(dir.path(), None).unwrap_err());
        for part in [found, "pytorch_model.bin", way_out] {
            assert!(message.contains(part), "{message}");
        }
    }
}

/// One error with both lengths and both files, whichever table it is.
#[test]
fn lengths_that_config_and_weights_state_differently() {
    let mut compared = 0;
    for family in FamilyGolden::all() {
        let config = json(&family.model(), "config.json");
        for key in [
            "vocab_size",
            "max_position_embeddings",
            "type_vocab_size",
            "embedding_size",
            "relative_attention_num_buckets",
        ] {
            // Rotations have no table of positions, DistilBERT has no token types.
            let Some(value) = config[key].as_u64().filter(|_| has_table(&family, key)) else {
                continue;
            };
            let dir = copy_of(&family.model());
            let stated = 4 * value;
            edit(dir.path(), "config.json", |config| {
                config[key] = json!(stated)
            });
            let message = whole(&error(dir.path()));
            for part in [
                &*value.to_string(),
                &*stated.to_string(),
                key,
                "config.json",
                WEIGHTS,
            ] {
                assert!(message.contains(part), "{}: {message}", family.name);
            }
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}

/// Whether the weights have the table that a key of config.json speaks of.
fn has_table(family: &FamilyGolden, key: &str) -> bool {
    let part = match key {
        "max_position_embeddings" => "position_embeddings",
        "type_vocab_size" => "token_type_embeddings",
        "relative_attention_num_buckets" => "relative_attention_bias",
        _ => return true,
    };
    let names = read_safetensors(family.model().join(WEIGHTS)).into_keys();
    names.into_iter().any(|name| name.contains(part))
}

/// As in deberta-v3 and T5: the table was rounded up for some processor. The rows are kept when it is saved.
#[test]
fn more_rows_than_tokens() {
    for family in FamilyGolden::all() {
        let dir = copy_of(&family.model());
        let words = family.facts()["word_table"].as_str().unwrap().to_owned();
        let path = dir.path().join(WEIGHTS);
        let mut tensors = read_safetensors(&path);
        let table = tensors.get_mut(&words).unwrap();
        table.shape[0] += 12;
        table.data.resize(table.shape[0] * table.shape[1], 0.5);
        let rows = table.shape[0];
        write_safetensors(&path, &tensors, Dtype::F32);
        edit(dir.path(), "config.json", |config| {
            config["vocab_size"] = json!(rows)
        });
        let [found, expected] = [dir.path(), &family.model()]
            .map(|folder| for_inference(folder).encode(&texts()).unwrap());
        assert_eq!(found, expected, "{}", family.name);
        let model = for_training(dir.path());
        let target = dir.path().join("saved");
        let options = SaveOptions::default();
        save(&target, model.folder(), model.network().params(), &options).unwrap();
        assert_eq!(read_safetensors(target.join(WEIGHTS)), tensors);
        assert_eq!(json(&target, "config.json")["vocab_size"], rows);
    }
}

/// Readers of before 2024 refuse a file whose header does not say what wrote it; ours need not be told.
#[test]
fn every_header_says_its_format() {
    let source = with_dense();
    let model = for_training(source.path());
    let dir = tempfile::tempdir().unwrap();
    for layout in [FolderLayout::Old, FolderLayout::New] {
        let options = SaveOptions {
            layout,
            ..SaveOptions::default()
        };
        save(
            dir.path(),
            model.folder(),
            model.network().params(),
            &options,
        )
        .unwrap();
        for file in [WEIGHTS, "2_Dense/model.safetensors"] {
            let bytes = fs::read(dir.path().join(file)).unwrap();
            let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
            let metadata = header.metadata().clone().unwrap_or_default();
            assert_eq!(
                metadata.get("format").map(String::as_str),
                Some("pt"),
                "{file}"
            );
            let bare = read_safetensors(dir.path().join(file));
            write_safetensors(dir.path().join(file), &bare, Dtype::F32);
        }
        for_inference(dir.path());
    }
}

/// What is written is f32, and config.json says so, whatever the source's files hold.
#[test]
fn sixteen_bits_are_saved_as_f32() {
    let dir = copy_of_tiny();
    let path = dir.path().join(WEIGHTS);
    let tensors = read_safetensors(&path);
    let halves: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let bytes = tensor
                .data
                .iter()
                .flat_map(|v| v.to_le_bytes()[2..].to_vec());
            (name, tensor.shape, bytes.collect())
        })
        .collect();
    let views = halves.iter().map(|(name, shape, bytes)| {
        (
            name,
            TensorView::new(Dtype::BF16, shape.clone(), bytes).unwrap(),
        )
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    edit(dir.path(), "config.json", |config| {
        config["torch_dtype"] = json!("bfloat16")
    });
    let model = for_training(dir.path());
    for (layout, key) in [
        (FolderLayout::Old, "torch_dtype"),
        (FolderLayout::New, "dtype"),
    ] {
        let options = SaveOptions {
            layout,
            ..SaveOptions::default()
        };
        let target = dir.path().join(key);
        save(&target, model.folder(), model.network().params(), &options).unwrap();
        let config = json(&target, "config.json");
        assert_eq!(config[key], "float32");
        let bytes = fs::read(target.join(WEIGHTS)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert!(file.iter().all(|(_, view)| view.dtype() == Dtype::F32));
        let [found, expected] =
            [&target, dir.path()].map(|folder| for_inference(folder).encode(&texts()).unwrap());
        assert_eq!(found, expected);
    }
}

/// A folder of sentence-transformers from 5.4 on has its length in tokenizer_config.json alone; in the old layout both files get it.
#[test]
fn the_length_of_either_layout() {
    let dir = copy_of_tiny();
    put(
        dir.path(),
        "sentence_bert_config.json",
        &json!({"transformer_task": "feature-extraction"}),
    );
    edit(dir.path(), "tokenizer_config.json", |config| {
        config["model_max_length"] = json!(99)
    });
    let model = for_training(dir.path());
    assert_eq!(model.max_seq_length(), 99);
    let target = dir.path().join("saved");
    let options = SaveOptions::default();
    save(&target, model.folder(), model.network().params(), &options).unwrap();
    assert_eq!(
        json(&target, "sentence_bert_config.json")["max_seq_length"],
        99
    );
    assert_eq!(
        json(&target, "tokenizer_config.json")["model_max_length"],
        99
    );
}

/// tokenizer.json wins over every vocabulary beside it.
#[test]
fn tokenizer_json_comes_before_a_vocabulary() {
    let dir = copy_of_tiny();
    let ids = |folder: &Path| {
        let tokenizer = Tokenizer::open(&ModelFolder::open(folder).unwrap()).unwrap();
        tokenizer.encode("What was the total revenue?", 64).unwrap()
    };
    let expected = ids(dir.path());
    fs::write(dir.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n").unwrap();
    fs::write(dir.path().join("sentencepiece.bpe.model"), "pieces").unwrap();
    assert_eq!(ids(dir.path()), expected);
}
