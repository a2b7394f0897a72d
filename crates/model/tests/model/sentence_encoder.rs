//! Encoding: order, truncation, lengths, batches.

use std::sync::atomic::{AtomicUsize, Ordering};

use matryo_base::Progress;
use matryo_model::{Embed, EncodeOptions, ModelError, Role, SentenceEncoder};
use matryo_ops::{Mat, Precision};
use matryo_testkit::{Tolerance, assert_close, tiny_bert};
use serde_json::json;

use crate::{prompts::prompted, tiny::*};

const CLOSE: Tolerance = Tolerance::Absolute(1e-5);

fn open() -> SentenceEncoder {
    SentenceEncoder::open(tiny_bert()).unwrap()
}

fn encode(model: &SentenceEncoder, options: EncodeOptions<'_>) -> Mat {
    model.encode_with(&texts(), &options).unwrap().embeddings
}

fn refused(options: EncodeOptions<'_>) -> ModelError {
    open().encode_with(&texts(), &options).unwrap_err()
}

#[test]
fn plain_and_truncated() {
    let (golden, model) = (golden(), open());
    assert_close(
        model.encode(&texts()).unwrap().data(),
        &golden["default"].data,
        CLOSE,
        "default",
    );
    let cut = |normalize| EncodeOptions {
        truncate_dim: Some(10),
        normalize,
        ..EncodeOptions::default()
    };
    assert_close(
        encode(&model, cut(false)).data(),
        &golden["truncated"].data,
        CLOSE,
        "truncated",
    );
    assert_close(
        encode(&model, cut(true)).data(),
        &golden["truncated_normalized"].data,
        CLOSE,
        "then normalized",
    );
}

#[test]
fn a_folder_may_truncate_and_an_option_beats_it() {
    let dir = copy_of_tiny();
    edit(dir.path(), "config_sentence_transformers.json", |config| {
        config["truncate_dim"] = json!(10)
    });
    let model = SentenceEncoder::open(dir.path()).unwrap();
    assert_eq!(model.dim(), 10);
    assert_close(
        model.encode(&texts()).unwrap().data(),
        &golden()["truncated"].data,
        CLOSE,
        "the folder's",
    );
    let wider = encode(
        &model,
        EncodeOptions {
            truncate_dim: Some(32),
            ..EncodeOptions::default()
        },
    );
    assert_close(
        wider.data(),
        &golden()["default"].data,
        CLOSE,
        "the option's",
    );
}

#[test]
fn shorter_inputs() {
    let (golden, mut model) = (golden(), open());
    let options = EncodeOptions {
        max_seq_length: Some(8),
        ..EncodeOptions::default()
    };
    let encoded = model.encode_with(&texts(), &options).unwrap();
    assert_close(
        encoded.embeddings.data(),
        &golden["max_seq_8"].data,
        CLOSE,
        "by option",
    );
    let lengths: Vec<usize> = texts()
        .iter()
        .map(|t| model.tokenizer().encode(t, 128).unwrap().full_len)
        .collect();
    assert_eq!(
        encoded.truncated,
        lengths.iter().filter(|&&n| n > 8).count()
    );
    assert_eq!(
        encoded.tokens,
        lengths.iter().map(|&n| n.min(8) as u64).sum::<u64>()
    );
    model.pipeline_mut().set_max_seq_length(8).unwrap();
    assert_close(
        model.encode(&texts()).unwrap().data(),
        &golden["max_seq_8"].data,
        CLOSE,
        "by setting",
    );
    assert!(matches!(
        model.pipeline_mut().set_max_seq_length(129),
        Err(ModelError::SequenceLength {
            found: 129,
            positions: 128
        })
    ));
    assert_eq!(model.max_seq_length(), 8);
}

#[test]
fn opened_for_training_gives_the_same() {
    let trained = for_training(&tiny_bert()).encode(&texts()).unwrap();
    let used = for_inference(&tiny_bert()).encode(&texts()).unwrap();
    assert_close(
        trained.data(),
        used.data(),
        Tolerance::Absolute(1e-6),
        "training against inference",
    );
}

#[test]
fn dropout_is_for_training_only() {
    let dropped =
        SentenceEncoder::open_for_training(with_dropout(0.3, 0.3).path(), matryo_ops::cpu(), &[])
            .unwrap();
    assert_close(
        dropped.encode(&texts()).unwrap().data(),
        &golden()["default"].data,
        CLOSE,
        "no dropout in encode",
    );
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for precision in Precision::ALL {
        let model = SentenceEncoder::open_in(tiny_bert(), precision).unwrap();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let options = EncodeOptions {
                tokens_per_batch: Some(30),
                ..EncodeOptions::default()
            };
            pool.install(|| encode(&model, options))
        };
        let expected = on(1);
        for threads in [2, 3] {
            assert_eq!(
                on(threads),
                expected,
                "{}, {threads} threads",
                precision.name()
            );
        }
    }
}

