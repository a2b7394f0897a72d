//! Buffers with guards around them, and numbers to fill them.

#![allow(dead_code)] // Each test file uses a part.

use matryo_kernels::{Level, Mat, MatMut, MatRef};
use matryo_testkit::{Tolerance, assert_close, pseudo_random};

const GUARD: f32 = 12345.5;
const MARGIN: usize = 67;

/// A matrix that starts at an odd place in its buffer, between guards.
pub struct Guarded {
    rows: usize,
    cols: usize,
    buffer: Vec<f32>,
}

impl Guarded {
    /// Holds `values`.
    pub fn new(rows: usize, cols: usize, values: &[f32]) -> Self {
        let mut buffer = vec![GUARD; values.len() + 2 * MARGIN];
        buffer[MARGIN..MARGIN + values.len()].copy_from_slice(values);
        Self { rows, cols, buffer }
    }

    /// Holds values that nobody should read.
    pub fn unset(rows: usize, cols: usize) -> Self {
        Self::new(rows, cols, &vec![f32::NAN; rows * cols])
    }

    pub fn values(&mut self) -> &mut [f32] {
        &mut self.buffer[MARGIN..MARGIN + self.rows * self.cols]
    }

    pub fn view_mut(&mut self) -> MatMut<'_> {
        MatMut::new(self.rows, self.cols, self.values())
    }

    /// The values, after a look at the guards.
    #[track_caller]
    pub fn check(&mut self) -> &[f32] {
        let end = MARGIN + self.rows * self.cols;
        let outside = self.buffer[..MARGIN].iter().chain(&self.buffer[end..]);
        assert!(
            outside.copied().all(|x| x == GUARD),
            "something was written outside"
        );
        self.values()
    }
}

/// Random values in -1..1, in rows that lie further apart than they are long and start at an odd place.
pub struct Strided(Mat, usize);

impl Strided {
    pub fn new(rows: usize, cols: usize, seed: u64) -> Self {
        let width = cols + 5;
        Self(
            Mat::from_vec(rows, width, pseudo_random(rows * width, seed)),
            cols,
        )
    }

    pub fn view(&self) -> MatRef<'_> {
        self.0.view().col_range(3, 3 + self.1)
    }
}

/// Those of `shapes` that an interpreter has the time for, and a few of them: all, unless this runs under Miri. `work` is in steps.
pub fn in_time<T>(shapes: impl IntoIterator<Item = T>, work: impl Fn(&T) -> usize) -> Vec<T> {
    const STEPS: usize = 4000;
    const EVERY: usize = 4;
    let shapes = shapes.into_iter();
    if cfg!(miri) {
        shapes
            .filter(|shape| work(shape) <= STEPS)
            .step_by(EVERY)
            .collect()
    } else {
        shapes.collect()
    }
}

/// Runs `test` at every level of this processor; the portable one is always there.
pub fn at_every_level(mut test: impl FnMut(Level)) {
    Level::available().for_each(&mut test);
}

/// Compares to the reference; what differs is named by `what`.
#[track_caller]
pub fn agree(actual: &[f32], expected: &[f32], tolerance: f64, what: &str) {
    assert_close(actual, expected, Tolerance::Relative(tolerance), what);
}

/// Compares `a bᵀ`, row by row and column by column, relative to the norms of the row of `a` and the row of `b`.
#[track_caller]
pub fn norm_products(
    actual: &[f32],
    expected: MatRef<'_>,
    (a, b): (MatRef<'_>, MatRef<'_>),
    tolerance: f64,
    what: &str,
) {
    let norm = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let columns: Vec<f64> = (0..b.rows()).map(|row| norm(b.row(row))).collect();
    for row in 0..expected.rows() {
        let scale = norm(a.row(row));
        for (col, (norm, &wanted)) in columns.iter().zip(expected.row(row)).enumerate() {
            let found = actual[row * expected.cols() + col];
            let error = (f64::from(found) - f64::from(wanted)).abs();
            let shape = (expected.rows(), a.cols(), expected.cols());
            assert!(
                error <= tolerance * scale * norm,
                "{what}, {shape:?}, [{row}][{col}]: {found} for {wanted}"
            );
        }
    }
}
