//! Every backward against finite differences of its forward, on every device: the reference and all levels of the CPU.
//!
//! For a forward `y = f(x)` and random `g`, the derivative of `g . f(x)` along a random direction must be the gradient's product with
//! that direction. One number checks a whole gradient.

mod attention;

use matryo_ops::{
    Activation, Cpu, Dropout, Epilogue, LayerNorm, LayerNormBackward, Level, LinearBackward,
    Lookup, LookupGradient, Mat, MatMut, MatRef, Operand, Ops, PoolMode, Rotary, Scalar, Spans,
    Weight,
};
use matryo_testkit::{
    Tolerance, assert_close, assert_value, directional_derivative, pseudo_random,
};

/// Test of every backward of [`Ops`]; `rotary` and `dropout` are their own.
const TESTS: [(&str, fn()); 12] = [
    ("linear_bwd", linear),
    ("embed_bwd", embeddings),
    ("bag_bwd", bags),
    ("layer_norm_bwd", layer_norm),
    ("activation_bwd", activations),
    ("gate_bwd", gate),
    ("rotary", rotary),
    ("attention_bwd", attention::attention),
    ("unfold_bwd", unfolding),
    ("dropout", dropout),
    ("pool_bwd", pooling),
    ("normalize_bwd", normalize),
];

/// An operation that is added to the trait must be added to the table, with its test.
#[test]
fn every_backward_has_a_test() {
    let source = include_str!("../../src/ops.rs");
    let names = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("fn "))
        .filter_map(|line| line.split_once('('))
        .map(|(name, _)| name);
    let backwards: Vec<&str> = names.filter(|name| name.ends_with("_bwd")).collect();
    assert_eq!(backwards.len(), TESTS.len() - 2, "{backwards:?}");
    for name in backwards {
        assert!(
            TESTS.iter().any(|(tested, _)| *tested == name),
            "no gradient test of {name}"
        );
    }
}

const BOUNDS: [u32; 5] = [0, 1, 8, 8, 45];
const TOKENS: usize = 45;
const STEP: f32 = 1e-2;

fn devices() -> Vec<Box<dyn Ops>> {
    let mut devices: Vec<Box<dyn Ops>> = vec![Box::new(Scalar)];
    devices.extend(Level::available().map(|level| Box::new(Cpu::at(level)) as Box<dyn Ops>));
    devices
}

