//! Products in every precision at every level against the reference, and against each other.

mod common;

use common::{Guarded, Strided, at_every_level, norm_products};
use matryo_kernels::{
    Arithmetic, Epilogue, Level, LinearBackward, Mat, MatRef, PackedWeight, Precision, Weight,
    linear, linear_bwd, scalar,
};

/// Rows, steps and columns: every tail of a tile, a pair, a panel and a slice.
fn shapes() -> Vec<(usize, usize, usize)> {
    let mut shapes = vec![
        (0, 5, 7),
        (3, 0, 2),
        (1, 1, 1),
        (70, 70, 33),
        (13, 2100, 40),
        (100, 1030, 5),
        (2, 8, 1000),
    ];
    shapes.extend((1..=36).step_by(5).map(|m| (m, 2 * m + 1, 60 - m)));
    shapes
}

#[test]
fn forward() {
    each_arithmetic(forward_at);
}

fn forward_at(arithmetic: Arithmetic) {
    for (m, k, n) in shapes() {
        let (x, w) = (Strided::new(m, k, 1), Strided::new(n, k, 2));
        let packed = PackedWeight::new(arithmetic, w.view());
        let mut expected = Mat::zeros(m, n);
        scalar::linear(
            expected.view_mut(),
            x.view(),
            Weight::Plain(w.view()),
            Epilogue::default(),
        );
        for weight in [Weight::Plain(w.view()), Weight::Packed(&packed)] {
            let mut y = Guarded::unset(m, n);
            linear(
                arithmetic,
                y.view_mut(),
                x.view(),
                weight,
                Epilogue::default(),
            );
            norm_products(
                y.check(),
                expected.view(),
                (x.view(), w.view()),
                tolerance(arithmetic.precision),
                &what(arithmetic),
            );
        }
        let unpacked = packed.unpack();
        for row in 0..n {
            let size = w
                .view()
                .row(row)
                .iter()
                .fold(0.0, |a: f32, x| a.max(x.abs()));
            for (a, b) in unpacked.row(row).iter().zip(w.view().row(row)) {
                assert!(
                    (a - b).abs() <= 4.0 * tolerance(arithmetic.precision) as f32 * size,
                    "{}",
                    what(arithmetic)
                );
            }
        }
    }
}

#[test]
fn backward() {
    each_arithmetic(backward_at);
}

fn backward_at(arithmetic: Arithmetic) {
    for (t, inner, outer) in [
        (1, 1, 1),
        (7, 33, 12),
        (70, 40, 70),
        (1100, 13, 34),
        (0, 3, 4),
        (45, 70, 1100),
    ] {
        let (dy, x, w) = (
            Strided::new(t, outer, 1),
            Strided::new(t, inner, 2),
            Strided::new(outer, inner, 3),
        );
        let (mut dx, mut dw) = (
            Guarded::unset(t, inner),
            Guarded::new(outer, inner, &vec![0.0; outer * inner]),
        );
        let args = |dx, dw| LinearBackward {
            dx: Some(dx),
            dw: Some(dw),
            db: None,
            dy: dy.view(),
            x: x.view(),
            w: w.view(),
        };
        linear_bwd(arithmetic, args(dx.view_mut().into(), dw.view_mut()));
        let (mut expected_dx, mut expected_dw) = (Mat::zeros(t, inner), Mat::zeros(outer, inner));
        scalar::linear_bwd(args(expected_dx.view_mut().into(), expected_dw.view_mut()));
        let (wt, dyt, xt) = (
            transposed(w.view()),
            transposed(dy.view()),
            transposed(x.view()),
        );
        let (what, tolerance) = (what(arithmetic), tolerance(arithmetic.precision));
        norm_products(
            dx.check(),
            expected_dx.view(),
            (dy.view(), wt.view()),
            tolerance,
            &format!("dx, {what}"),
        );
        norm_products(
            dw.check(),
            expected_dw.view(),
            (dyt.view(), xt.view()),
            tolerance,
            &format!("dw, {what}"),
        );
    }
}

