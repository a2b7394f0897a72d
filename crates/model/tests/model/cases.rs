//! Folders as people have them, against sentence-transformers and transformers (`python/goldens_cases.py`): lengths under
//! older names, activations by name, tables that differ, padding ids that disagree, texts that tokenizers take in a way of their own.

use std::{fs, path::Path};

use matryo_model::{ModelFolder, Precision, SaveOptions, SentenceEncoder, Tokenizer, save};
use matryo_testkit::{
    FamilyGolden, Tolerance, assert_close, copy_of, copy_of_tiny, edit, put, read_json,
    read_safetensors, write_safetensors,
};
use safetensors::Dtype;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tiny::{for_inference, for_training};

const CLOSE: Tolerance = Tolerance::Absolute(1e-5);
const WEIGHTS: &str = "model.safetensors";

/// One part of the golden values.
pub fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cases.json");
    read_json(path)[name].clone()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    let flat = |value: &Value| match value {
        Value::Array(row) => row.iter().map(|x| x.as_f64().unwrap() as f32).collect(),
        other => vec![other.as_f64().unwrap() as f32],
    };
    value.as_array().unwrap().iter().flat_map(flat).collect()
}

fn family(name: &str) -> FamilyGolden {
    let mut all = FamilyGolden::all().into_iter();
    all.find(|family| family.name == name).unwrap()
}

#[test]
fn lengths_in_files_of_older_names() {
    for (name, expected) in golden("lengths").as_object().unwrap() {
        let dir = copy_of_tiny();
        fs::remove_file(dir.path().join("sentence_bert_config.json")).unwrap();
        put(dir.path(), name, &json!({"max_seq_length": 77}));
        let folder = ModelFolder::open(dir.path()).unwrap();
        assert_eq!(folder.input.max_seq_length, *expected, "{name}");
    }
}

/// Each name is one of our functions with the values of that name, or refused by it.
#[test]
fn activations_by_name() {
    let text = strings(&golden("texts")).remove(0);
    let mut taken = 0;
    for (name, expected) in golden("activations").as_object().unwrap() {
        let dir = copy_of_tiny();
        edit(dir.path(), "config.json", |config| {
            config["hidden_act"] = json!(name)
        });
        match SentenceEncoder::open(dir.path()) {
            Ok(_) => {
                let found = for_inference(dir.path()).encode(&[&text]).unwrap();
                assert_close(found.data(), &numbers(expected), CLOSE, name);
                taken += 1;
            }
            Err(error) => {
                let message = error.to_string();
                assert!(
                    message.starts_with(&format!("`hidden_act` is \"{name}\", expected one of")),
                    "{message}"
                );
            }
        }
    }
    assert_eq!(taken, 12);
}

/// The T5 of the families with these tables: the encoder's own is the shared one with its signs turned.
fn t5_with(tables: &[&str]) -> TempDir {
    let dir = copy_of(&family("t5").model());
    let path = dir.path().join(WEIGHTS);
    let mut tensors = read_safetensors(&path);
    let shared = tensors.remove(SHARED).unwrap();
    for &name in tables {
        let mut table = shared.clone();
        if name == OWN {
            table.data.iter_mut().for_each(|value| *value = -*value);
        }
        tensors.insert(name.to_owned(), table);
    }
    write_safetensors(&path, &tensors, Dtype::F32);
    dir
}

const SHARED: &str = "shared.weight";
const OWN: &str = "encoder.embed_tokens.weight";

/// A copy that is saved has the tensors of the folder under the same names.
#[track_caller]
fn saved_as_read(dir: &Path, what: &str) {
    let model = for_training(dir);
    let target = dir.join("saved");
    let (folder, params) = (model.folder(), model.network().params());
    save(&target, folder, params, &SaveOptions::default()).unwrap();
    let [found, expected] = [&target, dir].map(|folder| read_safetensors(folder.join(WEIGHTS)));
    assert_eq!(found, expected, "{what}");
}

