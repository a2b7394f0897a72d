//! Scans of every level against the reference: widths around those of vectors and lines, rows that lie apart, every number of queries.

mod common;

use common::{Guarded, Strided, at_every_level, norm_products};
use matryo_kernels::{
    Level, Mat, MatRef, RowsRef, gather_f32, scalar, scan_bits, scan_f32, scan_i8,
};
use matryo_testkit::pseudo_random;

fn widths() -> impl Iterator<Item = usize> {
    (0..=67).chain([96, 127, 128, 130, 384, 771])
}

/// Around a tile, and more than a block holds of the widest rows.
const ROWS: [usize; 6] = [0, 1, 3, 4, 5, 131];

#[test]
fn floats() {
    at_every_level(|level| {
        for width in widths() {
            for rows in ROWS {
                (0..=9).for_each(|queries| one_scan(level, queries, rows, width));
            }
        }
    });
}

fn one_scan(level: Level, queries: usize, rows: usize, width: usize) {
    let (queries, rows) = (
        Strided::new(queries, width, 1),
        Strided::new(rows, width, 2),
    );
    let (queries, rows) = (queries.view(), rows.view());
    let mut scores = Guarded::unset(queries.rows(), rows.rows());
    let mut expected = Mat::zeros(queries.rows(), rows.rows());
    scan_f32(level, scores.view_mut(), queries, rows);
    scalar::scan_f32(expected.view_mut(), queries, rows);
    norm_products(
        scores.check(),
        expected.view(),
        (queries, rows),
        1e-6,
        level.name(),
    );
}

#[test]
fn a_score_does_not_depend_on_what_is_scored_beside_it() {
    at_every_level(|level| {
        for width in [5, 64, 384, 391] {
            let (queries, rows) = (Strided::new(9, width, 1), Strided::new(50, width, 2));
            let (queries, rows) = (queries.view(), rows.view());
            let all = scan(level, queries, rows);
            for query in 0..9 {
                for row in 0..50 {
                    let one = scan(
                        level,
                        queries.row_range(query, query + 1),
                        rows.row_range(row, row + 1),
                    );
                    assert_eq!(
                        all.row(query)[row].to_bits(),
                        one.row(0)[0].to_bits(),
                        "{} {width}",
                        level.name()
                    );
                }
            }
        }
    });
}

fn scan(level: Level, queries: MatRef<'_>, rows: MatRef<'_>) -> Mat {
    let mut scores = Mat::zeros(queries.rows(), rows.rows());
    scan_f32(level, scores.view_mut(), queries, rows);
    scores
}

#[test]
fn a_prefix_is_scored_without_what_follows_it() {
    at_every_level(|level| {
        let (query, rows) = (Strided::new(1, 384, 1), Strided::new(33, 384, 2));
        let prefix = rows.view().first_cols(64);
        let found = scan(level, query.view().first_cols(64), prefix);
        assert_eq!(
            found,
            scan(level, query.view().first_cols(64), prefix.to_mat().view())
        );
    });
}

#[test]
fn gathered_rows_are_those_of_a_scan() {
    at_every_level(|level| {
        for width in [0, 1, 15, 64, 391] {
            let (query, rows) = (Strided::new(1, width, 1), Strided::new(90, width, 2));
            let (query, rows) = (query.view(), rows.view());
            let (all, squares_of_all) = (scan(level, query, rows), scan(level, rows, rows));
            for count in [0, 1, 3, 4, 5, 30] {
                let numbers: Vec<u32> = (0..count).map(|i| i * 37 % 90).collect();
                let (mut products, mut squares) =
                    (vec![f32::NAN; numbers.len()], vec![f32::NAN; numbers.len()]);
                gather_f32(
                    level,
                    &mut products,
                    &mut squares,
                    query.row(0),
                    rows,
                    &numbers,
                );
                for (i, &row) in numbers.iter().enumerate() {
                    let (row, what) = (row as usize, format!("{} {width}", level.name()));
                    assert_eq!(products[i].to_bits(), all.row(0)[row].to_bits(), "{what}");
                    assert_eq!(
                        squares[i].to_bits(),
                        squares_of_all.row(row)[row].to_bits(),
                        "{what}"
                    );
                }
            }
        }
    });
}

/// Bytes without a pattern, the extremes among them.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    pseudo_random(len, seed)
        .iter()
        .map(|x| (x * 140.0 + 128.0).clamp(0.0, 255.0) as u8)
        .collect()
}

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes
        .iter()
        .map(|byte| byte.wrapping_add(128).cast_signed())
        .collect()
}

#[test]
fn integers_are_exact() {
    at_every_level(|level| {
        for width in widths() {
            for rows in ROWS {
                one_scan_of_bytes(level, 3, rows, width);
            }
        }
    });
}

/// Rows that lie further apart than they are long and start at an odd place.
fn one_scan_of_bytes(level: Level, queries: usize, rows: usize, width: usize) {
    let stride = width + 5;
    let what = format!("{} {queries} x {rows} x {width}", level.name());
    let (a, b) = (bytes(queries * stride, 1), bytes(rows * stride, 2));
    let (qa, qb) = (
        RowsRef::new(queries, stride, &a),
        RowsRef::new(rows, stride, &b),
    );
    let (qa, qb) = (qa.col_range(3, 3 + width), qb.col_range(3, 3 + width));
    let mut totals = vec![i32::MIN; queries * rows];
    scan_bits(level, &mut totals, qa, qb);
    assert_eq!(totals, scalar::scan_bits(qa, qb), "bits, {what}");

    let (a, b) = (signed(&a), signed(&b));
    let (qa, qb) = (
        RowsRef::new(queries, stride, &a),
        RowsRef::new(rows, stride, &b),
    );
    let (qa, qb) = (qa.col_range(3, 3 + width), qb.col_range(3, 3 + width));
    scan_i8(level, &mut totals, qa, qb);
    assert_eq!(totals, scalar::scan_i8(qa, qb), "i8, {what}");
}

#[test]
fn the_largest_sums_fit() {
    at_every_level(|level| {
        for (a, b) in [(-128, -128), (-128, 127), (127, -128), (127, 127)] {
            let (query, rows) = (vec![a; 65_536], vec![b; 2 * 65_536]);
            let mut totals = [0; 2];
            scan_i8(
                level,
                &mut totals,
                RowsRef::new(1, 65_536, &query),
                RowsRef::new(2, 65_536, &rows),
            );
            assert_eq!(
                totals,
                [65_536 * i32::from(a) * i32::from(b); 2],
                "{} {a} {b}",
                level.name()
            );
        }
    });
}

#[test]
#[should_panic(expected = "scan: scores, queries and rows")]
fn shapes_must_agree() {
    let (queries, rows) = (Mat::zeros(1, 3), Mat::zeros(2, 4));
    scan_f32(
        Level::Portable,
        Mat::zeros(1, 2).view_mut(),
        queries.view(),
        rows.view(),
    );
}