fn mat(rows: usize, cols: usize, seed: u64) -> Mat {
    Mat::from_vec(rows, cols, pseudo_random(rows * cols, seed))
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

/// Checks `gradient` of `g . forward(x)`; the tolerance is relative to the size that the derivative could have.
#[track_caller]
fn check(what: &str, forward: impl Fn(MatRef<'_>) -> Mat, g: &Mat, x: &Mat, gradient: &[f32]) {
    for seed in [90, 91, 92] {
        let direction = pseudo_random(x.data().len(), seed);
        let value = |values: &[f32]| {
            dot(
                forward(MatRef::new(x.rows(), x.cols(), values)).data(),
                g.data(),
            )
        };
        let expected = directional_derivative(value, x.data(), &direction, STEP);
        let size = dot(gradient, gradient).sqrt() * dot(&direction, &direction).sqrt();
        assert_value(
            dot(gradient, &direction),
            expected,
            Tolerance::Absolute(3e-4 * size + 1e-6),
            what,
        );
    }
}

#[test]
fn linear() {
    let (t, inner, outer) = (19, 21, 35);
    let (x, w, b, g) = (
        mat(t, inner, 1),
        mat(outer, inner, 2),
        mat(1, outer, 3),
        mat(t, outer, 4),
    );
    for ops in devices() {
        let forward = |x: MatRef<'_>, w: MatRef<'_>, b: MatRef<'_>| {
            let mut y = Mat::zeros(t, outer);
            let epilogue = Epilogue {
                bias: Some(b.row(0)),
                ..Epilogue::default()
            };
            ops.linear(y.view_mut(), x, Weight::Plain(w), epilogue);
            y
        };
        let (mut dx, mut dw, mut db) = (
            Mat::zeros(t, inner),
            Mat::zeros(outer, inner),
            vec![0.0; outer],
        );
        ops.linear_bwd(LinearBackward {
            dx: Some(dx.view_mut().into()),
            dw: Some(dw.view_mut()),
            db: Some(&mut db),
            dy: g.view(),
            x: x.view(),
            w: w.view(),
        });
        check("dx", |x| forward(x, w.view(), b.view()), &g, &x, dx.data());
        check("dw", |w| forward(x.view(), w, b.view()), &g, &w, dw.data());
        check("db", |b| forward(x.view(), w.view(), b), &g, &b, &db);
    }
}

#[test]
fn gradients_of_parameters_accumulate_and_those_of_activations_do_not() {
    let (dy, x, w) = (mat(9, 7, 1), mat(9, 5, 2), mat(7, 5, 3));
    for ops in devices() {
        let run = |start: f32| {
            let fill = |len| vec![start; len];
            let (mut dx, mut dw, mut db) = (fill(45), fill(35), fill(7));
            ops.linear_bwd(LinearBackward {
                dx: Some(MatMut::new(9, 5, &mut dx).into()),
                dw: Some(MatMut::new(7, 5, &mut dw)),
                db: Some(&mut db),
                dy: dy.view(),
                x: x.view(),
                w: w.view(),
            });
            (dx, dw, db)
        };
        let ((dx0, dw0, db0), (dx8, dw8, db8)) = (run(0.0), run(8.0));
        assert_eq!(dx0, dx8);
        let more = |values: Vec<f32>| values.into_iter().map(|x| x + 8.0).collect::<Vec<_>>();
        assert_close(&dw8, &more(dw0), Tolerance::Absolute(2e-6), "dw");
        assert_close(&db8, &more(db0), Tolerance::Absolute(2e-6), "db");
    }
}

/// Row 3 of the first table is frozen: moving it moves the output, but its gradient is 0.
#[test]
fn embeddings() {
    let (ids, positions, types) = ([3, 1, 3, 0, 3], [0, 1, 2, 0, 1], [0; 5]);
    let (word, position, token_type, g) = (mat(5, 6, 1), mat(3, 6, 2), mat(2, 6, 3), mat(5, 6, 4));
    for ops in devices() {
        let forward = |word: MatRef<'_>, position: MatRef<'_>, token_type: MatRef<'_>| {
            let mut y = Mat::zeros(5, 6);
            let lookup = |table, rows| Lookup { table, rows };
            let lookups = [
                lookup(word, &ids),
                lookup(position, &positions),
                lookup(token_type, &types),
            ];
            ops.embed(y.view_mut(), &lookups);
            y
        };
        let gradients = |frozen_row| {
            let mut d = [Mat::zeros(5, 6), Mat::zeros(3, 6), Mat::zeros(2, 6)];
            let [d_word, d_position, d_type] = d.each_mut().map(Mat::view_mut);
            let gradient = |d_table, rows, frozen_row| LookupGradient {
                d_table,
                rows,
                frozen_row,
            };
            ops.embed_bwd(
                g.view(),
                &mut [
                    gradient(d_word, &ids, frozen_row),
                    gradient(d_position, &positions, None),
                    gradient(d_type, &types, None),
                ],
            );
            d
        };
        let [mut dw, dp, dt] = gradients(None);
        check(
            "word",
            |word| forward(word, position.view(), token_type.view()),
            &g,
            &word,
            dw.data(),
        );
        check(
            "position",
            |position| forward(word.view(), position, token_type.view()),
            &g,
            &position,
            dp.data(),
        );
        check(
            "token type",
            |token_type| forward(word.view(), position.view(), token_type),
            &g,
            &token_type,
            dt.data(),
        );
        dw.row_mut(3).fill(0.0);
        assert_eq!(gradients(Some(3)), [dw, dp, dt], "all but the frozen row");
    }
}

