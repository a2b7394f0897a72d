//! Pairs and communities among all-MiniLM-L6-v2's vectors of 402 questions, against recorded results of sentence-transformers 5.7.
//!
//! Needs a file too large for the repository: `MATRYO_GOLDEN=folder cargo test --release -p matryo-mining --test mining minilm -- --ignored`,
//! where the folder holds encode/util.json and encode/util.safetensors.

use std::{env, path::PathBuf};

use crate::common::{first_equal, mat, numbers};
use matryo_base::Progress;
use matryo_mining::{
    CommunityOptions, Mat, Pair, ParaphraseOptions, community_detection, cosines, paraphrase_mining,
};
use matryo_testkit::{read_json, read_safetensors};
use serde_json::Value;

fn recorded() -> (Value, Mat) {
    let folder = PathBuf::from(env::var_os("MATRYO_GOLDEN").expect("MATRYO_GOLDEN names a folder"))
        .join("encode");
    let corpus = mat(&read_safetensors(folder.join("util.safetensors"))["corpus"]);
    (read_json(folder.join("util.json")), corpus)
}

fn assert_pairs(found: &[Pair], expected: &Value) {
    let expected = expected.as_array().unwrap();
    let rows: Vec<_> = found
        .iter()
        .map(|pair| (pair.first as u64, pair.second as u64))
        .collect();
    let upstream: Vec<_> = expected
        .iter()
        .map(|p| (p[1].as_u64().unwrap(), p[2].as_u64().unwrap()))
        .collect();
    assert_eq!(rows, upstream);
    let off = found
        .iter()
        .zip(expected)
        .map(|(pair, e)| (f64::from(pair.score) - e[0].as_f64().unwrap()).abs());
    assert!(off.fold(0.0, f64::max) < 1e-6);
}

#[test]
#[ignore = "needs recordings that are not in the repository"]
fn pairs() {
    let (golden, corpus) = recorded();
    let options = ParaphraseOptions {
        top_k: 10,
        max_pairs: 300,
        query_chunk_size: 64,
        corpus_chunk_size: 128,
        ..ParaphraseOptions::default()
    };
    let found = paraphrase_mining(corpus.view(), &options, cosines).unwrap();
    assert_pairs(&found, &golden["paraphrase_mining_embeddings"]);
    let options = ParaphraseOptions {
        max_pairs: 200,
        top_k: 20,
        ..ParaphraseOptions::default()
    };
    let found = paraphrase_mining(corpus.view(), &options, cosines).unwrap();
    assert_pairs(&found, &golden["paraphrase_mining_top200"]);
}

#[test]
#[ignore = "needs recordings that are not in the repository"]
fn communities() {
    let (golden, corpus) = recorded();
    for (threshold, min_community_size) in [(0.75, 3), (0.6, 5), (0.85, 2)] {
        let options = CommunityOptions {
            threshold,
            min_community_size,
            progress: Progress::none(),
        };
        let found = community_detection(corpus.view(), &options).unwrap();
        let expected = &golden[format!("community_{threshold}_{min_community_size}")];
        let expected: Vec<_> = expected.as_array().unwrap().iter().map(numbers).collect();
        let of = |found: &[Vec<usize>]| {
            found
                .iter()
                .map(|f| first_equal(corpus.view(), f))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&found), of(&expected), "threshold {threshold}");
    }
}
