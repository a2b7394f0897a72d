//! Static models of tiny encoders equal those that model2vec makes, tokens, tables and token ids.

use std::path::{Path, PathBuf};

use matryo_base::Progress;
use matryo_distill::{DistillError, Options, StaticModel, distill};
use matryo_model::SentenceEncoder;
use matryo_ops::{Mat, Precision};
use matryo_testkit::{FamilyGolden, read_json, read_safetensors, tiny_bert};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn family(name: &str) -> FamilyGolden {
    let mut families = FamilyGolden::all().into_iter();
    families.find(|family| family.name == name).unwrap()
}

fn encoder(name: &str) -> SentenceEncoder {
    SentenceEncoder::open_in(family(name).model(), Precision::F32).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn made(name: &str, facts: &Value) -> StaticModel {
    let options = Options {
        dims: Some(16),
        words: strings(&facts["words"]),
        ..Options::default()
    };
    distill(&encoder(name), &options, Progress::none()).unwrap()
}

/// Product of each row with each: it sees lengths and angles, and not how components of nearly one variance are turned.
fn products(table: &Mat) -> Mat {
    let ops = matryo_ops::cpu_in(Some(Precision::F32));
    let mut products = Mat::zeros(table.rows(), table.rows());
    let (a, b) = (table.view(), table.view());
    ops.matmul(
        products.view_mut(),
        matryo_ops::Operand::Normal(a),
        matryo_ops::Operand::Transposed(b),
        1.0,
    );
    products
}

#[test]
fn tables_and_tokens_are_those_of_model2vec() {
    for name in ["bert", "xlm-roberta", "roberta"] {
        let facts = read_json(golden().join(format!("{name}.json")));
        let made = made(name, &facts);
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("static");
        made.save(&folder).unwrap();
        let model = SentenceEncoder::open(&folder).unwrap();
        let tokens: Vec<String> = (0..made.table.rows() as u32)
            .map(|id| model.tokenizer().token(id).unwrap())
            .collect();
        assert_eq!(tokens, strings(&facts["tokens"]), "{name}");
        for (text, ids) in strings(&facts["texts"])
            .iter()
            .zip(facts["ids"].as_array().unwrap())
        {
            let expected: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
            let found = model.tokenizer().encode(text, usize::MAX).unwrap().ids;
            assert_eq!(found, expected, "{name}: {text}");
        }
        let expected = &read_safetensors(golden().join(format!("{name}.safetensors")))["table"];
        let (rows, cols) = expected.rows_cols();
        let expected = Mat::from_vec(rows, cols, expected.data.clone());
        assert_eq!((made.table.rows(), made.table.cols()), (rows, cols));
        let (found, expected) = (products(&made.table), products(&expected));
        let scale = expected.data().iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        let pairs = found.data().iter().zip(expected.data());
        let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale;
        println!("{name}: {largest:.1e}");
        assert!(largest < 1e-4, "{name}: {largest}");
    }
}

/// Against the formula, which the tables above hold to model2vec's.
#[test]
fn common_tokens_count_less() {
    let encoder = encoder("bert");
    let made = |sif| {
        let options = Options {
            dims: None,
            sif,
            words: Vec::new(),
        };
        distill(&encoder, &options, Progress::none()).unwrap().table
    };
    let (plain, weighed) = (made(None), made(Some(1e-3)));
    let sum: f64 = (0..plain.rows())
        .map(|rank| 1.0 / (rank as f64 + 2.0))
        .sum();
    for rank in [0, 1, 100, plain.rows() - 1] {
        let share = 1.0 / (rank as f64 + 2.0) / sum;
        let factor = 1e-3 / (1e-3 + share);
        for (found, value) in weighed.row(rank).iter().zip(plain.row(rank)) {
            assert!((f64::from(*found) - factor * f64::from(*value)).abs() < 1e-6);
        }
    }
}

/// Special tokens that only special_tokens_map.json names, or nothing but their usual spelling, stay.
#[test]
fn padding_stays_wherever_it_is_named() {
    let family = family("bert");
    let first = |folder: &Path| {
        let encoder = SentenceEncoder::open_in(folder, Precision::F32).unwrap();
        let made = distill(&encoder, &Options::default(), Progress::none()).unwrap();
        made.tokenizer["added_tokens"].clone()
    };
    let expected = first(&family.model());
    assert_eq!(expected[0]["content"], "[PAD]");
    let folder = matryo_testkit::copy_of(&family.model());
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    assert_eq!(first(folder.path()), expected);
    let map = serde_json::json!({"pad_token": {"content": "[PAD]"}});
    matryo_testkit::put(folder.path(), "special_tokens_map.json", &map);
    assert_eq!(first(folder.path()), expected);
}

/// One token for unknown words and padding, and an added token that the table has no row for.
#[test]
fn tokens_of_two_roles_and_of_none() {
    let family = family("bert");
    let folder = matryo_testkit::copy_of(&family.model());
    matryo_testkit::edit(folder.path(), "tokenizer_config.json", |config| {
        config["pad_token"] = "[UNK]".into();
    });
    matryo_testkit::edit(folder.path(), "tokenizer.json", |json| {
        let mut token = json["added_tokens"][0].clone();
        token["content"] = "beyond".into();
        token["id"] = 700.into();
        token["special"] = false.into();
        json["added_tokens"].as_array_mut().unwrap().push(token);
    });
    let encoder = SentenceEncoder::open_in(folder.path(), Precision::F32).unwrap();
    let made = distill(&encoder, &Options::default(), Progress::none()).unwrap();
    let added = made.tokenizer["added_tokens"].as_array().unwrap().clone();
    let contents: Vec<&str> = added
        .iter()
        .map(|t| t["content"].as_str().unwrap())
        .collect();
    assert_eq!(
        contents
            .iter()
            .filter(|content| **content == "[UNK]")
            .count(),
        1
    );
    assert!(!contents.contains(&"beyond"), "{contents:?}");
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("static");
    made.save(&target).unwrap();
    let model = SentenceEncoder::open(&target).unwrap();
    let rows = made.table.rows() as u32;
    assert!(model.tokenizer().token(rows - 1).is_some() && model.tokenizer().token(rows).is_none());
}

/// A tokenizer may know more tokens than the table has rows.
#[test]
fn a_token_beyond_the_table_is_an_error() {
    let family = family("bert");
    let folder = matryo_testkit::copy_of(&family.model());
    matryo_testkit::edit(folder.path(), "tokenizer.json", |json| {
        json["model"]["vocab"]["beyond"] = 500.into();
    });
    let encoder = SentenceEncoder::open_in(folder.path(), Precision::F32).unwrap();
    let error = distill(&encoder, &Options::default(), Progress::none()).unwrap_err();
    assert!(error.to_string().contains("`beyond` has id 500"), "{error}");
}

#[test]
fn options() {
    let encoder = encoder("bert");
    let distilled = |options: &Options| distill(&encoder, options, Progress::none());
    let plain = Options {
        dims: None,
        sif: None,
        words: Vec::new(),
    };
    let whole = distilled(&plain).unwrap();
    assert_eq!(whole.table.cols(), 32);
    // The first token, [PAD], alone between [CLS] and [SEP].
    let tokens = encoder.tokenizer().encode("[PAD]", 16).unwrap().ids;
    let mut batch = matryo_model::TokenBatch::new();
    batch.push(&tokens, 0, 0);
    let features = encoder.network().features(&batch, false);
    let hidden = features.tokens().unwrap();
    for (i, found) in whole.table.row(0).iter().enumerate() {
        let mean = (0..3).map(|row| hidden.row(row)[i]).sum::<f32>() / 3.0;
        assert!((found - mean).abs() < 1e-6);
    }
    let many = Options {
        dims: Some(500),
        ..plain.clone()
    };
    let many = distilled(&many).unwrap();
    assert_eq!(many.table.cols(), 32);
    assert!(many.notes[0].contains("32 main components instead of 500"));
    for (options, message) in [
        (
            Options {
                dims: Some(0),
                ..plain.clone()
            },
            "cannot keep 0",
        ),
        (
            Options {
                sif: Some(1.0),
                ..plain.clone()
            },
            "SIF coefficient is 1",
        ),
        (
            Options {
                sif: Some(f64::NAN),
                ..plain
            },
            "SIF coefficient is NaN",
        ),
    ] {
        let error = distilled(&options).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn what_cannot_be_distilled() {
    let made = distill(&encoder("bert"), &Options::default(), Progress::none()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    made.save(&dir.path().join("static")).unwrap();
    let again = SentenceEncoder::open(dir.path().join("static")).unwrap();
    let error = distill(&again, &Options::default(), Progress::none()).unwrap_err();
    assert!(matches!(error, DistillError::NoTokens { .. }), "{error}");
}

/// BERT's splitting takes Chinese apart before it looks for tokens.
#[test]
fn words_that_are_never_found_are_told() {
    let options = Options {
        words: vec!["中文".into(), "ebitda".into()],
        ..Options::default()
    };
    let made = distill(&encoder("bert"), &options, Progress::none()).unwrap();
    let found = |note: &String| note.starts_with("1 of 2 words are never found");
    assert!(made.notes.iter().any(found), "{:?}", made.notes);
}

/// A table of more tokens than a batch has, in batches of all lengths.
#[test]
fn progress_ends_with_all_tokens() {
    let seen = std::sync::Mutex::new((0, 0));
    let advance = |done: usize, total: usize| *seen.lock().unwrap() = (done, total);
    let model = SentenceEncoder::open(tiny_bert()).unwrap();
    let made = distill(&model, &Options::default(), Progress::new(&advance)).unwrap();
    let rows = made.table.rows();
    assert_eq!(*seen.lock().unwrap(), (rows, rows));
}
