//! Whole runs of all-MiniLM-L6-v2 against recorded runs of sentence-transformers 5.7 and 3.0.1: the slow suite.
//!
//! `cargo test --release -p matryo-train --test train minilm_traces -- --ignored --test-threads 1`, with the environment variables
//! MATRYO_MINILM (the model's folder, both dropout rates in config.json set to 0), MATRYO_GOLDEN (the folder that holds
//! `train/<run>/trace.json`) and MATRYO_DATA (the folder that holds `tatqa` and `tatqa_unique`).

use std::path::{Path, PathBuf};

use crate::support::{Trace, compare, recipe, set, train};

fn folder(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set; see the top of this file"))
        .into()
}

/// An evaluation folder in BEIR's form, from the data's flat files.
fn eval_data(data: &Path, target: &Path) {
    std::fs::create_dir_all(target).unwrap();
    for (from, to) in [
        ("corpus.jsonl", "corpus.jsonl"),
        ("queries.jsonl", "queries.jsonl"),
        ("qrels.tsv", "qrels.tsv"),
    ] {
        std::fs::copy(data.join(format!("seed49_{from}")), target.join(to)).unwrap();
    }
}

fn check(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    let data = folder("MATRYO_DATA").join(if name.starts_with("seedU") {
        "tatqa_unique"
    } else {
        "tatqa"
    });
    let is_long = name.starts_with("long");
    eval_data(&data, &dir.path().join("eval"));
    let mut flags = recipe(&output);
    let train_data = data.join(if is_long {
        "long2000_train.jsonl"
    } else {
        "seed196_train.jsonl"
    });
    set(
        &mut flags,
        "model",
        &folder("MATRYO_MINILM").display().to_string(),
    );
    set(&mut flags, "train_data", &train_data.display().to_string());
    set(
        &mut flags,
        "eval_data",
        &dir.path().join("eval").display().to_string(),
    );
    set(&mut flags, "matryoshka_dims", "384,256,128,64,32");
    set(
        &mut flags,
        "metric_for_best_model",
        "eval_dim_128_cosine_ndcg@10",
    );
    set(&mut flags, "learning_rate", "2e-5");
    if is_long {
        set(&mut flags, "num_train_epochs", "1");
        set(&mut flags, "gradient_accumulation_steps", "1");
    }
    if name.ends_with("st30") {
        set(&mut flags, "compat", "3.0");
    }
    let trace = Trace::recorded(&folder("MATRYO_GOLDEN").join("train").join(name));
    let (outcome, recorder) = train(&flags);
    compare::course(&trace, &recorder);
    compare::result(&trace, &outcome);
}

#[test]
#[ignore = "slow; needs all-MiniLM-L6-v2 and recorded runs"]
fn recipe_with_repeated_passages_5_7() {
    check("seed_st57");
}

#[test]
#[ignore = "slow; needs all-MiniLM-L6-v2 and recorded runs"]
fn recipe_with_repeated_passages_3_0() {
    check("seed_st30");
}

#[test]
#[ignore = "slow; needs all-MiniLM-L6-v2 and recorded runs"]
fn recipe_5_7() {
    check("seedU_st57");
}

#[test]
#[ignore = "slow; needs all-MiniLM-L6-v2 and recorded runs"]
fn recipe_3_0() {
    check("seedU_st30");
}

#[test]
#[ignore = "slow; needs all-MiniLM-L6-v2 and recorded runs"]
fn long_run_5_7() {
    check("long_st57");
}
