//! Row and elementwise kernels of every level against the reference, over lengths around those of vectors and blocks.

mod common;

use common::{Guarded, Strided, agree, at_every_level, in_time};
use matryo_kernels::{
    Activation, AdamW, Epilogue, LayerNorm, LayerNormBackward, Level, Lookup, LookupGradient, Mat,
    MatRef, Rotary, Spans, Touched, Weight, activation_bwd, adamw, add, bag, bag_bwd, embed,
    embed_bwd, gate, gate_bwd, layer_norm, layer_norm_bwd, linear, rotary, scalar, sum_squares,
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
                for (optional, centred) in [(true, true), (false, true), (false, false)] {
                    one_layer_norm(level, rows, cols, optional, centred);
                    one_layer_norm_bwd(level, rows, cols, optional, centred);
                }
            }
        }
    });
}

/// With `beta` or without.
fn one_layer_norm(level: Level, rows: usize, cols: usize, with_beta: bool, centred: bool) {
    let x = Strided::new(rows, cols, 1);
    let (gamma, beta) = (pseudo_random(cols, 3), pseudo_random(cols, 4));
    let args = |y, stats| LayerNorm {
        y,
        stats: Some(stats),
        x: x.view(),
        gamma: &gamma,
        beta: with_beta.then_some(beta.as_slice()),
        eps: 1e-3,
        centred,
    };
    let (mut y, mut stats) = (Guarded::unset(rows, cols), Guarded::unset(rows, 2));
    layer_norm(level, args(y.view_mut(), stats.view_mut()));
    let (mut expected, mut expected_stats) = (Mat::zeros(rows, cols), Mat::zeros(rows, 2));
    scalar::layer_norm(args(expected.view_mut(), expected_stats.view_mut()));
    let what = format!(
        "{} {rows} x {cols}, beta {with_beta}, centred {centred}",
        level.name()
    );
    agree(y.check(), expected.data(), 3e-6, &what);
    agree(stats.check(), expected_stats.data(), 2e-6, &what);
}

/// With a residual or without.
fn one_layer_norm_bwd(level: Level, rows: usize, cols: usize, with_residual: bool, centred: bool) {
    let x = Strided::new(rows, cols, 1);
    let dy = Strided::new(rows, cols, 2);
    let residual = Strided::new(rows, cols, 7);
    let gamma = pseudo_random(cols, 3);
    let (mut y, mut stats) = (Mat::zeros(rows, cols), Mat::zeros(rows, 2));
    scalar::layer_norm(LayerNorm {
        y: y.view_mut(),
        stats: Some(stats.view_mut()),
        x: x.view(),
        gamma: &gamma,
        beta: None,
        eps: 1e-3,
        centred,
    });
    let args = |dx, dgamma, dbeta| LayerNormBackward {
        dx,
        dgamma: Some(dgamma),
        dbeta: Some(dbeta),
        dy: dy.view(),
        x: x.view(),
        stats: stats.view(),
        gamma: &gamma,
        centred,
        residual: with_residual.then(|| residual.view()),
    };
    let mut expected_sums = [pseudo_random(cols, 5), pseudo_random(cols, 6)];
    let mut sums = expected_sums
        .each_ref()
        .map(|values| Guarded::new(1, cols, values));
    let mut dx = Guarded::unset(rows, cols);
    let [dgamma, dbeta] = sums.each_mut().map(Guarded::values);
    layer_norm_bwd(level, args(dx.view_mut(), dgamma, dbeta));
    let mut expected = Mat::zeros(rows, cols);
    let [dgamma, dbeta] = expected_sums.each_mut().map(Vec::as_mut_slice);
    scalar::layer_norm_bwd(args(expected.view_mut(), dgamma, dbeta));
    let what = format!(
        "{} {rows} x {cols}, residual {with_residual}, centred {centred}",
        level.name()
    );
    agree(dx.check(), expected.data(), 5e-6, &what);
    for (sums, expected) in sums.iter_mut().zip(&expected_sums) {
        agree(sums.check(), expected, 5e-6, &what);
    }
}

#[test]
fn gates() {
    at_every_level(|level| {
        for cols in lengths() {
            for rows in in_time([1, 3, 40], |rows| 100 * rows) {
                one_gate(level, rows, cols, Activation::Gelu);
            }
        }
        for f in ACTIVATIONS {
            one_gate(level, 5, 37, f);
        }
    });
}

fn one_gate(level: Level, rows: usize, cols: usize, f: Activation) {
    let pre = Strided::new(rows, 2 * cols, 1);
    let dy = Strided::new(rows, cols, 2);
    let what = format!("{} {rows} x {cols}, {f:?}", level.name());
    let mut y = Guarded::unset(rows, cols);
    let mut expected = Mat::zeros(rows, cols);
    gate(level, y.view_mut(), pre.view(), f);
    scalar::gate(expected.view_mut(), pre.view(), f);
    agree(y.check(), expected.data(), 1e-6, &what);

    let mut d_pre = Guarded::unset(rows, 2 * cols);
    let mut expected = Mat::zeros(rows, 2 * cols);
    gate_bwd(level, d_pre.view_mut(), dy.view(), pre.view(), f);
    scalar::gate_bwd(expected.view_mut(), dy.view(), pre.view(), f);
    agree(d_pre.check(), expected.data(), 1e-6, &what);
}

