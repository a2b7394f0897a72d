//! Rows of signs: a bit a value, set where it is above 0, the first value highest in its byte.
//!
//! The packing of upstream's `ubinary` (sentence_transformers/util/quantization.py). Scaling a row changes no bit.

use std::ops::Range;

use matryo_kernels::{Level, Mat, MatRef, RowsRef, scan_bits};
use rayon::prelude::*;

use crate::pass::Score;

/// Rows that a task packs.
const ROWS: usize = 1024;

/// `[rows, dim]` as bits.
#[derive(Clone, Debug)]
pub(crate) struct BitRows {
    dim: usize,
    rows: usize,
    bytes: Vec<u8>,
}

impl BitRows {
    /// A NaN is not above 0.
    pub(crate) fn new(vectors: MatRef<'_>) -> Self {
        let (rows, dim, width) = (vectors.rows(), vectors.cols(), vectors.cols().div_ceil(8));
        let mut bytes = vec![0; rows * width];
        bytes
            .par_chunks_mut((ROWS * width).max(1))
            .enumerate()
            .for_each(|(block, bytes)| {
                for (i, bytes) in bytes.chunks_mut(width.max(1)).enumerate() {
                    pack(bytes, vectors.row(block * ROWS + i));
                }
            });
        Self { dim, rows, bytes }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn view(&self) -> RowsRef<'_, u8> {
        RowsRef::new(self.rows, self.dim.div_ceil(8), &self.bytes)
    }

    /// Row `row` as zeros and ones.
    pub(crate) fn unpack(&self, row: usize, values: &mut [f32]) {
        for (bits, byte) in values.chunks_mut(8).zip(self.view().row(row)) {
            bits.iter_mut()
                .enumerate()
                .for_each(|(i, bit)| *bit = f32::from(byte >> (7 - i) & 1));
        }
    }
}

fn pack(bytes: &mut [u8], row: &[f32]) {
    for (byte, values) in bytes.iter_mut().zip(row.chunks(8)) {
        *byte = values
            .iter()
            .enumerate()
            .fold(0, |byte, (i, x)| byte | u8::from(*x > 0.0) << (7 - i));
    }
}

/// Scores are Hamming distances, negative so that more is better.
pub(crate) struct BitScore<'a> {
    level: Level,
    queries: BitRows,
    rows: &'a BitRows,
}

impl<'a> BitScore<'a> {
    pub(crate) fn new(level: Level, queries: &Mat, rows: &'a BitRows) -> Self {
        Self {
            level,
            queries: BitRows::new(queries.view()),
            rows,
        }
    }
}

impl Score for BitScore<'_> {
    fn queries(&self) -> usize {
        self.queries.rows
    }

    fn rows(&self) -> usize {
        self.rows.rows
    }

    fn score(
        &self,
        queries: Range<usize>,
        rows: Range<usize>,
        scores: &mut [f32],
        totals: &mut [i32],
    ) {
        let queries = self.queries.view().row_range(queries.start, queries.end);
        scan_bits(
            self.level,
            totals,
            queries,
            self.rows.view().row_range(rows.start, rows.end),
        );
        scores
            .iter_mut()
            .zip(totals)
            .for_each(|(score, total)| *score = -(*total as f32));
    }
}
