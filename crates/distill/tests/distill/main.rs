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

fn encoder(name: &str) -> SentenceEncoder {
    let families = FamilyGolden::all();
    let family = families.iter().find(|family| family.name == name).unwrap();
    SentenceEncoder::open_in(family.model(), Precision::F32).unwrap()
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

/// Cosine of each row with each.
fn cosines(table: &Mat) -> Mat {
    let ops = matryo_ops::cpu_in(Some(Precision::F32));
    let mut unit = table.clone();
    ops.normalize(unit.view_mut(), &mut vec![0.0; table.rows()]);
    let mut cosines = Mat::zeros(table.rows(), table.rows());
    let (a, b) = (unit.view(), unit.view());
    ops.matmul(
        cosines.view_mut(),
        matryo_ops::Operand::Normal(a),
        matryo_ops::Operand::Transposed(b),
        1.0,
    );
    cosines
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
        // Components of nearly one variance may be turned within their plane, which cosines do not see.
        let (found, expected) = (cosines(&made.table), cosines(&expected));
        let pairs = found.data().iter().zip(expected.data());
        let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {largest:.1e}");
        assert!(largest < 1e-4, "{name}: {largest}");
    }
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
    let options = Options {
        words: vec!["ebitda".into()],
        ..Options::default()
    };
    let error = distill(&encoder("roberta"), &options, Progress::none()).unwrap_err();
    assert!(error.to_string().contains("BPE"), "{error}");
    let made = distill(&encoder("bert"), &Options::default(), Progress::none()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    made.save(&dir.path().join("static")).unwrap();
    let again = SentenceEncoder::open(dir.path().join("static")).unwrap();
    let error = distill(&again, &Options::default(), Progress::none()).unwrap_err();
    assert!(matches!(error, DistillError::NoTokens { .. }), "{error}");
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
