//! Products of every level against the reference, over shapes around the sizes of tiles, panels, blocks and slices.

mod common;

use common::{Guarded, Strided, agree, at_every_level};
use matryo_kernels::{
    Activation, Arithmetic, Epilogue, InputGradient, Level, LinearBackward, Mat, MatRef, Operand,
    PackedWeight, Precision, Weight, linear, linear_bwd, matmul, scalar,
};
use matryo_testkit::{Tolerance, assert_close};

/// Sums of up to 2,100 products, each rounded to 24 bits.
const TOLERANCE: f64 = 3e-6;

/// Rows, steps and columns: every tail of a tile and of a panel, two slices of steps, several blocks of rows.
fn shapes() -> Vec<(usize, usize, usize)> {
    let mut shapes = vec![
        (0, 5, 7),
        (3, 0, 2),
        (1, 1, 1),
        (300, 70, 33),
        (13, 2100, 40),
        (30, 1030, 5),
        (2, 8, 1000),
    ];
    shapes.extend((1..=27).map(|m| (m, 2 * m + 1, 60 - m)));
    shapes.extend((1..=70).step_by(3).map(|n| (5, 17, n)));
    shapes
}

#[test]
fn every_orientation() {
    at_every_level(|level| {
        for (m, k, n) in shapes() {
            let (a, a_t, b, b_t) = (mat(m, k, 1), mat(k, m, 2), mat(k, n, 3), mat(n, k, 4));
            for a in [Operand::Normal(a.view()), Operand::Transposed(a_t.view())] {
                for b in [Operand::Normal(b.view()), Operand::Transposed(b_t.view())] {
                    one_product(level, (m, k, n), a, b);
                }
            }
        }
    });
}

fn one_product(level: Level, (m, k, n): (usize, usize, usize), a: Operand<'_>, b: Operand<'_>) {
    let (mut out, mut expected) = (Guarded::unset(m, n), Mat::zeros(m, n));
    matmul(level, out.view_mut(), a, b, 0.5);
    scalar::matmul(expected.view_mut(), a, b, 0.5);
    agree(
        out.check(),
        expected.data(),
        TOLERANCE,
        &format!("{} {m} x {k} x {n}", level.name()),
    );
}

#[test]
fn plain_and_packed_weights_with_everything_after_them() {
    at_every_level(|level| {
        for (m, k, n) in shapes() {
            let (x, w) = (mat(m, k, 1), mat(n, k, 2));
            let packed = PackedWeight::new(level, w.view());
            assert_eq!(packed.unpack(), w.view().to_mat());
            for activation in [None, Some(Activation::Gelu), Some(Activation::Tanh)] {
                one_linear(level, x.view(), Weight::Plain(w.view()), n, activation);
                one_linear(level, x.view(), Weight::Packed(&packed), n, activation);
            }
        }
    });
}

fn one_linear(
    level: Level,
    x: MatRef<'_>,
    w: Weight<'_>,
    n: usize,
    activation: Option<Activation>,
) {
    let m = x.rows();
    let (bias, residual) = (mat(1, n, 5), mat(m, n, 6));
    let (mut y, mut pre) = (Guarded::unset(m, n), Guarded::unset(m, n));
    let (mut expected, mut expected_pre) = (Mat::zeros(m, n), Mat::zeros(m, n));
    let (bias, residual) = (Some(bias.view().row(0)), Some(residual.view()));
    linear(
        level,
        y.view_mut(),
        x,
        w,
        Epilogue {
            bias,
            activation,
            pre_activation: Some(pre.view_mut()),
            residual,
        },
    );
    let pre_activation = Some(expected_pre.view_mut());
    scalar::linear(
        expected.view_mut(),
        x,
        w,
        Epilogue {
            bias,
            activation,
            pre_activation,
            residual,
        },
    );
    let what = format!("{} {m} x {} x {n}, {activation:?}", level.name(), x.cols());
    agree(pre.check(), expected_pre.data(), TOLERANCE, &what);
    // An activation hands on the error of its argument, however small its own values are.
    let largest = expected_pre
        .data()
        .iter()
        .fold(1.0, |largest: f32, x| largest.max(x.abs()));
    assert_close(
        y.check(),
        expected.data(),
        Tolerance::Absolute(TOLERANCE * f64::from(largest)),
        &what,
    );

    linear(level, y.view_mut(), x, w, Epilogue::default());
    scalar::linear(expected.view_mut(), x, w, Epilogue::default());
    agree(y.check(), expected.data(), TOLERANCE, "without an epilogue");
}

