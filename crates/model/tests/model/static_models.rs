//! Static models in every form that is read: tables of sentence-transformers and of model2vec, with and without modules.json.

use std::{collections::BTreeMap, fs, path::Path};

use matryo_model::{FolderLayout, SaveOptions, SentenceEncoder, TokenBatch, save};
use matryo_ops::Mat;
use matryo_testkit::{
    FamilyGolden, Tolerance, assert_close, copy_of, edit, json, read_safetensors,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::json;

use crate::saved::in_both_layouts;

fn golden(name: &str) -> FamilyGolden {
    let mut all = FamilyGolden::of_static_models().into_iter();
    all.find(|golden| golden.name == name).unwrap()
}

fn texts(golden: &FamilyGolden) -> Vec<String> {
    let facts = golden.facts();
    let texts = facts["texts"].as_array().unwrap().iter();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

fn error(folder: &Path) -> String {
    let opened = SentenceEncoder::open(folder);
    opened.err().expect("refused").to_string()
}

/// Writes a folder's weights anew, changed.
fn rewrite(
    folder: &Path,
    change: impl FnOnce(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>),
) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file
        .iter()
        .map(|(name, view)| {
            let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), tensor)
        })
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn embeddings() {
    for golden in FamilyGolden::of_static_models() {
        let model = SentenceEncoder::open(golden.model()).unwrap();
        let found = model.encode(&texts(&golden)).unwrap();
        let expected = &read_safetensors(golden.folder.join("golden.safetensors"))["embeddings"];
        assert_eq!(expected.rows_cols(), (found.rows(), found.cols()));
        // The tables of bytes have values of up to 127.
        let scale = expected.data.iter().fold(1.0_f32, |a, x| a.max(x.abs()));
        let tolerance = Tolerance::Absolute(5e-7 * f64::from(scale));
        assert_close(found.data(), &expected.data, tolerance, &golden.name);
        assert_eq!(*found.row(0), vec![0.0; found.cols()], "an empty text");
    }
}

#[test]
fn a_text_has_the_same_bits_alone_and_among_others() {
    for golden in FamilyGolden::of_static_models() {
        let model = SentenceEncoder::open(golden.model()).unwrap();
        let texts = texts(&golden);
        let together = model.encode(&texts).unwrap();
        for (i, text) in texts.iter().enumerate() {
            let alone = model.encode(&[text]).unwrap();
            assert_eq!(alone.row(0), together.row(i), "{}: {text}", golden.name);
        }
    }
}

/// A copy has a row for each token, and loads wherever the source did.
#[test]
fn what_was_read_is_saved() {
    for golden in FamilyGolden::of_static_models() {
        let ops = matryo_ops::cpu_in(None);
        let model = SentenceEncoder::open_for_training(golden.model(), ops, &[]).unwrap();
        let expected = model.encode(&texts(&golden)).unwrap();
        in_both_layouts(&model, |layout, target, again| {
            let names: Vec<String> = read_safetensors(target.join("model.safetensors"))
                .into_keys()
                .collect();
            let source = read_safetensors(model.folder().text_dir().join("model.safetensors"));
            let table = ["embedding.weight", "embeddings"]
                .into_iter()
                .find(|name| source.contains_key(*name));
            assert_eq!(names, [table.unwrap()]);
            let modules = json(target, "modules.json");
            let class = match layout {
                FolderLayout::Old => "sentence_transformers.models.StaticEmbedding",
                FolderLayout::New => {
                    "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"
                }
            };
            assert_eq!(modules[0]["type"], class);
            if golden.facts()["library"] == "model2vec" {
                // In a folder with modules.json unknown tokens count; a text is cut at as many tokens.
                assert_eq!(again.max_seq_length(), model.max_seq_length());
                let known = ["revenue", "What was the total"];
                assert_eq!(again.encode(&known).unwrap(), model.encode(&known).unwrap());
            } else {
                assert_eq!(again.encode(&texts(&golden)).unwrap(), expected);
            }
        });
    }
}

