//! Sums over rows and over whole buffers, in an order that depends on the shape alone.

use rayon::prelude::*;

use crate::{
    Level, MatMut, MatRef,
    cpu::Kernel,
    parallel::{BLOCK, ROWS},
    rows,
    simd::Vector,
    touched::TouchedPart,
};

/// `y += x`.
pub fn add(level: Level, y: MatMut<'_>, x: MatRef<'_>) {
    crate::parallel::zip_rows(y, x, |y, x| level.run(Add(y, x)));
}

struct Add<'a>(&'a mut [f32], &'a [f32]);

impl Kernel for Add<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        rows::add::<V>(self.0, self.1);
    }
}

/// `sums += ` column sums of `x`: blocks of rows summed each for itself, then in their order.
pub(crate) fn add_column_sums(level: Level, sums: &mut [f32], x: MatRef<'_>) {
    let cols = x.cols();
    assert_eq!(sums.len(), cols, "column sums");
    let mut partial = vec![0.0; x.rows().div_ceil(ROWS) * cols];
    partial
        .par_chunks_mut(cols.max(1))
        .enumerate()
        .for_each(|(i, partial)| {
            for r in i * ROWS..(i * ROWS + ROWS).min(x.rows()) {
                level.run(Add(partial, x.row(r)));
            }
        });
    for block in partial.chunks(cols.max(1)) {
        level.run(Add(sums, block));
    }
}

/// Sum of squares in f64, block by block. Values outside `touched` are 0 and are not read.
pub fn sum_squares(x: &[f32], touched: TouchedPart<'_>) -> f64 {
    assert_eq!(x.len(), touched.len(), "sum of squares");
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    let blocks: Vec<f64> = x
        .par_chunks(BLOCK)
        .enumerate()
        .map(|(i, block)| {
            let runs = touched.runs(i * BLOCK..i * BLOCK + block.len());
            runs.flat_map(|run| &block[run]).map(square).sum()
        })
        .collect();
    // A sum of nothing is a negative zero.
    0.0 + blocks.iter().sum::<f64>()
}