#[test]
fn backward_adds_to_parameters_and_skips_what_is_not_wanted() {
    at_every_level(|level| {
        for (t, inner, outer) in [
            (1, 1, 1),
            (7, 33, 12),
            (70, 40, 70),
            (1100, 13, 34),
            (0, 3, 4),
        ] {
            let (dy, x, w) = (mat(t, outer, 1), mat(t, inner, 2), mat(outer, inner, 3));
            let (dw, db) = (
                mat(outer, inner, 4).view().to_mat(),
                mat(1, outer, 5).view().to_mat(),
            );
            let mut expected = (Mat::zeros(t, inner), dw.clone(), db.clone());
            let (dx, dw_out, db_out) = (
                expected.0.view_mut(),
                expected.1.view_mut(),
                expected.2.data_mut(),
            );
            let (pre, residual) = (mat(t, inner, 6), mat(t, inner, 7));
            let activation = Some((Activation::Gelu, pre.view()));
            let residual = Some(residual.view());
            scalar::linear_bwd(LinearBackward {
                dx: Some(InputGradient {
                    dx,
                    activation,
                    residual,
                }),
                dw: Some(dw_out),
                db: Some(db_out),
                dy: dy.view(),
                x: x.view(),
                w: w.view(),
            });
            for wanted in 0..8 {
                let mut got = (
                    Guarded::unset(t, inner),
                    Guarded::new(outer, inner, dw.data()),
                    Guarded::new(1, outer, db.data()),
                );
                let dx = (wanted & 1 > 0).then(|| InputGradient {
                    dx: got.0.view_mut(),
                    activation,
                    residual,
                });
                linear_bwd(
                    level,
                    LinearBackward {
                        dx,
                        dw: (wanted & 2 > 0).then(|| got.1.view_mut()),
                        db: (wanted & 4 > 0).then(|| got.2.values()),
                        dy: dy.view(),
                        x: x.view(),
                        w: w.view(),
                    },
                );
                let what = format!(
                    "{} {t} x {inner} x {outer}, wanted {wanted:03b}",
                    level.name()
                );
                if wanted & 1 > 0 {
                    agree(got.0.check(), expected.0.data(), TOLERANCE, &what);
                }
                let dw = if wanted & 2 > 0 { &expected.1 } else { &dw };
                agree(got.1.check(), dw.data(), TOLERANCE, &what);
                let db = if wanted & 4 > 0 { &expected.2 } else { &db };
                agree(got.2.check(), db.data(), TOLERANCE, &what);
            }
        }
    });
}

/// An element's sum follows from its row, its column and `k` alone, in every precision.
#[test]
fn a_row_does_not_depend_on_the_rows_around_it() {
    at_every_level(|level| {
        let (x, w) = (mat(200, 1500, 1), mat(90, 1500, 2));
        for precision in Precision::ALL {
            let arithmetic = Arithmetic { level, precision };
            let packed = PackedWeight::new(arithmetic, w.view());
            for weight in [Weight::Plain(w.view()), Weight::Packed(&packed)] {
                let product = |rows: MatRef<'_>| {
                    let mut y = Mat::zeros(rows.rows(), 90);
                    linear(arithmetic, y.view_mut(), rows, weight, Epilogue::default());
                    y
                };
                let all = product(x.view());
                for (first, end) in [(101, 108), (17, 18), (60, 130)] {
                    let some = product(x.view().row_range(first, end));
                    let among_all = all.view().row_range(first, end).to_mat();
                    assert_eq!(among_all, some, "{}, {}", level.name(), precision.name());
                }
            }
        }
    });
}

fn mat(rows: usize, cols: usize, seed: u64) -> Strided {
    Strided::new(rows, cols, seed)
}
