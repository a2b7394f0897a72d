//! Few queries against many rows, pair by pair.

use super::product::dot;
use crate::{MatMut, MatRef, RowsRef};

/// `scores[q][r] = queries[q] . rows[r]`.
pub fn scan_f32(mut scores: MatMut<'_>, queries: MatRef<'_>, rows: MatRef<'_>) {
    for query in 0..queries.rows() {
        for row in 0..rows.rows() {
            scores.row(query)[row] = dot(queries.row(query), rows.row(row)) as f32;
        }
    }
}

/// `queries[q] . rows[r]`, query by query.
pub fn scan_i8(queries: RowsRef<'_, i8>, rows: RowsRef<'_, i8>) -> Vec<i32> {
    pairs(queries, rows, |a, b| i32::from(a) * i32::from(b))
}

/// Bits in which `queries[q]` and `rows[r]` differ, query by query.
pub fn scan_bits(queries: RowsRef<'_, u8>, rows: RowsRef<'_, u8>) -> Vec<i32> {
    pairs(queries, rows, |a, b| (a ^ b).count_ones().cast_signed())
}

fn pairs<T: Copy>(
    queries: RowsRef<'_, T>,
    rows: RowsRef<'_, T>,
    f: impl Fn(T, T) -> i32,
) -> Vec<i32> {
    let mut totals = Vec::new();
    for query in 0..queries.rows() {
        for row in 0..rows.rows() {
            totals.push(
                queries
                    .row(query)
                    .iter()
                    .zip(rows.row(row))
                    .map(|(&a, &b)| f(a, b))
                    .sum(),
            );
        }
    }
    totals
}
