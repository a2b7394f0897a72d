//! The real all-MiniLM-L6-v2 against embeddings of sentence-transformers: every pooling mode, prompt and truncation.
//!
//! Needs 90 MB of weights and golden values that are not in the repository:
//! `MATRYO_MINILM=FOLDER MATRYO_GOLDEN=FOLDER cargo test --release -p matryo-model --test model minilm -- --ignored --nocapture`

use std::{collections::BTreeMap, fs, path::PathBuf};

use matryo_model::{
    EncodeOptions, Role, SentenceEncoder, SimilarityFn, TokenBatch, pairwise_similarity, similarity,
};
use matryo_testkit::{Tensor, Tolerance, assert_close, read_json, read_safetensors};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tiny::{MODES, edit, matrix, put};

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} names a folder"))
        .into()
}

/// The model with some of its small files changed; the weights are linked, not copied.
fn variant(change: impl FnOnce(&std::path::Path)) -> TempDir {
    let (source, dir) = (variable("MATRYO_MINILM"), tempfile::tempdir().unwrap());
    for file in [
        "config.json",
        "modules.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        fs::copy(source.join(file), dir.path().join(file)).unwrap();
    }
    for file in [
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    ] {
        fs::copy(source.join(file), dir.path().join(file)).unwrap();
    }
    put(
        dir.path(),
        "1_Pooling/config.json",
        &read_json(source.join("1_Pooling/config.json")),
    );
    std::os::unix::fs::symlink(
        source.join("model.safetensors"),
        dir.path().join("model.safetensors"),
    )
    .unwrap();
    change(dir.path());
    dir
}

/// Pooling by these modes, then nothing.
fn raw(modes: Value, include_prompt: bool) -> TempDir {
    variant(|dir| {
        edit(dir, "modules.json", |modules| {
            modules.as_array_mut().unwrap().truncate(2)
        });
        let pooling = json!({"embedding_dimension": 384, "pooling_mode": modes, "include_prompt": include_prompt});
        put(dir, "1_Pooling/config.json", &pooling);
    })
}

/// Golden values, and how far off each was.
struct Check {
    golden: BTreeMap<String, Tensor>,
    texts: Vec<String>,
}

impl Check {
    fn open() -> Self {
        let folder = variable("MATRYO_GOLDEN").join("encode");
        let texts = serde_json::from_value(read_json(folder.join("sentences.json"))).unwrap();
        Self {
            golden: read_safetensors(folder.join("encode.safetensors")),
            texts,
        }
    }

    fn embeddings(
        &self,
        name: &str,
        dir: &TempDir,
        texts: std::ops::Range<usize>,
        options: EncodeOptions<'_>,
    ) {
        let model = SentenceEncoder::open(dir.path()).unwrap();
        let found = model
            .encode_with(&self.texts[texts], &options)
            .unwrap()
            .embeddings;
        self.compare(name, found.data(), Tolerance::Absolute(1e-5));
    }

    fn compare(&self, name: &str, found: &[f32], tolerance: Tolerance) {
        let expected = &self.golden[name].data;
        let worst = found
            .iter()
            .zip(expected)
            .map(|(f, e)| (f - e).abs())
            .fold(0.0, f32::max);
        println!("{name:32} {worst:.1e}");
        assert_close(found, expected, tolerance, name);
    }
}

fn plain() -> EncodeOptions<'static> {
    EncodeOptions::default()
}

fn prompt(text: &str) -> EncodeOptions<'static> {
    EncodeOptions {
        prompt: Some(text.into()),
        ..plain()
    }
}