/// Row 3 is frozen; a row comes twice in one text and in two texts, and one text is empty.
#[test]
fn bags() {
    let rows: Vec<u32> = (0..TOKENS as u32).map(|r| r * r % 11).collect();
    let spans = Spans { bounds: &BOUNDS };
    let (table, g) = (mat(12, 70, 1), mat(4, 70, 2));
    for ops in devices() {
        let forward = |table: MatRef<'_>| {
            let mut y = Mat::zeros(4, 70);
            let lookup = Lookup { table, rows: &rows };
            ops.bag(y.view_mut(), lookup, spans);
            y
        };
        let gradient = |frozen_row| {
            let mut d = Mat::zeros(12, 70);
            let gradient = LookupGradient {
                d_table: d.view_mut(),
                rows: &rows,
                frozen_row,
            };
            ops.bag_bwd(gradient, g.view(), spans);
            d
        };
        assert_eq!(
            *forward(table.view()).row(2),
            [0.0; 70],
            "a text without tokens"
        );
        let mut d = gradient(None);
        check("table", forward, &g, &table, d.data());
        d.row_mut(3).fill(0.0);
        assert_eq!(gradient(Some(3)), d, "all but the frozen row");
    }
}

#[test]
fn layer_norm() {
    for with_beta in [true, false] {
        for with_residual in [true, false] {
            one_layer_norm(with_beta, with_residual, true);
            one_layer_norm(with_beta, with_residual, false);
        }
    }
}

/// With a residual the forward is `layer_norm(x) . g + x . residual`, as in a pre-norm block.
fn one_layer_norm(with_beta: bool, with_residual: bool, centred: bool) {
    let (rows, cols) = (70, 33);
    let (x, gamma, beta, g, residual) = (
        mat(rows, cols, 1),
        mat(1, cols, 2),
        mat(1, cols, 3),
        mat(rows, cols, 4),
        mat(rows, cols, 5),
    );
    let both = Mat::from_vec(2 * rows, cols, [g.data(), residual.data()].concat());
    for ops in devices() {
        let norm = |y: MatMut<'_>,
                    stats: Option<MatMut<'_>>,
                    x: MatRef<'_>,
                    gamma: &[f32],
                    beta: &[f32]| {
            ops.layer_norm(LayerNorm {
                y,
                stats,
                x,
                gamma,
                beta: Some(beta).filter(|_| with_beta),
                eps: 1e-5,
                centred,
            });
        };
        let forward = |x: MatRef<'_>, gamma: MatRef<'_>, beta: MatRef<'_>| {
            let mut y = Mat::zeros(rows, cols);
            norm(y.view_mut(), None, x, gamma.row(0), beta.row(0));
            y
        };
        let (mut y, mut stats) = (Mat::zeros(rows, cols), Mat::zeros(rows, 2));
        let stats_out = Some(stats.view_mut());
        norm(y.view_mut(), stats_out, x.view(), gamma.data(), beta.data());
        let mut dx = Mat::zeros(rows, cols);
        let mut dgamma = vec![0.0; cols];
        let mut dbeta = vec![0.0; cols];
        ops.layer_norm_bwd(LayerNormBackward {
            dx: dx.view_mut(),
            dgamma: Some(&mut dgamma),
            dbeta: with_beta.then_some(dbeta.as_mut_slice()),
            dy: g.view(),
            x: x.view(),
            stats: stats.view(),
            gamma: gamma.data(),
            centred,
            residual: with_residual.then(|| residual.view()),
        });
        if with_residual {
            let with_input = |x: MatRef<'_>| {
                let y = forward(x, gamma.view(), beta.view());
                let values = [y.data(), x.to_mat().data()].concat();
                Mat::from_vec(2 * rows, cols, values)
            };
            check("dx and residual", with_input, &both, &x, dx.data());
        } else {
            let of_x = |x: MatRef<'_>| forward(x, gamma.view(), beta.view());
            check("dx", of_x, &g, &x, dx.data());
        }
        check(
            "dgamma",
            |gamma| forward(x.view(), gamma, beta.view()),
            &g,
            &gamma,
            &dgamma,
        );
        check(
            "dbeta",
            |beta| forward(x.view(), gamma.view(), beta),
            &g,
            &beta,
            &dbeta,
        );
    }
}