/// Cosines, then sines, of angles that grow with the position and shrink with the column.
fn angles(positions: usize, head_dim: usize) -> Mat {
    let half = head_dim / 2;
    let mut table = Mat::zeros(positions, head_dim);
    for position in 0..positions {
        for c in 0..half {
            let angle = position as f64 / 100_f64.powf(c as f64 / half as f64);
            table.row_mut(position)[c] = angle.cos() as f32;
            table.row_mut(position)[half + c] = angle.sin() as f32;
        }
    }
    table
}

#[test]
fn rotations_by_position() {
    for (heads, head_dim, others) in [
        (0, 4, 3),
        (1, 2, 0),
        (3, 10, 7),
        (2, 26, 1),
        (4, 32, 64),
        (1, 130, 5),
    ] {
        for rows in in_time([1, 3, 300], |rows| 100 * rows) {
            rotated(rows, heads, head_dim, others);
        }
    }
}

/// Every level against the reference, the columns after the heads as they were, and back again.
fn rotated(rows: usize, heads: usize, head_dim: usize, others: usize) {
    let cols = heads * head_dim + others;
    let table = angles(50, head_dim);
    let positions: Vec<u32> = (0..rows as u32).map(|r| (7 * r + 3) % 50).collect();
    let start = Mat::from_vec(rows, cols, pseudo_random(rows * cols, 1));
    let (table, positions) = (table.view(), positions.as_slice());
    for inverse in [false, true] {
        let mut expected = start.clone();
        scalar::rotary(Rotary {
            x: expected.view_mut(),
            heads,
            head_dim,
            positions,
            table,
            inverse,
        });
        for row in 0..rows {
            let untouched = heads * head_dim..cols;
            assert_eq!(
                expected.row(row)[untouched.clone()],
                start.row(row)[untouched]
            );
        }
        let turned = |level, x: &mut Guarded, inverse| {
            let args = Rotary {
                x: x.view_mut(),
                heads,
                head_dim,
                positions,
                table,
                inverse,
            };
            rotary(level, args);
        };
        let mut portable = Guarded::new(rows, cols, start.data());
        turned(Level::Portable, &mut portable, inverse);
        at_every_level(|level| {
            let what = format!(
                "{} {rows}, {heads} heads of {head_dim}, {others} more",
                level.name()
            );
            let mut x = Guarded::new(rows, cols, start.data());
            turned(level, &mut x, inverse);
            agree(x.check(), expected.data(), 3e-7, &what);
            assert_eq!(x.check(), portable.check(), "{what}: other bits");
            turned(level, &mut x, !inverse);
            agree(x.check(), start.data(), 6e-7, &what);
        });
    }
}

#[test]
fn embeddings() {
    for cols in lengths().filter(|&cols| cols > 0) {
        let tokens = 90;
        let tables = [(7, 1), (90, 2), (2, 3)].map(|(rows, seed)| Strided::new(rows, cols, seed));
        let ids: Vec<u32> = (0..tokens).map(|r| r * r % 7).collect();
        let positions: Vec<u32> = (0..tokens).collect();
        let types = vec![1; tokens as usize];
        let rows = [ids.as_slice(), &positions, &types];
        for count in 1..=3 {
            let lookups: Vec<Lookup<'_>> = tables
                .iter()
                .zip(rows)
                .map(|(table, rows)| Lookup {
                    table: table.view(),
                    rows,
                })
                .take(count)
                .collect();
            let mut y = Guarded::unset(90, cols);
            let mut expected = Mat::zeros(90, cols);
            embed(y.view_mut(), &lookups);
            scalar::embed(expected.view_mut(), &lookups);
            agree(y.check(), expected.data(), 2e-7, "embed");
        }
        embeddings_bwd(cols, rows);
    }
}

/// Texts of no token, of one and of many; row 1 is frozen.
#[test]
fn bags() {
    at_every_level(|level| {
        for cols in lengths().filter(|&cols| cols > 0) {
            let bounds = [0, 0, 1, 2, 40, 90];
            let spans = Spans { bounds: &bounds };
            let rows: Vec<u32> = (0..90).map(|r| r * r % 7).collect();
            let table = Strided::new(7, cols, 1);
            let lookup = Lookup {
                table: table.view(),
                rows: &rows,
            };
            let (mut y, mut expected) = (Guarded::unset(5, cols), Mat::zeros(5, cols));
            bag(level, y.view_mut(), lookup, spans);
            scalar::bag(expected.view_mut(), lookup, spans);
            agree(y.check(), expected.data(), 4e-7, "bag");
            let dy = Strided::new(5, cols, 2);
            let mut expected = Mat::from_vec(7, cols, pseudo_random(7 * cols, 3));
            let mut d = Guarded::new(7, cols, expected.data());
            let gradient = |d_table| LookupGradient {
                d_table,
                rows: &rows,
                frozen_row: Some(1),
            };
            bag_bwd(gradient(d.view_mut()), dy.view(), spans);
            scalar::bag_bwd(gradient(expected.view_mut()), dy.view(), spans);
            agree(d.check(), expected.data(), 2e-6, "bag_bwd");
        }
    });
}

