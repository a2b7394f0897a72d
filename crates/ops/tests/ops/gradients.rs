//! Every backward against finite differences of its forward, on every device: the reference and all levels of the CPU.
//!
//! For a forward `y = f(x)` and random `g`, the derivative of `g . f(x)` along a random direction must be the gradient's product with
//! that direction. One number checks a whole gradient.

use matryo_ops::{
    Activation, AttentionShape, Cpu, Dropout, Epilogue, Level, Mat, MatMut, MatRef, Operand, Ops,
    PoolMode, Scalar, Spans, Weight,
};
use matryo_testkit::{
    Tolerance, assert_close, assert_value, directional_derivative, pseudo_random,
};

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
        let (dx_out, dw_out) = (Some(dx.view_mut().into()), Some(dw.view_mut()));
        ops.linear_bwd(dx_out, dw_out, Some(&mut db), g.view(), x.view(), w.view());
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
            let (dx_out, dw_out) = (
                Some(MatMut::new(9, 5, &mut dx).into()),
                Some(MatMut::new(7, 5, &mut dw)),
            );
            ops.linear_bwd(dx_out, dw_out, Some(&mut db), dy.view(), x.view(), w.view());
            (dx, dw, db)
        };
        let ((dx0, dw0, db0), (dx8, dw8, db8)) = (run(0.0), run(8.0));
        assert_eq!(dx0, dx8);
        let more = |values: Vec<f32>| values.into_iter().map(|x| x + 8.0).collect::<Vec<_>>();
        assert_close(&dw8, &more(dw0), Tolerance::Absolute(2e-6), "dw");
        assert_close(&db8, &more(db0), Tolerance::Absolute(2e-6), "db");
    }
}

#[test]
fn embeddings() {
    let (ids, positions) = ([3, 1, 3, 0, 3], [0, 1, 2, 0, 1]);
    let (word, position, kind, g) = (mat(5, 6, 1), mat(3, 6, 2), mat(2, 6, 3), mat(5, 6, 4));
    for ops in devices() {
        let forward = |word: MatRef<'_>, position: MatRef<'_>, kind: MatRef<'_>| {
            let mut y = Mat::zeros(5, 6);
            ops.embed(
                y.view_mut(),
                &ids,
                &positions,
                word,
                Some(position),
                Some(kind),
            );
            y
        };
        let (mut dw, mut dp, mut dk) = (Mat::zeros(5, 6), Mat::zeros(3, 6), Mat::zeros(2, 6));
        let targets = [&mut dw, &mut dp, &mut dk].map(|d| Some(d.view_mut()));
        let [d_word, d_position, d_kind] = targets;
        ops.embed_bwd(g.view(), &ids, &positions, d_word, d_position, d_kind);
        check(
            "word",
            |word| forward(word, position.view(), kind.view()),
            &g,
            &word,
            dw.data(),
        );
        check(
            "position",
            |position| forward(word.view(), position, kind.view()),
            &g,
            &position,
            dp.data(),
        );
        check(
            "kind",
            |kind| forward(word.view(), position.view(), kind),
            &g,
            &kind,
            dk.data(),
        );
    }
}

#[test]
fn layer_norm() {
    let (rows, cols) = (70, 33);
    let (x, gamma, beta, g) = (
        mat(rows, cols, 1),
        mat(1, cols, 2),
        mat(1, cols, 3),
        mat(rows, cols, 4),
    );
    for ops in devices() {
        let forward = |x: MatRef<'_>, gamma: MatRef<'_>, beta: MatRef<'_>| {
            let mut y = Mat::zeros(rows, cols);
            ops.layer_norm(y.view_mut(), None, x, gamma.row(0), beta.row(0), 1e-5);
            y
        };
        let (mut y, mut stats) = (Mat::zeros(rows, cols), Mat::zeros(rows, 2));
        ops.layer_norm(
            y.view_mut(),
            Some(stats.view_mut()),
            x.view(),
            gamma.data(),
            beta.data(),
            1e-5,
        );
        let (mut dx, mut dgamma, mut dbeta) =
            (Mat::zeros(rows, cols), vec![0.0; cols], vec![0.0; cols]);
        let (dgamma_out, dbeta_out) = (Some(dgamma.as_mut_slice()), Some(dbeta.as_mut_slice()));
        ops.layer_norm_bwd(
            dx.view_mut(),
            dgamma_out,
            dbeta_out,
            g.view(),
            x.view(),
            stats.view(),
            gamma.data(),
        );
        check(
            "dx",
            |x| forward(x, gamma.view(), beta.view()),
            &g,
            &x,
            dx.data(),
        );
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
            let mut d = g.clone();
            ops.activation_bwd(d.view_mut(), x.view(), f);
            check(&format!("{f:?}"), forward, &g, &x, d.data());
        }
    }
}

#[test]
fn attention() {
    let keys: Vec<u64> = (0..TOKENS as u64).map(|i| 31 * i).collect();
    let spans = Spans { bounds: &BOUNDS };
    for shape in [
        AttentionShape {
            heads: 2,
            head_dim: 8,
        },
        AttentionShape {
            heads: 1,
            head_dim: 40,
        },
    ] {
        let (qkv, g) = (
            mat(TOKENS, 3 * shape.width(), 1),
            mat(TOKENS, shape.width(), 2),
        );
        for dropout in [
            None,
            Some(Dropout {
                rate: 0.4,
                key: 9,
                rows: &keys,
            }),
        ] {
            for ops in devices() {
                let forward = |qkv: MatRef<'_>| {
                    let mut y = Mat::zeros(TOKENS, shape.width());
                    ops.attention(y.view_mut(), None, qkv, spans, shape, dropout);
                    y
                };
                let (mut y, mut lse) = (
                    Mat::zeros(TOKENS, shape.width()),
                    Mat::zeros(TOKENS, shape.heads),
                );
                ops.attention(
                    y.view_mut(),
                    Some(lse.view_mut()),
                    qkv.view(),
                    spans,
                    shape,
                    dropout,
                );
                let mut dqkv = Mat::zeros(TOKENS, 3 * shape.width());
                let kept = (y.view(), lse.view(), qkv.view());
                ops.attention_bwd(
                    dqkv.view_mut(),
                    g.view(),
                    kept.0,
                    kept.1,
                    kept.2,
                    spans,
                    shape,
                    dropout,
                );
                check(
                    &format!("{} {shape:?}", ops.describe()),
                    forward,
                    &g,
                    &qkv,
                    dqkv.data(),
                );
            }
        }
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