#[test]
fn no_texts_give_no_rows() {
    let none = open().encode::<&str>(&[]).unwrap();
    assert_eq!((none.rows(), none.cols()), (0, 32));
}

#[test]
fn progress_reaches_the_end() {
    let last = AtomicUsize::new(0);
    let progress = |done: usize, total: usize| {
        assert_eq!(total, 9);
        last.fetch_max(done, Ordering::Relaxed);
    };
    let options = EncodeOptions {
        tokens_per_batch: Some(16),
        progress: Progress::new(&progress),
        ..EncodeOptions::default()
    };
    encode(&open(), options);
    assert_eq!(last.into_inner(), 9);
}

#[test]
fn what_the_model_does_not_have_is_refused() {
    let error = refused(EncodeOptions {
        prompt_name: Some("query".into()),
        ..EncodeOptions::default()
    });
    assert_eq!(error.to_string(), "unknown prompt name `query`");
    assert_eq!(error.hint().unwrap(), "the model has no prompts");
    let error = refused(EncodeOptions {
        truncate_dim: Some(33),
        ..EncodeOptions::default()
    });
    assert_eq!(
        error.to_string(),
        "cannot keep 33 dimensions, expected 1 to 32"
    );
    let error = refused(EncodeOptions {
        max_seq_length: Some(200),
        ..EncodeOptions::default()
    });
    assert_eq!(
        error.to_string(),
        "the longest input is set to 200 tokens, expected 1 to 128"
    );
    let dir = prompted(&[("a", ""), ("b", "")], None);
    let options = EncodeOptions {
        prompt_name: Some("c".into()),
        ..EncodeOptions::default()
    };
    let error = SentenceEncoder::open(dir.path())
        .unwrap()
        .encode_with(&texts(), &options)
        .unwrap_err();
    assert_eq!(error.hint().unwrap(), "the model has a, b");
}

/// More texts than the first windows hold: where they are cut, and what is tokenized meanwhile, changes no bit.
#[test]
fn windows_change_no_bit() {
    let model = open();
    let short: Vec<String> = texts()
        .iter()
        .map(|text| text.chars().take(12).collect())
        .collect();
    let many: Vec<&str> = (0..4000)
        .map(|i| short[i * i % short.len()].as_str())
        .collect();
    let expected = model.encode(&short).unwrap();
    let encoded = model.encode_with(&many, &EncodeOptions::default()).unwrap();
    for i in 0..many.len() {
        assert_eq!(
            encoded.embeddings.row(i),
            expected.row(i * i % short.len()),
            "text {i}"
        );
    }
    let tokens = |text: &&str| model.tokenizer().encode(text, 128).unwrap().ids.len() as u64;
    assert_eq!(encoded.tokens, many.iter().map(tokens).sum::<u64>());
}

/// A text that cannot be expressed is told of wherever it stands, with the texts before it encoded or not.
#[test]
fn a_later_window_can_fail() {
    let dir = copy_of_tiny();
    edit(dir.path(), "tokenizer.json", |json| {
        json["model"]["unk_token"] = json!("[NONE]")
    });
    let model = SentenceEncoder::open(dir.path()).unwrap();
    let mut many = vec!["the"; 3000];
    many[2999] = "\u{1f980}";
    let error = model.encode(&many).unwrap_err();
    assert!(
        matches!(error, ModelError::Tokenize { ref text, .. } if text == "\u{1f980}"),
        "{error}"
    );
}

#[test]
fn kept_tokens_change_no_bit_and_spare_the_tokenizer() {
    let dir = prompted(&[("query", "query: ")], None);
    let (fresh, mut keeping) = (
        SentenceEncoder::open(dir.path()).unwrap(),
        SentenceEncoder::open(dir.path()).unwrap(),
    );
    keeping.pipeline_mut().keep_tokens(1 << 20);
    for max_seq_length in [None, None, Some(8)] {
        for role in [Role::Query, Role::Document] {
            let options = || EncodeOptions {
                role,
                max_seq_length,
                ..EncodeOptions::default()
            };
            let (expected, found) = (
                fresh.encode_with(&texts(), &options()),
                keeping.encode_with(&texts(), &options()),
            );
            assert_eq!(
                found.unwrap(),
                expected.unwrap(),
                "{role:?}, {max_seq_length:?}"
            );
        }
    }
    let calls = [&fresh, &keeping]
        .map(|model| model.pipeline().texts_tokenized())
        .map(|texts| texts / self::texts().len());
    assert_eq!(calls, [6, 4], "the second round was remembered");
}