#[test]
fn gate() {
    // Away from the kink of ReLU.
    let pre: Vec<f32> = pseudo_random(6 * 26, 1)
        .into_iter()
        .map(|x| 2.0 * x + 0.3 * x.signum())
        .collect();
    let (pre, g) = (Mat::from_vec(6, 26, pre), mat(6, 13, 2));
    use Activation::{Gelu, GeluTanh, Relu, Sigmoid, Silu, Tanh};
    for ops in devices() {
        for f in [Gelu, GeluTanh, Relu, Silu, Tanh, Sigmoid] {
            let forward = |pre: MatRef<'_>| {
                let mut y = Mat::zeros(6, 13);
                ops.gate(y.view_mut(), pre, f);
                y
            };
            let mut d_pre = Mat::zeros(6, 26);
            ops.gate_bwd(d_pre.view_mut(), g.view(), pre.view(), f);
            check(
                &format!("{} {f:?}", ops.describe()),
                forward,
                &g,
                &pre,
                d_pre.data(),
            );
        }
    }
}

#[test]
fn rotary() {
    let (rows, heads, head_dim, cols) = (9, 3, 10, 35);
    let angles: Vec<f32> = pseudo_random(6 * 5, 3).iter().map(|x| 3.0 * x).collect();
    let table: Vec<f32> = angles
        .chunks(5)
        .flat_map(|row| {
            row.iter()
                .map(|x| x.cos())
                .chain(row.iter().map(|x| x.sin()))
        })
        .collect();
    let table = Mat::from_vec(6, head_dim, table);
    let positions: Vec<u32> = (0..rows as u32).map(|r| 5 * r % 6).collect();
    let (x, g) = (mat(rows, cols, 1), mat(rows, cols, 2));
    for ops in devices() {
        let rotated = |x: &Mat, inverse| {
            let mut x = x.clone();
            ops.rotary(Rotary {
                x: x.view_mut(),
                heads,
                head_dim,
                positions: &positions,
                table: table.view(),
                inverse,
            });
            x
        };
        for inverse in [false, true] {
            let dx = rotated(&g, !inverse);
            check(
                "rotary",
                |x| rotated(&x.to_mat(), inverse),
                &g,
                &x,
                dx.data(),
            );
        }
    }
}

#[test]
fn activations() {
    // Away from the kink of ReLU.
    let x: Vec<f32> = pseudo_random(60, 1)
        .into_iter()
        .map(|x| 4.0 * x + 0.3 * x.signum())
        .collect();
    let (x, g, one) = (
        Mat::from_vec(60, 1, x),
        mat(60, 1, 2),
        Mat::from_vec(1, 1, vec![1.0]),
    );
    use Activation::{Gelu, GeluTanh, Relu, Sigmoid, Silu, Tanh};
    for ops in devices() {
        for f in [Gelu, GeluTanh, Relu, Silu, Tanh, Sigmoid] {
            let forward = |x: MatRef<'_>| {
                let mut y = Mat::zeros(60, 1);
                let epilogue = Epilogue {
                    activation: Some(f),
                    ..Epilogue::default()
                };
                ops.linear(y.view_mut(), x, Weight::Plain(one.view()), epilogue);
                y
            };
            let mut y = Mat::zeros(60, 1);
            ops.activation(y.view_mut(), x.view(), f);
            assert_eq!(y, forward(x.view()), "{f:?}, without a product");
            let mut d = g.clone();
            ops.activation_bwd(d.view_mut(), x.view(), f);
            check(&format!("{f:?}"), forward, &g, &x, d.data());
        }
    }
}

/// Of some columns; the values of the columns before them are left alone. Texts are shorter and longer than the taps.
#[test]
fn unfolding() {
    let bounds = [0, 1, 1, 3, 12];
    let spans = Spans { bounds: &bounds };
    for taps in [1, 3, 5] {
        let (x, g) = (mat(12, 4, 1), mat(12, 4 * taps, 2));
        for ops in devices() {
            let forward = |x: MatRef<'_>| {
                let mut y = Mat::zeros(12, 4 * taps);
                ops.unfold(y.view_mut(), x, spans, taps);
                y
            };
            let mut dx = Mat::from_vec(12, 7, vec![5.0; 84]);
            ops.unfold_bwd(dx.view_mut(), 3, g.view(), spans, taps);
            let columns = |start, end| dx.view().col_range(start, end).to_mat();
            assert!(columns(0, 3).data().iter().all(|x| *x == 5.0));
            check("unfold", forward, &g, &x, columns(3, 7).data());
        }
    }
}

