//! Rows of bytes with one scale each: `x ~ scale * byte`, bytes in -127..=127.
//!
//! Upstream's `int8` lays 256 steps between the least and the greatest value of every column. Products of such bytes are not those of the
//! values, since every column has a step and an offset of its own: a column counts the less the wider it is. A scale a row keeps
//! directions, needs no pass over the corpus before the first row can be stored, and costs 4 bytes a row.
//!
//! Recall@10 without rescoring, 200 queries in 200,000 vectors of a fine-tuned MiniLM (384 values): 0.997 with a scale a row, 0.995 with one for
//! all, 0.994 with one a column that multiplies the query before it is rounded, 0.874 with upstream's ranges.

use std::ops::Range;

use matryo_kernels::{Level, Mat, MatRef, RowsRef, scan_i8};
use rayon::prelude::*;

use crate::{Metric, pass::Score};

/// The largest byte: symmetric, so that a row and its negative have scores of one size.
const LARGEST: f32 = 127.0;

/// Rows that a task rounds.
const ROWS: usize = 1024;

/// `[rows, dim]` as bytes and scales.
#[derive(Clone, Debug)]
pub(crate) struct Int8Rows {
    dim: usize,
    bytes: Vec<i8>,
    scales: Vec<f32>,
}

impl Int8Rows {
    /// A row with a value that is not finite has the scale NaN, and so scores NaN.
    pub(crate) fn new(vectors: MatRef<'_>, metric: Metric) -> Self {
        let (rows, dim) = (vectors.rows(), vectors.cols());
        let (mut bytes, mut scales) = (vec![0; rows * dim], vec![0.0; rows]);
        let blocks = bytes
            .par_chunks_mut((ROWS * dim).max(1))
            .zip(scales.par_chunks_mut(ROWS))
            .enumerate();
        blocks.for_each(|(block, (bytes, scales))| {
            let mut prepared = vec![0.0; dim];
            for (i, (bytes, scale)) in bytes.chunks_mut(dim.max(1)).zip(scales).enumerate() {
                metric.prepare_row(&mut prepared, vectors.row(block * ROWS + i));
                *scale = round(bytes, &prepared);
            }
        });
        Self { dim, bytes, scales }
    }

    pub(crate) fn rows(&self) -> usize {
        self.scales.len()
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + size_of_val(self.scales.as_slice())
    }

    fn view(&self) -> RowsRef<'_, i8> {
        RowsRef::new(self.rows(), self.dim, &self.bytes)
    }

    /// Row `row` as floats.
    pub(crate) fn unpack(&self, row: usize, values: &mut [f32]) {
        let scale = self.scales[row];
        values
            .iter_mut()
            .zip(self.view().row(row))
            .for_each(|(value, &byte)| *value = scale * f32::from(byte));
    }
}

/// The scale of a row, and its bytes.
fn round(bytes: &mut [i8], row: &[f32]) -> f32 {
    let largest = row.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    if largest == 0.0 || row.iter().any(|x| !x.is_finite()) {
        bytes.fill(0);
        return if row.iter().all(|x| *x == 0.0) {
            0.0
        } else {
            f32::NAN
        };
    }
    // Divided first: the inverse of a denormal number is infinite.
    bytes
        .iter_mut()
        .zip(row)
        .for_each(|(byte, x)| *byte = (x / largest * LARGEST).round_ties_even() as i8);
    largest / LARGEST
}

/// Scores are the products of the bytes, which are exact, times both scales.
pub(crate) struct Int8Score<'a> {
    level: Level,
    queries: Int8Rows,
    rows: &'a Int8Rows,
}

impl<'a> Int8Score<'a> {
    /// `queries` as the metric wants them.
    pub(crate) fn new(level: Level, queries: &Mat, rows: &'a Int8Rows) -> Self {
        Self {
            level,
            queries: Int8Rows::new(queries.view(), Metric::Dot),
            rows,
        }
    }
}

impl Score for Int8Score<'_> {
    fn queries(&self) -> usize {
        self.queries.rows()
    }

    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn score(
        &self,
        queries: Range<usize>,
        rows: Range<usize>,
        scores: &mut [f32],
        totals: &mut [i32],
    ) {
        let (some, scales) = (
            self.queries.view().row_range(queries.start, queries.end),
            &self.rows.scales[rows.clone()],
        );
        scan_i8(
            self.level,
            totals,
            some,
            self.rows.view().row_range(rows.start, rows.end),
        );
        let lines = scores
            .chunks_exact_mut(rows.len())
            .zip(totals.chunks_exact(rows.len()));
        for ((scores, totals), factor) in lines.zip(&self.queries.scales[queries]) {
            for ((score, &total), scale) in scores.iter_mut().zip(totals).zip(scales) {
                *score = total as f32 * (scale * factor);
            }
        }
    }
}
