//! Similarities equal those of sentence_transformers.util, also between vectors that are nearly the same.

use matryo_model::{SentenceEncoder, SimilarityFn, pairwise_similarity, similarity};
use matryo_ops::Mat;
use matryo_testkit::{Tolerance, assert_close, tiny_bert};

use crate::tiny::*;

#[test]
fn all_pairs_and_pairs() {
    let golden = golden();
    let (a, b) = (matrix(&golden["sim.a"]), matrix(&golden["sim.b"]));
    for function in SimilarityFn::ALL {
        let all = similarity(function, a.view(), b.view());
        assert_eq!((all.rows(), all.cols()), (a.rows(), b.rows()));
        let expected = &golden[&format!("sim.all.{function}")].data;
        assert_close(
            all.data(),
            expected,
            Tolerance::Relative(1e-5),
            &format!("all pairs, {function}"),
        );
        let pairs = pairwise_similarity(function, a.view(), b.view());
        let expected = &golden[&format!("sim.pair.{function}")].data;
        assert_close(
            &pairs,
            expected,
            Tolerance::Relative(1e-5),
            &format!("pairs, {function}"),
        );
    }
}

/// 1e-3 apart in one of 384 coordinates of length 20: a distance by products would be off by more than it is.
#[test]
fn distances_of_near_vectors_keep_their_digits() {
    let far = vec![1.0; 384];
    let mut near = far.clone();
    near[7] += 1.0 / 1024.0;
    let (a, b) = (Mat::from_vec(1, 384, far), Mat::from_vec(1, 384, near));
    for function in [SimilarityFn::Euclidean, SimilarityFn::Manhattan] {
        assert_eq!(
            similarity(function, a.view(), b.view()).data(),
            [-1.0 / 1024.0]
        );
        assert_eq!(
            pairwise_similarity(function, a.view(), b.view()),
            [-1.0 / 1024.0]
        );
    }
}

#[test]
fn a_zero_vector_is_like_nothing() {
    let (zero, one) = (Mat::zeros(1, 3), Mat::from_vec(1, 3, vec![1.0, 2.0, 2.0]));
    assert_eq!(
        similarity(SimilarityFn::Cosine, zero.view(), one.view()).data(),
        [0.0]
    );
    assert_eq!(
        pairwise_similarity(SimilarityFn::Cosine, zero.view(), one.view()),
        [0.0]
    );
}

#[test]
fn a_model_compares_by_its_own_function() {
    let a = Mat::from_vec(1, 2, vec![3.0, 4.0]);
    let by = |name: Option<&str>| {
        let dir = copy_of_tiny();
        edit(dir.path(), "config_sentence_transformers.json", |config| {
            config["similarity_fn_name"] = name.into()
        });
        SentenceEncoder::open(dir.path())
            .unwrap()
            .similarity(&a, &a)
            .data()[0]
    };
    assert!((by(Some("cosine")) - 1.0).abs() < 1e-6);
    assert!((by(None) - 1.0).abs() < 1e-6);
    assert_eq!(by(Some("dot")), 25.0);
    assert_eq!(by(Some("euclidean")), 0.0);
    assert_eq!(
        SentenceEncoder::open(tiny_bert()).unwrap().similarity_fn(),
        SimilarityFn::Cosine
    );
}