#[test]
#[ignore = "needs MATRYO_MINILM and MATRYO_GOLDEN"]
fn lengths_and_truncation() {
    let (check, model) = (Check::open(), variant(|_| ()));
    let cut = |dim, normalize| EncodeOptions {
        truncate_dim: Some(dim),
        normalize,
        ..plain()
    };
    check.embeddings("default", &model, 0..64, plain());
    check.embeddings(
        "default_bs1",
        &model,
        0..64,
        EncodeOptions {
            tokens_per_batch: Some(1),
            ..plain()
        },
    );
    check.embeddings("truncate128_normalized", &model, 0..64, cut(128, true));
    check.embeddings(
        "max_seq_16",
        &model,
        0..64,
        EncodeOptions {
            max_seq_length: Some(16),
            ..plain()
        },
    );
    let short = variant(|dir| {
        edit(dir, "config_sentence_transformers.json", |c| {
            c["truncate_dim"] = json!(64)
        })
    });
    check.embeddings("model_truncate64", &short, 0..64, plain());
    let mean = raw(json!("mean"), true);
    check.embeddings(
        "raw_mean_normalize",
        &mean,
        0..64,
        EncodeOptions {
            normalize: true,
            ..plain()
        },
    );
    check.embeddings(
        "raw_mean_truncate100_normalize",
        &mean,
        0..64,
        cut(100, true),
    );
}

#[test]
#[ignore = "needs MATRYO_MINILM and MATRYO_GOLDEN"]
fn pooling_modes() {
    let check = Check::open();
    for (_, mode) in MODES {
        check.embeddings(
            &format!("pool_{mode}"),
            &raw(json!(mode), true),
            0..64,
            plain(),
        );
    }
    let three = raw(json!(["cls", "mean", "max"]), true);
    check.embeddings("pool_cls+mean+max_first8", &three, 0..8, plain());
}

#[test]
#[ignore = "needs MATRYO_MINILM and MATRYO_GOLDEN"]
fn prompts() {
    let check = Check::open();
    let prompts = json!({"query": "query: ", "document": "passage: "});
    let model = variant(|dir| {
        edit(dir, "config_sentence_transformers.json", |c| {
            c["prompts"] = prompts
        })
    });
    let long = "Represent this sentence for searching relevant passages: ";
    check.embeddings("prompt_str", &model, 4..12, prompt(long));
    let named = EncodeOptions {
        prompt_name: Some("query".into()),
        ..plain()
    };
    check.embeddings("prompt_name_query", &model, 4..12, named);
    check.embeddings(
        "encode_query",
        &model,
        4..12,
        EncodeOptions {
            role: Role::Query,
            ..plain()
        },
    );
    check.embeddings(
        "encode_document",
        &model,
        4..12,
        EncodeOptions {
            role: Role::Document,
            ..plain()
        },
    );
    check.embeddings(
        "raw_mean_prompt_included",
        &raw(json!("mean"), true),
        4..12,
        prompt("query: "),
    );
    check.embeddings(
        "raw_mean_prompt_excluded",
        &raw(json!("mean"), false),
        4..12,
        prompt("query: "),
    );
}

#[test]
#[ignore = "needs MATRYO_MINILM and MATRYO_GOLDEN"]
fn token_embeddings() {
    let (check, dir) = (Check::open(), variant(|_| ()));
    let model = SentenceEncoder::open(dir.path()).unwrap();
    for place in [4, 5] {
        let ids = model
            .tokenizer()
            .encode(&check.texts[place], 256)
            .unwrap()
            .ids;
        let mut batch = TokenBatch::new();
        batch.push(&ids, 0, 0);
        let features = model.network().features(&batch, false);
        check.compare(
            &format!("token_embeddings_{place}"),
            features.tokens().unwrap().data(),
            Tolerance::Absolute(1e-5),
        );
    }
}

#[test]
#[ignore = "needs MATRYO_GOLDEN"]
fn similarities() {
    let golden = read_safetensors(variable("MATRYO_GOLDEN").join("encode/util.safetensors"));
    let check = Check {
        golden,
        texts: Vec::new(),
    };
    let (a, b) = (
        matrix(&check.golden["sim_A"]),
        matrix(&check.golden["sim_B"]),
    );
    for function in SimilarityFn::ALL {
        let name = if function == SimilarityFn::Cosine {
            "cos"
        } else {
            function.name()
        };
        let all = similarity(function, a.view(), b.view());
        check.compare(
            &format!("sim_{name}"),
            all.data(),
            Tolerance::Relative(1e-5),
        );
        let pairs = pairwise_similarity(function, b.view().row_range(0, a.rows()), a.view());
        check.compare(&format!("pair_{name}"), &pairs, Tolerance::Relative(1e-5));
    }
}
