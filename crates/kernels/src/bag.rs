//! The mean of a table's rows for each text, and its backward: an embedding that no transformer follows.
//!
//! 1. Bound by reading rows: sums of a block of columns stay in registers while the text's rows go by, so nothing but the table is read.
//! 2. The backward cuts the columns among tasks, each of which goes over all tokens in their order: two tokens may share a row, and an
//!    element's sum has one order whatever the number of threads.

use crate::{
    Level, Lookup, LookupGradient, MatMut, MatRef, Spans,
    cpu::Kernel,
    parallel::{self, SharedMut},
    simd::{self, Vector},
    team,
};

/// Vectors of sums that are in registers at once.
const SUMS: usize = 8;

/// Texts of a task in the forward.
const TEXTS: usize = 16;

/// Columns of a task in the backward: four cache lines of a row.
const COLUMNS: usize = 64;

/// `y[i]` = mean of `table[rows[r]]` over the tokens `r` of text `i`, 0 for a text without any; `y` `[n, d]` is assigned.
pub fn bag(level: Level, mut y: MatMut<'_>, lookup: Lookup<'_>, spans: Spans<'_>) {
    spans.check(lookup.rows.len());
    let (texts, cols) = (y.rows(), y.cols());
    assert_eq!(
        (texts, cols),
        (spans.texts(), lookup.table.cols()),
        "bag: one row for each text, as wide as the table"
    );
    parallel::for_parts(y.data(), TEXTS * cols, |i, y| {
        level.run(Means {
            y,
            first: i * TEXTS,
            lookup,
            spans,
        });
    });
}

struct Means<'a> {
    y: &'a mut [f32],
    /// The text of the first row of `y`.
    first: usize,
    lookup: Lookup<'a>,
    spans: Spans<'a>,
}

impl Kernel for Means<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Lookup { table, rows } = self.lookup;
        let cols = table.cols();
        for (i, y) in self.y.chunks_exact_mut(cols).enumerate() {
            let rows = &rows[self.spans.rows(self.first + i)];
            let scale = V::splat(1.0 / rows.len().max(1) as f32);
            let width = SUMS * V::LANES;
            let whole = cols / width * width;
            for start in (0..whole).step_by(width) {
                let mut sums = [V::splat(0.0); SUMS];
                for &row in rows {
                    let row = &table.row(row as usize)[start..start + width];
                    for (k, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.add(V::load(&row[k * V::LANES..]));
                    }
                }
                for (k, sum) in sums.into_iter().enumerate() {
                    sum.mul(scale).store(&mut y[start + k * V::LANES..]);
                }
            }
            let rest = &mut y[whole..];
            for k in 0..simd::count::<V>(rest.len()) {
                let mut sum = V::splat(0.0);
                for &row in rows {
                    sum = sum.add(V::load_at(&table.row(row as usize)[whole..], k, 0.0));
                }
                sum.mul(scale).store_at(rest, k);
            }
        }
    }
}

/// Backward of [`bag`]: `d_table[rows[r]] += dy[i] / tokens of i` for each token `r` of text `i`, but for the frozen row.
pub fn bag_bwd(gradient: LookupGradient<'_>, dy: MatRef<'_>, spans: Spans<'_>) {
    let LookupGradient {
        d_table,
        rows,
        frozen_row,
    } = gradient;
    spans.check(rows.len());
    let (table_rows, cols) = (d_table.rows(), d_table.cols());
    assert_eq!(
        (dy.rows(), dy.cols()),
        (spans.texts(), cols),
        "bag_bwd: one row for each text, as wide as the table"
    );
    let trained = |row: u32| Some(row) != frozen_row;
    assert!(
        rows.iter().all(|row| (*row as usize) < table_rows),
        "bag_bwd: rows of the table"
    );
    let shared = SharedMut::new(d_table.into_data());
    team::for_each(cols.div_ceil(COLUMNS), &|part| {
        let start = part * COLUMNS;
        let width = COLUMNS.min(cols - start);
        for text in 0..spans.texts() {
            let rows = &rows[spans.rows(text)];
            let scale = 1.0 / rows.len().max(1) as f32;
            let dy = &dy.row(text)[start..start + width];
            for &row in rows.iter().filter(|row| trained(**row)) {
                // SAFETY: a task's columns are its own, and the row is one of the table's.
                let d = unsafe { shared.piece(row as usize * cols + start, width) };
                d.iter_mut().zip(dy).for_each(|(d, x)| *d += scale * x);
            }
        }
    });
}