/// Row 1 of the first table is frozen.
fn embeddings_bwd(cols: usize, rows: [&[u32]; 3]) {
    let dy = Strided::new(90, cols, 4);
    let starts = [(7, 5), (90, 6), (2, 7)]
        .map(|(rows, seed)| Mat::from_vec(rows, cols, pseudo_random(rows * cols, seed)));
    let mut d = starts
        .each_ref()
        .map(|start| Guarded::new(start.rows(), cols, start.data()));
    let mut expected = starts.clone();
    let gradient = |(i, d_table): (usize, _)| LookupGradient {
        d_table,
        rows: rows[i],
        frozen_row: (i == 0).then_some(1),
    };
    let views = d.iter_mut().map(Guarded::view_mut);
    let mut gradients: Vec<_> = views.enumerate().map(gradient).collect();
    embed_bwd(dy.view(), &mut gradients);
    let views = expected.iter_mut().map(Mat::view_mut);
    let mut gradients: Vec<_> = views.enumerate().map(gradient).collect();
    scalar::embed_bwd(dy.view(), &mut gradients);
    for (d, expected) in d.iter_mut().zip(&expected) {
        agree(d.check(), expected.data(), 2e-6, "embed_bwd");
    }
    assert_eq!(d[0].check()[cols..2 * cols], *starts[0].row(1), "frozen");
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
                adamw(
                    level,
                    p,
                    &grads,
                    m,
                    v,
                    Touched::all(len).whole(),
                    update(step),
                );
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
            sum_squares(&x, Touched::all(len).whole()),
            scalar::sum_squares(&x),
            Tolerance::Relative(1e-12),
            "sum of squares",
        );
    }
}

/// Rows of a table that no step reads: their gradients and moments stay 0.
#[test]
fn what_was_never_touched_is_passed_over_bit_for_bit() {
    const ROW: usize = 100;
    const LEN: usize = 400 * ROW + 7;
    let rows = |step: u64| (0..5).map(move |i| (step * 37 + i * 71) as usize % 400);
    // A parameter of a negative zero, and a gradient of one.
    let mut start = pseudo_random(LEN, 1);
    start[3..9].fill(-0.0);
    at_every_level(|level| {
        for (lr, weight_decay, eps) in [
            (1e-2, 0.0, 1e-8),
            (1e-2, 0.1, 1e-8),
            (1e-2, 0.0, 0.0),
            (1e39, 0.0, 1e-8),
        ] {
            let [mut some, mut all] =
                [(); 2].map(|()| [start.clone(), vec![0.0; LEN], vec![0.0; LEN]]);
            let mut ever = Touched::none(LEN);
            let nothing = sum_squares(&vec![0.0; LEN], ever.whole());
            assert_eq!(nothing.to_bits(), 0.0_f64.to_bits());
            for step in 1..=4 {
                let (mut grads, mut touched) = (vec![0.0; LEN], Touched::none(LEN));
                for row in rows(step) {
                    let range = row * ROW..(row + 1) * ROW;
                    grads[range.clone()].copy_from_slice(&pseudo_random(ROW, 9 + step));
                    grads[range.start] = -0.0;
                    touched.mark(range);
                }
                ever.merge(&touched);
                assert_eq!(
                    sum_squares(&grads, touched.whole()).to_bits(),
                    sum_squares(&grads, Touched::all(LEN).whole()).to_bits()
                );
                let update = AdamW {
                    lr,
                    beta1: 0.9,
                    beta2: 0.999,
                    eps,
                    weight_decay,
                    step,
                    grad_scale: 0.5,
                };
                for ([p, m, v], touched) in [(&mut some, &ever), (&mut all, &Touched::all(LEN))] {
                    // From the middle of a granule on, as a segment after a frozen tensor.
                    let range = 5..LEN;
                    let (g, touched) = (&grads[range.clone()], touched.part(range.clone()));
                    let [p, m, v] = [p, m, v].map(|values| &mut values[range.clone()]);
                    adamw(level, p, g, m, v, touched, update);
                }
            }
            for (some, all) in some.iter().zip(&all) {
                let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert!(
                    bits(some) == bits(all),
                    "{} {lr} {weight_decay} {eps}",
                    level.name()
                );
            }
        }
    });
}