/// Integers are exact, so the instruction set changes no bit.
#[test]
fn integers_have_the_same_bits_at_every_level() {
    let (x, w) = (Strided::new(50, 1100, 1), Strided::new(70, 1100, 2));
    for precision in [Precision::Int16, Precision::Int8] {
        let product = |level| {
            let mut y = Mat::zeros(50, 70);
            linear(
                Arithmetic { level, precision },
                y.view_mut(),
                x.view(),
                Weight::Plain(w.view()),
                Epilogue::default(),
            );
            y
        };
        let expected = product(Level::Portable);
        at_every_level(|level| {
            assert_eq!(
                product(level),
                expected,
                "{} at {}",
                precision.name(),
                level.name()
            )
        });
    }
}

/// One value a thousand times as large as the others takes no more than its share of the bits.
#[test]
fn an_outlier_leaves_the_other_values_their_digits() {
    let mut x = Strided::new(3, 768, 1).view().to_mat();
    x.row_mut(1)[100] = 50.0;
    let w = Strided::new(40, 768, 2);
    let (mut y, mut expected) = (Mat::zeros(3, 40), Mat::zeros(3, 40));
    scalar::linear(
        expected.view_mut(),
        x.view(),
        Weight::Plain(w.view()),
        Epilogue::default(),
    );
    // Bytes are off by 4e-4 here (root mean square); without the rotation they would be by 2e-3.
    for (precision, tolerance) in [(Precision::Int16, 6e-5), (Precision::Int8, 1.5e-3)] {
        let arithmetic = Arithmetic {
            level: Level::best(),
            precision,
        };
        linear(
            arithmetic,
            y.view_mut(),
            x.view(),
            Weight::Plain(w.view()),
            Epilogue::default(),
        );
        norm_products(
            y.data(),
            expected.view(),
            (x.view(), w.view()),
            tolerance,
            &what(arithmetic),
        );
    }
}

/// Hidden values of T5 reach 1e5 and more, which f16 does not hold.
#[test]
fn values_of_a_hundred_thousand() {
    let mut x = Strided::new(3, 768, 1).view().to_mat();
    x.row_mut(1)[100] = 3e5;
    x.row_mut(2).iter_mut().for_each(|x| *x *= 1e5);
    let w = Strided::new(40, 768, 2);
    let mut expected = Mat::zeros(3, 40);
    let plain = Weight::Plain(w.view());
    scalar::linear(expected.view_mut(), x.view(), plain, Epilogue::default());
    each_arithmetic(|arithmetic| {
        let mut y = Mat::zeros(3, 40);
        let plain = Weight::Plain(w.view());
        linear(
            arithmetic,
            y.view_mut(),
            x.view(),
            plain,
            Epilogue::default(),
        );
        norm_products(
            y.data(),
            expected.view(),
            (x.view(), w.view()),
            tolerance(arithmetic.precision),
            &what(arithmetic),
        );
    });
}

#[test]
fn what_is_not_a_number_stays_so_and_in_its_row() {
    each_arithmetic(|arithmetic| {
        let mut x = Strided::new(20, 64, 1).view().to_mat();
        x.row_mut(7)[9] = f32::NAN;
        let w = Strided::new(33, 64, 2);
        let mut y = Mat::zeros(20, 33);
        linear(
            arithmetic,
            y.view_mut(),
            x.view(),
            Weight::Plain(w.view()),
            Epilogue::default(),
        );
        for row in 0..20 {
            assert!(
                y.row(row).iter().all(|y| y.is_nan() == (row == 7)),
                "{}",
                what(arithmetic)
            );
        }
    });
}

/// Error of an element over the product of the norms of its row and column: for bf16 the worst case, both operands off by 2^-8; for bf16
/// in parts likewise, with the product of the second parts left out; for integers ten times the deviation or more.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-6,
        Precision::F32x3 => 5e-5,
        Precision::Bf16 => 8e-3,
        Precision::Int16 => 1e-4,
        Precision::Int8 => 1e-2,
    }
}

fn each_arithmetic(mut test: impl FnMut(Arithmetic)) {
    at_every_level(|level| {
        Precision::ALL
            .into_iter()
            .for_each(|precision| test(Arithmetic { level, precision }))
    });
}

fn what(arithmetic: Arithmetic) -> String {
    format!(
        "{} at {}",
        arithmetic.precision.name(),
        arithmetic.level.name()
    )
}

fn transposed(a: MatRef<'_>) -> Mat {
    let data = (0..a.cols())
        .flat_map(|col| (0..a.rows()).map(move |row| a.row(row)[col]))
        .collect();
    Mat::from_vec(a.cols(), a.rows(), data)
}
