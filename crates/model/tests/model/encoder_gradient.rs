//! Gradients of every parameter equal PyTorch's, and finite differences where masks are our own.

use std::collections::BTreeMap;

use matryo_model::{Entry, Grads, SentenceEncoder, Trainable};
use matryo_ops::Mat;
use matryo_testkit::{
    Tensor, Tolerance, assert_close, assert_value, directional_derivative, pseudo_random, tiny_bert,
};

use crate::tiny::*;

const WORDS: &str = "embeddings.word_embeddings.weight";
/// The softmax does not see it: its true gradient is 0, so what is found is rounding.
const KEY_BIAS: &str = "attention.self.key.bias";

/// The gradients of `sum(embeddings * weights)`, with all texts in one batch.
fn golden_gradient(
    model: &SentenceEncoder<Trainable>,
    golden: &BTreeMap<String, Tensor>,
    prefix: &str,
) -> Grads {
    let weights = matrix(&golden[&format!("{prefix}.weights")]);
    gradient(model, &[&[0, 1, 2, 3, 4, 5, 6, 7, 8]], &weights, 0)
}

fn known_as(entry: &Entry) -> String {
    if entry.module == 0 {
        entry.name.clone()
    } else {
        format!("{}.{}", entry.module, entry.name)
    }
}

#[track_caller]
fn assert_gradient(entry: &Entry, found: &[f32], golden: &BTreeMap<String, Tensor>, prefix: &str) {
    let name = known_as(entry);
    let expected = &golden[&format!("{prefix}.{name}")];
    let tolerance = if name.contains(KEY_BIAS) {
        Tolerance::Absolute(1e-5)
    } else {
        Tolerance::Relative(1e-4)
    };
    if name != WORDS {
        return assert_close(found, &expected.data, tolerance, &name);
    }
    let (rows, width) = (&golden[&format!("{prefix}.word_rows")].data, entry.shape[1]);
    let mut whole = vec![0.0; found.len()];
    for (row, values) in rows.iter().zip(expected.data.chunks_exact(width)) {
        whole[*row as usize * width..][..width].copy_from_slice(values);
    }
    assert_close(found, &whole, tolerance, &name);
}

fn check_every_gradient(model: &SentenceEncoder<Trainable>, prefix: &str) {
    let golden = golden();
    let mut grads = golden_gradient(model, &golden, prefix);
    let layout = grads.layout.clone();
    for (i, entry) in layout.entries.iter().enumerate() {
        assert_gradient(entry, grads.get_mut(i).unwrap(), &golden, prefix);
    }
    let compared = golden
        .keys()
        .filter(|name| name.starts_with(&format!("{prefix}.")))
        .count()
        - 2;
    assert_eq!(
        compared,
        layout.entries.len(),
        "every gradient that PyTorch has is compared"
    );
}

#[test]
fn every_gradient_equals_pytorch() {
    check_every_gradient(&for_training(&tiny_bert()), "grad");
}

#[test]
fn every_gradient_through_dense_and_all_modes_equals_pytorch() {
    check_every_gradient(&for_training(with_dense().path()), "grad_dense");
}

#[test]
fn every_parameter_receives_a_gradient() {
    let model = for_training(with_dense().path());
    let mut grads = golden_gradient(&model, &golden(), "grad_dense");
    let layout = grads.layout.clone();
    let has = |i: usize, grads: &mut Grads| grads.get_mut(i).unwrap().iter().any(|v| *v != 0.0);
    let with_gradient = (0..layout.entries.len())
        .filter(|&i| has(i, &mut grads))
        .count();
    // 3 tables and a norm, 16 tensors a layer, a dense layer; a key bias gets rounding noise.
    assert_eq!(layout.entries.len(), 5 + 2 * 16 + 2);
    assert!(
        with_gradient >= layout.entries.len() - 2,
        "{with_gradient} of {}",
        layout.entries.len()
    );
}

/// The derivative along a random direction against the gradient, with dropout, whose masks depend on the seed alone.
#[test]
fn finite_differences_with_dropout() {
    let dir = with_dropout(0.2, 0.15);
    let weights = Mat::from_vec(9, 32, pseudo_random(9 * 32, 5));
    let mut model = for_training(dir.path());
    let grads = gradient(&model, &[&[0, 1, 2, 3, 4, 5, 6, 7, 8]], &weights, 17);
    let start = model.network().params().flat.clone();
    let direction: Vec<f32> = pseudo_random(start.len(), 6)
        .iter()
        .zip(&*start)
        .map(|(r, p)| r * p.abs())
        .collect();
    let model = std::cell::RefCell::new(&mut model);
    let loss = |at: &[f32]| {
        let mut model = model.borrow_mut();
        model.network_mut().params_mut().flat.copy_from_slice(at);
        let (embeddings, _) = { model.network().forward(whole_batch(&model), 17) };
        embeddings
            .data()
            .iter()
            .zip(weights.data())
            .map(|(e, w)| f64::from(*e) * f64::from(*w))
            .sum()
    };
    let found: f64 = grads
        .values()
        .iter()
        .zip(&direction)
        .map(|(g, d)| f64::from(*g) * f64::from(*d))
        .sum();
    let expected = directional_derivative(loss, &start, &direction, 5e-3);
    assert_value(
        found,
        expected,
        Tolerance::Relative(2e-3),
        "derivative along a random direction",
    );
}

#[test]
fn micro_batches_and_their_order_change_nothing_but_rounding() {
    let dir = with_dropout(0.1, 0.1);
    let model = for_training(dir.path());
    let weights = Mat::from_vec(9, 32, pseudo_random(9 * 32, 5));
    let whole = gradient(&model, &[&[0, 1, 2, 3, 4, 5, 6, 7, 8]], &weights, 4);
    let cuts: [&[&[usize]]; 3] = [
        &[&[8, 7, 6, 5, 4, 3, 2, 1, 0]],
        &[&[0, 1, 2], &[3, 4, 5], &[6, 7, 8]],
        &[&[6], &[8, 0], &[1, 3, 5, 7], &[2], &[4]],
    ];
    for cut in cuts {
        let found = gradient(&model, cut, &weights, 4);
        assert_close(
            found.values(),
            whole.values(),
            Tolerance::Relative(1e-5),
            "gradient of micro-batches",
        );
    }
}

#[test]
fn masks_depend_on_the_seed_and_the_text_id() {
    let dir = with_dropout(0.1, 0.0);
    let model = for_training(dir.path());
    let embed = |places: &[usize], seed| model.network().forward(batch(&model, places), seed).0;
    // Texts 2 and 7 are equal, their ids are not.
    let (once, again) = (embed(&[2, 7], 1), embed(&[2, 7], 1));
    assert_eq!(once, again);
    assert_ne!(once.row(0), once.row(1), "equal texts of different ids");
    assert_ne!(once.row(0), embed(&[2], 2).row(0), "another seed");
    assert_close(
        once.row(1),
        embed(&[7, 0], 1).row(0),
        Tolerance::Absolute(1e-6),
        "another batch",
    );
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let dir = with_dropout(0.1, 0.1);
    let model = for_training(dir.path());
    let weights = Mat::from_vec(9, 32, pseudo_random(9 * 32, 5));
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            gradient(&model, &[&[0, 1, 2, 3, 4], &[5, 6, 7, 8]], &weights, 4)
                .values()
                .to_vec()
        })
    };
    let one = on(1);
    assert_eq!(one, on(2));
    assert_eq!(one, on(3));
}
