//! Products on AMX tiles against the reference, on any x86-64 Linux machine with AVX-512 VNNI: where the processor has no AMX, its
//! instructions are executed in software by the handler of the signal that they raise.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "../common/mod.rs"]
mod common;
mod emulator;

use common::{Guarded, Strided, norm_products};
use matryo_kernels::{
    Arithmetic, Epilogue, Level, LinearBackward, Mat, MatRef, Operand, PackedWeight, Precision,
    Weight, linear, linear_bwd, scalar,
};

/// AMX with its tolerance in every precision that uses it, or `None` if the machine lacks what stands around the tiles.
fn arithmetics() -> Option<[(Arithmetic, f64); 3]> {
    if !Level::Amx.is_available() {
        if !Level::Avx512Vnni.is_available() {
            eprintln!("skipped: no AVX-512 VNNI here");
            return None;
        }
        emulator::install();
    }
    let at = |precision| Arithmetic {
        level: Level::Amx,
        precision,
    };
    Some([
        (at(Precision::Bf16), 8e-3),
        (at(Precision::F32x3), 5e-5),
        (at(Precision::Int8), 6e-3),
    ])
}

#[test]
fn forward() {
    for (arithmetic, tolerance) in arithmetics().into_iter().flatten() {
        for (m, k, n) in [
            (1, 1, 1),
            (15, 40, 33),
            (16, 32, 64),
            (17, 31, 5),
            (50, 100, 70),
            (33, 1100, 40),
            (2, 0, 3),
        ] {
            let (x, w, bias) = (
                Strided::new(m, k, 1),
                Strided::new(n, k, 2),
                Strided::new(1, n, 3),
            );
            let packed = PackedWeight::new(arithmetic, w.view());
            let epilogue = || Epilogue {
                bias: Some(bias.view().row(0)),
                ..Epilogue::default()
            };
            let mut expected = Mat::zeros(m, n);
            scalar::linear(
                expected.view_mut(),
                x.view(),
                Weight::Plain(w.view()),
                epilogue(),
            );
            for weight in [Weight::Plain(w.view()), Weight::Packed(&packed)] {
                let mut y = Guarded::unset(m, n);
                linear(arithmetic, y.view_mut(), x.view(), weight, epilogue());
                let what = arithmetic.precision.name();
                let beyond_rounding = tolerance + if k == 0 { 1e-6 } else { 0.0 };
                norm_products(
                    y.check(),
                    expected.view(),
                    (x.view(), w.view()),
                    beyond_rounding,
                    what,
                );
            }
        }
    }
}

#[test]
fn backward() {
    for (arithmetic, tolerance) in arithmetics().into_iter().flatten() {
        for (t, inner, outer) in [(1, 1, 1), (37, 33, 12), (70, 40, 70)] {
            let (dy, x, w) = (
                Strided::new(t, outer, 1),
                Strided::new(t, inner, 2),
                Strided::new(outer, inner, 3),
            );
            let (mut dx, mut dw) = (
                Guarded::unset(t, inner),
                Guarded::new(outer, inner, &vec![0.0; outer * inner]),
            );
            linear_bwd(
                arithmetic,
                LinearBackward {
                    dx: Some(dx.view_mut().into()),
                    dw: Some(dw.view_mut()),
                    db: None,
                    dy: dy.view(),
                    x: x.view(),
                    w: w.view(),
                },
            );
            let (mut expected_dx, mut expected_dw) =
                (Mat::zeros(t, inner), Mat::zeros(outer, inner));
            let (dx_out, dw_out) = (expected_dx.view_mut(), expected_dw.view_mut());
            scalar::matmul(
                dx_out,
                Operand::Normal(dy.view()),
                Operand::Normal(w.view()),
                1.0,
            );
            scalar::matmul(
                dw_out,
                Operand::Transposed(dy.view()),
                Operand::Normal(x.view()),
                1.0,
            );
            let [wt, dyt, xt] = [w.view(), dy.view(), x.view()].map(transposed);
            let what = arithmetic.precision.name();
            norm_products(
                dx.check(),
                expected_dx.view(),
                (dy.view(), wt.view()),
                tolerance,
                what,
            );
            norm_products(
                dw.check(),
                expected_dw.view(),
                (dyt.view(), xt.view()),
                tolerance,
                what,
            );
        }
    }
}

/// Sums of bytes are exact, so the tiles change no bit.
#[test]
fn bytes_have_the_bits_of_other_levels() {
    let Some([.., (bytes, _)]) = arithmetics() else {
        return;
    };
    let (x, w) = (Strided::new(50, 1100, 1), Strided::new(70, 1100, 2));
    let product = |arithmetic: Arithmetic| {
        let mut y = Mat::zeros(50, 70);
        linear(
            arithmetic,
            y.view_mut(),
            x.view(),
            Weight::Plain(w.view()),
            Epilogue::default(),
        );
        y
    };
    assert_eq!(
        product(bytes),
        product(Arithmetic {
            level: Level::Portable,
            ..bytes
        })
    );
}

/// An element's sum follows from its row, its column and `k` alone.
#[test]
fn a_row_does_not_depend_on_the_rows_around_it() {
    for (arithmetic, _) in arithmetics().into_iter().flatten() {
        let (x, w) = (Strided::new(60, 1100, 1), Strided::new(40, 1100, 2));
        let product = |rows: MatRef<'_>| {
            let mut y = Mat::zeros(rows.rows(), 40);
            linear(
                arithmetic,
                y.view_mut(),
                rows,
                Weight::Plain(w.view()),
                Epilogue::default(),
            );
            y
        };
        let (all, some) = (product(x.view()), product(x.view().row_range(31, 38)));
        assert_eq!(all.view().row_range(31, 38).to_mat(), some);
    }
}

fn transposed(a: MatRef<'_>) -> Mat {
    let data = (0..a.cols())
        .flat_map(|col| (0..a.rows()).map(move |row| a.row(row)[col]))
        .collect();
    Mat::from_vec(a.cols(), a.rows(), data)
}
