//! Dot products of a few queries with many rows of floats.

use std::ops::Range;

use super::{TILE, ahead, block_rows};
use crate::{Level, MatMut, MatRef, cache::prefetch, cpu::Kernel, simd::Vector};

/// `scores[q][r] = queries[q] . rows[r]`: `scores` `[q, r]`, `queries` `[q, dim]`, `rows` `[r, dim]`. On this thread alone.
pub fn scan_f32(level: Level, scores: MatMut<'_>, queries: MatRef<'_>, rows: MatRef<'_>) {
    let shapes = (scores.rows(), scores.cols(), queries.cols());
    assert_eq!(
        shapes,
        (queries.rows(), rows.rows(), rows.cols()),
        "scan: scores, queries and rows"
    );
    level.run(Scan {
        scores,
        queries,
        rows,
    });
}

struct Scan<'a> {
    scores: MatMut<'a>,
    queries: MatRef<'a>,
    rows: MatRef<'a>,
}

impl Kernel for Scan<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (count, block) = (
            self.rows.rows(),
            block_rows(self.rows.cols() * size_of::<f32>()),
        );
        for first in (0..count).step_by(block) {
            let rows = first..(first + block).min(count);
            let mut query = 0;
            while query < self.queries.rows() {
                // Sums of 4 rows by 4 queries fit beside their operands in 32 registers, by 2 in 16.
                query += match self.queries.rows() - query {
                    4.. if V::LANES == 16 => self.tiles::<V, 4>(query, rows.clone()),
                    2.. => self.tiles::<V, 2>(query, rows.clone()),
                    _ => self.tiles::<V, 1>(query, rows.clone()),
                };
            }
        }
    }
}

impl Scan<'_> {
    /// Scores of `Q` queries, `query` the first; returns `Q`.
    #[inline(always)]
    fn tiles<V: Vector, const Q: usize>(&mut self, query: usize, rows: Range<usize>) -> usize {
        let (last, ahead) = (
            rows.end - 1,
            ahead(self.rows.stride() * size_of::<f32>()) / size_of::<f32>(),
        );
        let mut queries = [self.queries.row(query); Q];
        for (q, row) in queries.iter_mut().enumerate() {
            *row = self.queries.row(query + q);
        }
        for first in rows.step_by(TILE) {
            let (mut four, mut next) = ([self.rows.row(first); TILE], [std::ptr::null(); TILE]);
            for (r, (row, next)) in four.iter_mut().zip(&mut next).enumerate() {
                *row = self.rows.row((first + r).min(last));
                *next = row.as_ptr().wrapping_add(ahead);
            }
            let (sums, count) = (
                tile::<V, Q>(queries, four, next),
                TILE.min(last + 1 - first),
            );
            for (q, sums) in sums.into_iter().enumerate() {
                let scores = V::sum_each(sums);
                self.scores.row(query + q)[first..first + count].copy_from_slice(&scores[..count]);
            }
        }
        Q
    }
}

/// Sums of products of four rows with `Q` queries, all of one width. What lies at `next` is asked for meanwhile.
#[inline(always)]
pub(super) fn tile<V: Vector, const Q: usize>(
    queries: [&[f32]; Q],
    rows: [&[f32]; TILE],
    next: [*const f32; TILE],
) -> [[V; TILE]; Q] {
    let width = rows[0].len();
    for other in rows.iter().chain(&queries) {
        assert_eq!(other.len(), width, "rows of one width");
    }
    let (mut sums, whole) = ([[V::splat(0.0); TILE]; Q], width / V::LANES * V::LANES);
    for at in (0..whole).step_by(V::LANES) {
        for next in &next {
            prefetch(next.wrapping_add(at));
        }
        for (sums, query) in sums.iter_mut().zip(&queries) {
            // SAFETY: all have `width` values, and `at + LANES <= width`.
            let query = unsafe { V::load_ptr(query.as_ptr().add(at)) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: as above.
                *sum = unsafe { V::load_ptr(row.as_ptr().add(at)) }.fma(query, *sum);
            }
        }
    }
    if whole < width {
        for (sums, query) in sums.iter_mut().zip(&queries) {
            let query = V::load_tail(&query[whole..], 0.0);
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum = V::load_tail(&row[whole..], 0.0).fma(query, *sum);
            }
        }
    }
    sums
}