/// Half precision is exact in single precision, so it changes nothing but the values' own rounding.
#[test]
fn tables_of_half_precision() {
    let golden = golden("subfolder");
    let folder = copy_of(&golden.model());
    let table = folder.path().join("0_StaticEmbedding");
    // The upper half of a float is a bf16.
    let cut = |value: f32| f32::from_bits(value.to_bits() & 0xffff_0000);
    let mut values = Vec::new();
    rewrite(&table, |tensors| {
        let tensor = tensors.get_mut("embedding.weight").unwrap();
        values = tensor
            .2
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| cut(f32::from_le_bytes(*b)))
            .collect();
        let halves = values
            .iter()
            .flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes());
        *tensor = (Dtype::BF16, tensor.1.clone(), halves.collect());
    });
    let model = SentenceEncoder::open(folder.path()).unwrap();
    let mut batch = TokenBatch::new();
    batch.push(&[7, 9], 0, 0);
    let expected: Vec<f32> = (0..32)
        .map(|i| (values[7 * 32 + i] + values[9 * 32 + i]) * 0.5)
        .collect();
    assert_eq!(
        model.network().embed(&batch),
        Mat::from_vec(1, 32, expected)
    );
}

#[test]
fn lengths() {
    let length = |name: &str| {
        SentenceEncoder::open(golden(name).model())
            .unwrap()
            .max_seq_length()
    };
    assert_eq!(length("root"), 24);
    assert_eq!(length("subfolder"), usize::MAX);
    assert_eq!(length("model2vec"), 12);
    let folder = copy_of(&golden("model2vec").model());
    for (value, expected) in [(json!(null), usize::MAX), (json!(7), 7)] {
        edit(folder.path(), "config.json", |config| {
            config["max_length"] = value
        });
        assert_eq!(
            SentenceEncoder::open(folder.path())
                .unwrap()
                .max_seq_length(),
            expected
        );
    }
    edit(folder.path(), "config.json", |config| {
        config.as_object_mut().unwrap().remove("max_length");
    });
    assert_eq!(
        SentenceEncoder::open(folder.path())
            .unwrap()
            .max_seq_length(),
        512
    );
    edit(folder.path(), "config.json", |config| {
        config["max_length"] = json!(0)
    });
    assert!(error(folder.path()).contains("`max_length` is 0"));
}

/// What a folder of model2vec does not say: embeddings keep their lengths, and texts are cut at 512 tokens.
#[test]
fn settings_that_are_missing() {
    let source = golden("model2vec-unigram");
    let expected = SentenceEncoder::open(source.model()).unwrap();
    let folder = copy_of(&source.model());
    let texts = ["revenue", "What was the total"];
    let agree = || {
        let found = SentenceEncoder::open(folder.path()).unwrap();
        assert_eq!(found.folder().summaries(), expected.folder().summaries());
        assert_eq!(
            found.encode(&texts).unwrap(),
            expected.encode(&texts).unwrap()
        );
        found
    };
    edit(folder.path(), "config.json", |config| {
        config.as_object_mut().unwrap().remove("normalize");
    });
    agree();
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert_eq!(agree().max_seq_length(), 512);
}

#[test]
fn tables_that_do_not_fit() {
    let source = golden("folded").model();
    let folder = copy_of(&source);
    rewrite(folder.path(), |tensors| {
        let mapping = &mut tensors.get_mut("mapping").unwrap().2;
        mapping[8 * 5..8 * 6].copy_from_slice(&900_i64.to_le_bytes());
    });
    let message = error(folder.path());
    assert!(
        message.contains("token 5 to row 900, but the table has 166"),
        "{message}"
    );
    let folder = copy_of(&source);
    rewrite(folder.path(), |tensors| {
        let (_, shape, data) = tensors.get_mut("weights").unwrap();
        shape[0] -= 1;
        data.truncate(data.len() - 8);
    });
    assert!(error(folder.path()).contains("`weights`"));
    let folder = copy_of(&source);
    rewrite(folder.path(), |tensors| {
        tensors.remove("embeddings");
    });
    assert!(error(folder.path()).contains("`embedding.weight`"));
}