/// transformers ties two tables of a T5 only if they are equal; else the encoder reads its own.
#[test]
fn the_encoder_s_own_table_counts() {
    let (golden, texts) = (golden("two_tables"), strings(&golden("texts")));
    for (name, tables) in [
        ("both", &[SHARED, OWN][..]),
        ("own", &[OWN]),
        ("shared", &[SHARED]),
    ] {
        let dir = t5_with(tables);
        let found = for_inference(dir.path()).encode(&texts).unwrap();
        assert_close(found.data(), &numbers(&golden[name]), CLOSE, name);
        saved_as_read(dir.path(), name);
        // Either name freezes it.
        for frozen in [SHARED, OWN] {
            let frozen = [frozen.to_owned()];
            SentenceEncoder::open_for_training(dir.path(), matryo_ops::cpu(), &frozen).unwrap();
        }
    }
}

/// Every family reads its word table where a checkpoint has it under the name of an output layer alone.
#[test]
fn a_word_table_that_is_only_there_as_an_output_layer() {
    const NAMES: [(&str, &str, &str); 12] = [
        ("albert", "albert.", "predictions.decoder.weight"),
        ("bert", "bert.", "cls.predictions.decoder.weight"),
        ("bert-unigram", "bert.", "cls.predictions.decoder.weight"),
        ("camembert", "roberta.", "lm_head.decoder.weight"),
        ("deberta-v3", "deberta.", "cls.predictions.decoder.weight"),
        ("distilbert", "distilbert.", "vocab_projector.weight"),
        ("electra", "electra.", "generator_lm_head.weight"),
        ("ernie", "ernie.", "cls.predictions.decoder.weight"),
        ("modernbert", "model.", "decoder.weight"),
        ("mpnet", "mpnet.", "lm_head.decoder.weight"),
        ("roberta", "roberta.", "lm_head.decoder.weight"),
        ("xlm-roberta", "roberta.", "lm_head.decoder.weight"),
    ];
    let texts = strings(&golden("texts"));
    for (name, prefix, tied) in NAMES {
        let family = family(name);
        let words = family.facts()["word_table"].as_str().unwrap().to_owned();
        let expected = for_inference(&family.model()).encode(&texts).unwrap();
        let dir = copy_of(&family.model());
        let path = dir.path().join(WEIGHTS);
        let tensors = read_safetensors(&path).into_iter();
        let renamed = |tensor: String| {
            if tensor == words {
                tied.to_owned()
            } else {
                format!("{prefix}{tensor}")
            }
        };
        write_safetensors(
            &path,
            &tensors
                .map(|(tensor, values)| (renamed(tensor), values))
                .collect(),
            Dtype::F32,
        );
        let found = for_inference(dir.path()).encode(&texts).unwrap();
        assert_eq!(found, expected, "{name}");
        saved_as_read(dir.path(), name);
    }
}

/// The tokenizer's padding id says nothing of positions: config.json's does, but for MPNet, whose class counts from a constant.
#[test]
fn padding_ids_that_disagree() {
    let texts = strings(&golden("padded_texts"));
    for (name, by_id) in golden("padding_ids").as_object().unwrap() {
        for (id, expected) in by_id.as_object().unwrap() {
            let dir = copy_of(&family(name).model());
            edit(dir.path(), "config.json", |config| {
                config["pad_token_id"] = json!(id.parse::<u32>().unwrap());
            });
            let found = for_inference(dir.path()).encode(&texts).unwrap();
            assert_close(
                found.data(),
                &numbers(expected),
                CLOSE,
                &format!("{name}, padding {id}"),
            );
        }
    }
}

