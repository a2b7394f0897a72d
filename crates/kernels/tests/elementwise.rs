//! Row and elementwise kernels of every level against the reference, over lengths around those of vectors and blocks.

mod common;

use common::{Guarded, Strided, agree, at_every_level, in_time};
use matryo_kernels::{
    Activation, AdamW, Epilogue, Mat, MatRef, Weight, activation_bwd, adamw, add, layer_norm,
    layer_norm_bwd, linear, scalar, sum_squares,
};
use matryo_testkit::{Tolerance, assert_close, assert_value, pseudo_random};

const ACTIVATIONS: [Activation; 6] = [
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
];

fn lengths() -> impl Iterator<Item = usize> {
    in_time((0..=67).chain([96, 127, 130, 384, 771]), |len| 100 * len).into_iter()
}

/// -12 to 12 in steps of 1/500, and the far ends.
fn arguments() -> Vec<f32> {
    let near = (-6000..=6000).map(|i| i as f32 / 500.0);
    near.chain([
        -1e30, -200.0, -89.0, -88.0, 88.0, 89.0, 200.0, 1e30, 0.0, -0.0, 1e-20,
    ])
    .collect()
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn activations() {
    let x = arguments();
    let one = Mat::from_vec(1, 1, vec![1.0]);
    at_every_level(|level| {
        for f in ACTIVATIONS {
            let mut y = Mat::zeros(x.len(), 1);
            let epilogue = Epilogue {
                activation: Some(f),
                ..Epilogue::default()
            };
            linear(
                level,
                y.view_mut(),
                MatRef::new(x.len(), 1, &x),
                Weight::Plain(one.view()),
                epilogue,
            );
            for (&x, &y) in x.iter().zip(y.data()) {
                let expected = scalar::activate(f, x);
                let allowed = 2e-7 * f64::from(expected.abs()).max(1.0);
                assert_value(
                    f64::from(y),
                    f64::from(expected),
                    Tolerance::Absolute(allowed),
                    &format!("{f:?}({x})"),
                );
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn derivatives_of_activations() {
    let x: Vec<f32> = arguments()
        .into_iter()
        .filter(|x| x.abs() < 100.0)
        .collect();
    at_every_level(|level| {
        for f in ACTIVATIONS {
            for cols in [1, x.len()] {
                let mut d = Guarded::new(x.len() / cols, cols, &vec![1.0; x.len()]);
                activation_bwd(
                    level,
                    d.view_mut(),
                    MatRef::new(x.len() / cols, cols, &x),
                    f,
                );
                let expected: Vec<f32> = x.iter().map(|&x| scalar::derivative(f, x)).collect();
                assert_close(
                    d.check(),
                    &expected,
                    Tolerance::Absolute(5e-7),
                    &format!("{} {f:?}", level.name()),
                );
            }
        }
    });
}

#[test]
fn layer_norms() {
    at_every_level(|level| {
        for cols in lengths().filter(|&cols| cols > 0) {
            for rows in in_time([1, 3, 130], |rows| 100 * rows) {
                one_layer_norm(level, rows, cols);
            }
        }
    });
}

fn one_layer_norm(level: matryo_kernels::Level, rows: usize, cols: usize) {
    let (x, dy) = (Strided::new(rows, cols, 1), Strided::new(rows, cols, 2));
    let (gamma, beta, eps) = (pseudo_random(cols, 3), pseudo_random(cols, 4), 1e-3);
    let (mut y, mut stats) = (Guarded::unset(rows, cols), Guarded::unset(rows, 2));
    let (mut expected, mut expected_stats) = (Mat::zeros(rows, cols), Mat::zeros(rows, 2));
    layer_norm(
        level,
        y.view_mut(),
        Some(stats.view_mut()),
        x.view(),
        &gamma,
        &beta,
        eps,
    );
    let stats_out = Some(expected_stats.view_mut());
    scalar::layer_norm(expected.view_mut(), stats_out, x.view(), &gamma, &beta, eps);
    let what = format!("{} {rows} x {cols}", level.name());
    agree(y.check(), expected.data(), 3e-6, &what);
    agree(stats.check(), expected_stats.data(), 2e-6, &what);

    let stats = expected_stats.view();
    let start = [pseudo_random(cols, 5), pseudo_random(cols, 6)];
    let mut sums = start.clone().map(|values| Guarded::new(1, cols, &values));
    let mut expected_sums = start;
    let mut dx = Guarded::unset(rows, cols);
    let [dgamma, dbeta] = sums.each_mut().map(|sums| Some(sums.values()));
    layer_norm_bwd(
        level,
        dx.view_mut(),
        dgamma,
        dbeta,
        dy.view(),
        x.view(),
        stats,
        &gamma,
    );
    let [dgamma, dbeta] = expected_sums
        .each_mut()
        .map(|sums| Some(sums.as_mut_slice()));
    scalar::layer_norm_bwd(
        expected.view_mut(),
        dgamma,
        dbeta,
        dy.view(),
        x.view(),
        stats,
        &gamma,
    );
    agree(dx.check(), expected.data(), 5e-6, &what);
    for (sums, expected) in sums.iter_mut().zip(&expected_sums) {
        agree(sums.check(), expected, 5e-6, &what);
    }
}

#[test]
fn sums_of_matrices() {
    at_every_level(|level| {
        for cols in lengths() {
            let x = Strided::new(3, cols, 1);
            let y = pseudo_random(3 * cols, 2);
            let expected: Vec<f32> = y
                .iter()
                .zip(x.view().to_mat().data())
                .map(|(y, x)| y + x)
                .collect();
            let mut y = Guarded::new(3, cols, &y);
            add(level, y.view_mut(), x.view());
            assert_eq!(y.check(), expected);
        }
    });
}

#[test]
fn optimizer_steps() {
    let update = |step| AdamW {
        lr: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.1,
        step,
        grad_scale: 0.5,
    };
    at_every_level(|level| {
        for len in lengths().chain(in_time([20_000], |len| *len)) {
            let start = [pseudo_random(len, 1), vec![0.0; len], vec![0.0; len]];
            let mut got = start.clone().map(|values| Guarded::new(1, len, &values));
            let mut expected = start;
            for step in 1..=5 {
                let grads = pseudo_random(len, 10 + step);
                let [p, m, v] = got.each_mut().map(Guarded::values);
                adamw(level, p, &grads, m, v, update(step));
                let [p, m, v] = &mut expected;
                scalar::adamw(p, &grads, m, v, update(step));
            }
            for (got, expected) in got.iter_mut().zip(&expected) {
                agree(
                    got.check(),
                    expected,
                    2e-6,
                    &format!("{} {len}", level.name()),
                );
            }
        }
    });
}

#[test]
fn sums_of_squares() {
    for len in lengths().chain(in_time([100_001], |len| *len)) {
        let x = pseudo_random(len, 1);
        assert_value(
            sum_squares(&x),
            scalar::sum_squares(&x),
            Tolerance::Relative(1e-12),
            "sum of squares",
        );
    }
}