/// Both libraries cut a copy where it was asked for: sentence-transformers reads tokenizer.json, model2vec config.json.
#[test]
fn a_length_is_saved_for_both_libraries() {
    let golden = golden("folded");
    let ops = matryo_ops::cpu_in(None);
    let model = SentenceEncoder::open_for_training(golden.model(), ops, &[]).unwrap();
    for length in [1, 7, 600] {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("saved");
        let options = SaveOptions {
            max_seq_length: Some(length),
            ..SaveOptions::default()
        };
        save(&target, model.folder(), model.network().params(), &options).unwrap();
        assert_eq!(json(&target, "config.json")["max_length"], length);
        assert_eq!(
            json(&target, "tokenizer.json")["truncation"]["max_length"],
            length
        );
        assert!(!target.join("tokenizer_config.json").exists());
        let again = SentenceEncoder::open(&target).unwrap();
        assert_eq!(again.max_seq_length(), length);
    }
}

/// Neither library reads tokenizer_config.json of a static model.
#[test]
fn tokenizer_json_alone_counts() {
    let golden = golden("root");
    let folder = copy_of(&golden.model());
    let config = json!({"do_lower_case": false, "truncation_side": "left", "model_max_length": 3});
    matryo_testkit::put(folder.path(), "tokenizer_config.json", &config);
    let model = SentenceEncoder::open(folder.path()).unwrap();
    let source = SentenceEncoder::open(golden.model()).unwrap();
    let texts = texts(&golden);
    assert_eq!(
        model.encode(&texts).unwrap(),
        source.encode(&texts).unwrap()
    );
}

/// What model2vec cuts off by characters is told as well.
#[test]
fn a_text_cut_by_characters_is_cut() {
    let model = SentenceEncoder::open(golden("model2vec").model()).unwrap();
    // Twelve tokens of a median length of few characters, in a text of one token and many spaces.
    let text = format!("revenue{}profit", " ".repeat(500));
    let tokens = model
        .tokenizer()
        .encode(&text, model.max_seq_length())
        .unwrap();
    assert!(tokens.truncated && tokens.ids.len() < 12, "{tokens:?}");
}

/// A training measures the model that it saves: with unknown tokens, which a folder without modules.json leaves out.
#[test]
fn a_model_is_trained_as_it_is_saved() {
    for name in ["model2vec", "model2vec-unigram"] {
        let golden = golden(name);
        let ops = matryo_ops::cpu_in(None);
        let model = SentenceEncoder::open_for_training(golden.model(), ops, &[]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("saved");
        let params = model.network().params();
        save(&target, model.folder(), params, &SaveOptions::default()).unwrap();
        let again = SentenceEncoder::open(&target).unwrap();
        let texts = texts(&golden);
        assert_eq!(again.encode(&texts).unwrap(), model.encode(&texts).unwrap());
    }
}

/// model2vec cuts on the right, whatever tokenizer.json says.
#[test]
fn model2vec_cuts_on_the_right() {
    let golden = golden("model2vec");
    let folder = copy_of(&golden.model());
    edit(folder.path(), "tokenizer.json", |json| {
        json["truncation"]["direction"] = json!("Left");
    });
    let texts = texts(&golden);
    let [changed, source] = [folder.path(), &golden.model()]
        .map(|path| SentenceEncoder::open(path).unwrap().encode(&texts).unwrap());
    assert_eq!(changed, source);
}

#[test]
fn lengths_and_tables_of_nothing() {
    let folder = copy_of(&golden("root").model());
    edit(folder.path(), "tokenizer.json", |json| {
        json["truncation"]["max_length"] = json!(0);
    });
    assert!(error(folder.path()).contains("`truncation.max_length` is 0"));
    let folder = copy_of(&golden("root").model());
    rewrite(folder.path(), |tensors| {
        tensors.insert(
            "embedding.weight".into(),
            (Dtype::F32, vec![500, 0], Vec::new()),
        );
    });
    assert!(error(folder.path()).contains("[500, 0]"));
    let folder = copy_of(&golden("folded").model());
    rewrite(folder.path(), |tensors| {
        let mapping = &mut tensors.get_mut("mapping").unwrap().0;
        *mapping = Dtype::U64;
    });
    assert!(error(folder.path()).contains("expected I64 or I32"));
}