/// By hand: rows of a text beside each other, nothing of the text before it.
#[test]
fn neighbours_side_by_side() {
    let x = Mat::from_vec(3, 2, vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    let mut y = Mat::zeros(3, 6);
    let spans = Spans { bounds: &[0, 1, 3] };
    for ops in devices() {
        ops.unfold(y.view_mut(), x.view(), spans, 3);
        assert_eq!(y.row(0), [0.0, 1.0, 0.0, 0.0, 10.0, 0.0]);
        assert_eq!(y.row(1), [0.0, 2.0, 3.0, 0.0, 20.0, 30.0]);
        assert_eq!(y.row(2), [2.0, 3.0, 0.0, 20.0, 30.0, 0.0]);
    }
}

#[test]
fn dropout() {
    let (x, g, keys) = (
        mat(20, 30, 1),
        mat(20, 30, 2),
        (0..20).collect::<Vec<u64>>(),
    );
    let dropout = Dropout {
        rate: 0.25,
        key: 3,
        rows: &keys,
    };
    for ops in devices() {
        let forward = |x: MatRef<'_>| {
            let mut y = x.to_mat();
            ops.dropout(y.view_mut(), dropout);
            y
        };
        let mut d = g.clone();
        ops.dropout(d.view_mut(), dropout);
        check("dropout", forward, &g, &x, d.data());
        assert!(d.data().contains(&0.0));
    }
}

#[test]
fn pooling() {
    use PoolMode::{Cls, LastToken, Max, Mean, MeanSqrtLen, WeightedMean};
    let bounds = [0, 3, 4, 11];
    let (x, g) = (mat(11, 5, 1), mat(3, 5, 2));
    for ops in devices() {
        for mode in [Cls, Max, Mean, MeanSqrtLen, WeightedMean, LastToken] {
            for skip in [[0, 0, 0], [1, 0, 4]] {
                let spans = Spans { bounds: &bounds };
                let forward = |x: MatRef<'_>| {
                    let mut y = Mat::zeros(3, 5);
                    ops.pool(y.view_mut(), x, spans, &skip, mode);
                    y
                };
                let mut dx = Mat::zeros(11, 5);
                ops.pool_bwd(dx.view_mut(), g.view(), x.view(), spans, &skip, mode);
                check(&format!("{mode:?}"), forward, &g, &x, dx.data());
            }
        }
    }
}

#[test]
fn normalize() {
    let (x, g) = (mat(7, 9, 1), mat(7, 9, 2));
    for ops in devices() {
        let forward = |x: MatRef<'_>| {
            let mut y = x.to_mat();
            ops.normalize(y.view_mut(), &mut [0.0; 7]);
            y
        };
        let (mut y, mut norms) = (x.clone(), [0.0; 7]);
        ops.normalize(y.view_mut(), &mut norms);
        let mut d = g.clone();
        ops.normalize_bwd(d.view_mut(), y.view(), &norms);
        check("normalize", forward, &g, &x, d.data());
    }
}

#[test]
fn products_of_all_orientations() {
    let (a, b, a_t, b_t) = (mat(6, 13, 1), mat(13, 9, 2), mat(13, 6, 3), mat(9, 13, 4));
    let product = |ops: &dyn Ops, a: Operand<'_>, b: Operand<'_>| {
        let mut out = Mat::zeros(6, 9);
        ops.matmul(out.view_mut(), a, b, 20.0);
        out
    };
    for ops in devices() {
        for a in [Operand::Normal(a.view()), Operand::Transposed(a_t.view())] {
            for b in [Operand::Normal(b.view()), Operand::Transposed(b_t.view())] {
                let (got, expected) = (product(&*ops, a, b), product(&Scalar, a, b));
                assert_close(
                    got.data(),
                    expected.data(),
                    Tolerance::Relative(1e-6),
                    "product",
                );
            }
        }
    }
}
