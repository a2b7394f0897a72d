//! Dot products of one query with a few of many rows.

use super::{TILE, floats::tile};
use crate::{Level, MatRef, cpu::Kernel, simd::Vector};

/// `products[i] = query . rows[numbers[i]]`, and `squares[i]` = that row's product with itself: `query` `[dim]`, `rows` `[r, dim]`, the others
/// one value a number. Products are to the bit those of [`crate::scan_f32`]. On this thread alone.
///
/// Rows lie anywhere in memory: those of the next tile are asked for during this one, and squares are taken while a row is at hand.
pub fn gather_f32(
    level: Level,
    products: &mut [f32],
    squares: &mut [f32],
    query: &[f32],
    rows: MatRef<'_>,
    numbers: &[u32],
) {
    assert_eq!(query.len(), rows.cols(), "gather: query and rows");
    assert_eq!(
        (products.len(), squares.len()),
        (numbers.len(), numbers.len()),
        "gather: products, squares and numbers"
    );
    level.run(Gather {
        products,
        squares,
        query,
        rows,
        numbers,
    });
}

struct Gather<'a> {
    products: &'a mut [f32],
    squares: &'a mut [f32],
    query: &'a [f32],
    rows: MatRef<'a>,
    numbers: &'a [u32],
}

impl Kernel for Gather<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for first in (0..self.numbers.len()).step_by(TILE) {
            let (rows, mut next) = (self.tile(first), [std::ptr::null(); TILE]);
            for (next, row) in next.iter_mut().zip(self.tile(first + TILE)) {
                *next = row.as_ptr();
            }
            let [sums] = tile::<V, 1>([self.query], rows, next);
            let (products, squares) = (V::sum_each(sums), V::sum_each(squares::<V>(rows)));
            let count = TILE.min(self.numbers.len() - first);
            self.products[first..first + count].copy_from_slice(&products[..count]);
            self.squares[first..first + count].copy_from_slice(&squares[..count]);
        }
    }
}

impl Gather<'_> {
    /// Four rows from the `first` number on; beyond the last number they are those of the last.
    #[inline(always)]
    fn tile(&self, first: usize) -> [&[f32]; TILE] {
        let mut rows = [self.query; TILE];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = self
                .rows
                .row(self.numbers[(first + r).min(self.numbers.len() - 1)] as usize);
        }
        rows
    }
}

/// Sums of squares of four rows of one width.
#[inline(always)]
fn squares<V: Vector>(rows: [&[f32]; TILE]) -> [V; TILE] {
    let mut sums = [V::splat(0.0); TILE];
    for (sum, row) in sums.iter_mut().zip(&rows) {
        for i in 0..crate::simd::count::<V>(row.len()) {
            let values = V::load_at(row, i, 0.0);
            *sum = values.fma(values, *sum);
        }
    }
    sums
}
