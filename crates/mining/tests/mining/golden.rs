//! Pairs, communities and clusters against sentence-transformers and scikit-learn.

use crate::common::{CLUSTERED, embeddings, first_equal, golden, numbers, renumbered, unit};
use matryo_base::Progress;
use matryo_mining::{
    CommunityOptions, Cut, KMeansOptions, Linkage, Mat, Pair, ParaphraseOptions, agglomerative,
    community_detection, cosines, kmeans, paraphrase_mining,
};
use matryo_testkit::{Tolerance, assert_value};
use serde_json::Value;

const SCORE: Tolerance = Tolerance::Absolute(1e-6);

fn assert_pairs(found: &[Pair], expected: &Value, what: &str) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}: number of pairs");
    for (found, expected) in found.iter().zip(expected) {
        let rows = (
            expected[1].as_u64().unwrap() as usize,
            expected[2].as_u64().unwrap() as usize,
        );
        assert_eq!(
            (found.first, found.second),
            rows,
            "{what}: {found:?}, expected {expected}"
        );
        assert_value(
            found.score.into(),
            expected[0].as_f64().unwrap(),
            SCORE,
            what,
        );
    }
}

#[test]
fn pairs_equal_upstream() {
    let embeddings = embeddings();
    for case in golden("paraphrase_mining") {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let options = ParaphraseOptions {
            query_chunk_size: number("query_chunk_size"),
            corpus_chunk_size: number("corpus_chunk_size"),
            max_pairs: number("max_pairs"),
            top_k: number("top_k"),
            progress: Progress::none(),
        };
        let found = paraphrase_mining(embeddings.view(), &options, cosines).unwrap();
        assert_pairs(
            &found,
            &case["pairs"],
            &format!("{} pairs", options.max_pairs),
        );
    }
}

#[test]
fn communities_equal_upstream() {
    let embeddings = embeddings();
    for case in golden("community_detection") {
        let options = CommunityOptions {
            threshold: case["threshold"].as_f64().unwrap() as f32,
            min_community_size: case["min_community_size"].as_u64().unwrap() as usize,
            progress: Progress::none(),
        };
        let found = community_detection(embeddings.view(), &options).unwrap();
        let expected: Vec<_> = case["communities"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        let of = |found: &[Vec<usize>]| {
            found
                .iter()
                .map(|f| first_equal(embeddings.view(), f))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&found), of(&expected), "threshold {}", options.threshold);
    }
}

/// The rows that scikit-learn clustered.
fn clustered() -> Mat {
    unit(embeddings().view().row_range(0, CLUSTERED))
}

#[test]
fn agglomerative_labels_equal_scikit_learn() {
    let rows = clustered();
    for case in golden("agglomerative") {
        let linkage = Linkage::ALL
            .into_iter()
            .find(|linkage| case["linkage"] == linkage.name())
            .unwrap();
        let cut = match case["n_clusters"].as_u64() {
            Some(clusters) => Cut::Clusters(clusters as usize),
            None => Cut::DistanceThreshold(case["distance_threshold"].as_f64().unwrap() as f32),
        };
        let found = agglomerative(rows.view(), linkage, cut).unwrap();
        assert_eq!(
            found,
            renumbered(&numbers(&case["labels"])),
            "{linkage:?} {cut:?}"
        );
    }
}

/// Runs a case from its initial centres, and compares.
fn assert_kmeans(case: &Value, spherical: bool) {
    let rows = clustered();
    let first = numbers(&case["first"]);
    let init: Vec<f32> = first
        .iter()
        .flat_map(|&row| rows.row(row).to_vec())
        .collect();
    let init = Mat::from_vec(first.len(), rows.cols(), init);
    let options = KMeansOptions {
        n_clusters: first.len(),
        spherical,
        tol: case["tol"].as_f64().unwrap_or(0.0),
        init: Some(init.view()),
        ..KMeansOptions::default()
    };
    let found = kmeans(rows.view(), &options).unwrap();
    assert_eq!(
        found.labels,
        numbers(&case["labels"]),
        "{} clusters",
        first.len()
    );
    assert_eq!(
        found.n_iter as u64,
        case["n_iter"].as_u64().unwrap(),
        "{} clusters",
        first.len()
    );
    assert_value(
        found.inertia,
        case["inertia"].as_f64().unwrap(),
        Tolerance::Relative(1e-5),
        "inertia",
    );
}

#[test]
fn kmeans_from_the_same_centres_equals_scikit_learn() {
    golden("kmeans")
        .iter()
        .for_each(|case| assert_kmeans(case, false));
}

#[test]
fn spherical_kmeans_from_the_same_centres_equals_a_plain_loop() {
    golden("spherical_kmeans")
        .iter()
        .for_each(|case| assert_kmeans(case, true));
}