/// Special tokens typed in texts among them. Where a token comes from is told of the same tokens.
#[test]
fn ids_of_odd_texts() {
    let golden = golden("token_ids");
    let mut compared = 0;
    for family in FamilyGolden::all() {
        let Some(cases) = golden[&family.name].as_array() else {
            continue;
        };
        let model = SentenceEncoder::open(family.model()).unwrap();
        let tokenizer = model.tokenizer();
        let special = tokenizer.encode("", 128).unwrap().ids.len();
        for case in cases {
            let text = case[0].as_str().unwrap();
            let found = tokenizer.encode(text, 128).unwrap();
            assert_eq!(found.ids, ids(&case[1]), "{}: {text:?}", family.name);
            let spans = tokenizer.spans(text).unwrap();
            assert_eq!(
                spans.len() + special,
                found.ids.len(),
                "{}: {text:?}",
                family.name
            );
            assert!(
                spans
                    .iter()
                    .all(|(start, end)| start <= end && *end <= text.len())
            );
        }
        compared += 1;
    }
    assert_eq!(compared, golden.as_object().unwrap().len());
}

#[test]
fn accents_follow_the_case_unless_they_are_set() {
    for case in golden("accents").as_array().unwrap() {
        let dir = copy_of_tiny();
        edit(dir.path(), "tokenizer.json", |json| {
            for key in ["lowercase", "strip_accents"] {
                json["normalizer"][key] = case[key].clone();
            }
        });
        // Else its own keys would win.
        put(
            dir.path(),
            "tokenizer_config.json",
            &json!({"model_max_length": 128}),
        );
        let tokenizer = Tokenizer::open(&ModelFolder::open(dir.path()).unwrap()).unwrap();
        let found = tokenizer
            .encode(case["text"].as_str().unwrap(), 128)
            .unwrap();
        assert_eq!(found.ids, ids(&case["ids"]), "{case}");
    }
}

/// The file is read as it stands. transformers 5 makes the tokenizer of a class from its vocabulary, and loses what the class does not have.
#[test]
fn a_named_class_changes_no_token() {
    for family in FamilyGolden::all() {
        let dir = copy_of(&family.model());
        let encode = |folder: &Path| {
            let model = SentenceEncoder::open(folder).unwrap();
            let texts = strings(&family.facts()["texts"]);
            let all = model.tokenizer().encode_batch(&texts, 128).unwrap();
            all.into_iter().map(|tokens| tokens.ids).collect::<Vec<_>>()
        };
        let expected = encode(&family.model());
        for class in [
            Value::Null,
            json!("BertTokenizer"),
            json!("XLMRobertaTokenizerFast"),
            json!("T5Tokenizer"),
        ] {
            edit(dir.path(), "tokenizer_config.json", |config| {
                config["tokenizer_class"] = class.clone();
            });
            assert_eq!(encode(dir.path()), expected, "{}: {class}", family.name);
        }
    }
}

/// Hidden values of published T5 models are beyond what f16 holds. Every precision has f32 between its products.
#[test]
fn values_as_large_as_those_of_t5() {
    let golden = golden("large_values");
    let (scale, texts) = (
        golden["scale"].as_f64().unwrap(),
        strings(&self::golden("texts")),
    );
    assert!(golden["largest"].as_f64().unwrap() > 1e5);
    let dir = copy_of(&family("t5").model());
    let path = dir.path().join(WEIGHTS);
    let mut tensors = read_safetensors(&path);
    for (name, tensor) in &mut tensors {
        if name.ends_with("DenseReluDense.wo.weight") {
            tensor
                .data
                .iter_mut()
                .for_each(|value| *value *= scale as f32);
        }
    }
    write_safetensors(&path, &tensors, Dtype::F32);
    let expected = numbers(&golden["embeddings"]);
    for precision in Precision::ALL {
        let model = SentenceEncoder::open_in(dir.path(), precision).unwrap();
        let found = model.encode(&texts).unwrap();
        // Vectors of length 1: the tolerances are those of small values.
        let tolerance = match precision {
            Precision::F32 | Precision::F32x3 => 1e-5,
            Precision::Int16 => 2e-3,
            Precision::Bf16 | Precision::Int8 => 3e-2,
        };
        let what = precision.name();
        assert_close(
            found.data(),
            &expected,
            Tolerance::Absolute(tolerance),
            what,
        );
    }
}
