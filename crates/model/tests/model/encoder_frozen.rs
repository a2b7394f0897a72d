//! Frozen parameters get no gradient, and the others the same as without freezing.

use matryo_model::{Grads, ModelError, NnError, SentenceEncoder};
use matryo_ops::Mat;
use matryo_testkit::{pseudo_random, tiny_bert};

use crate::tiny::*;

const PLACES: [usize; 5] = [0, 2, 3, 5, 6];

fn grads(patterns: &[&str]) -> Grads {
    let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
    let model =
        SentenceEncoder::open_for_training(with_dense().path(), matryo_ops::cpu(), &patterns)
            .unwrap();
    gradient(
        &model,
        &[&PLACES],
        &Mat::from_vec(9, 24, pseudo_random(9 * 24, 5)),
        0,
    )
}

/// Gradients by name, `None` where frozen.
fn named(patterns: &[&str]) -> Vec<(String, Option<Vec<f32>>)> {
    let mut grads = grads(patterns);
    let layout = grads.layout.clone();
    let one = |(i, entry): (usize, &matryo_model::Entry)| {
        (entry.name.clone(), grads.get_mut(i).map(|g| g.to_vec()))
    };
    layout.entries.iter().enumerate().map(one).collect()
}

/// Freezes and compares: `frozen` says which names have no gradient.
fn check(patterns: &[&str], frozen: impl Fn(&str) -> bool) {
    let (all, some) = (named(&[]), named(patterns));
    for ((name, full), (_, found)) in all.iter().zip(&some) {
        match found {
            None => assert!(frozen(name), "{patterns:?} freezes {name}"),
            Some(found) => {
                assert!(!frozen(name), "{patterns:?} leaves {name}");
                assert_eq!(
                    Some(found),
                    full.as_ref(),
                    "{patterns:?}: gradient of {name}"
                );
            }
        }
    }
}

#[test]
fn embeddings() {
    check(&["embeddings.*"], |name| name.starts_with("embeddings."));
}

#[test]
fn everything_below_the_last_layer() {
    let below =
        |name: &str| name.starts_with("embeddings.") || name.starts_with("encoder.layer.0.");
    check(&["embeddings.*", "encoder.layer.0.*"], below);
}

#[test]
fn everything_but_the_dense_layer() {
    check(&["embeddings.*", "encoder.*"], |name| {
        !name.starts_with("linear.")
    });
    check(&["2.linear.*"], |name| name.starts_with("linear."));
}

#[test]
fn one_of_query_key_and_value() {
    check(&["*.key.*"], |name| name.contains(".key."));
    check(&["*.query.weight", "*.value.bias"], |name| {
        name.ends_with("query.weight") || name.ends_with("value.bias")
    });
}

#[test]
fn a_single_table() {
    check(&["*word_embeddings*"], |name| {
        name.contains("word_embeddings")
    });
    check(&["*position_embeddings*", "*LayerNorm.bias"], |name| {
        name.contains("position_embeddings") || name.ends_with("LayerNorm.bias")
    });
}

#[test]
fn gradients_lie_one_after_the_other() {
    let grads = grads(&["encoder.layer.0.*"]);
    let mut end = 0;
    for range in grads
        .layout
        .entries
        .iter()
        .filter_map(|entry| entry.grad.clone())
    {
        assert_eq!(range.start, end);
        end = range.end;
    }
    assert_eq!(end, grads.values().len());
}

#[test]
fn decay_is_for_matrices() {
    for entry in &grads(&[]).layout.entries {
        assert_eq!(entry.decay, entry.shape.len() == 2, "{}", entry.name);
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_an_error() {
    let open = |pattern: &str| {
        SentenceEncoder::open_for_training(tiny_bert(), matryo_ops::cpu(), &[pattern.to_owned()])
            .err()
            .unwrap()
    };
    let error = open("encoder.layers.*");
    assert_eq!(
        error.to_string(),
        "no parameter matches the pattern `encoder.layers.*`"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("embeddings.word_embeddings.weight")
    );
    assert!(matches!(
        open("*"),
        ModelError::Nn(NnError::AllFrozen { parameters: 37 })
    ));
}
