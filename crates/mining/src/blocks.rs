//! Products of blocks of rows, many at a time, and what is made of them in a fixed order.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use matryo_base::Progress;
use matryo_kernels::{Level, Mat, MatRef, Operand, alone, matmul};
use rayon::prelude::*;

use crate::unit::unit_rows;

/// Rows and columns of a block of products: 1 MB a thread. Fixed, so that nothing depends on the number of threads.
pub(crate) const ROWS: usize = 256;
pub(crate) const COLUMNS: usize = 1024;

/// Results of tasks that wait for their turn.
const AT_ONCE: usize = 256;

/// `a bᵀ` `[a.rows, b.rows]`; of rows of length 1, their cosines.
pub(crate) fn products(a: MatRef<'_>, b: MatRef<'_>) -> Mat {
    let mut out = Mat::zeros(a.rows(), b.rows());
    matmul(
        Level::chosen(),
        out.view_mut(),
        Operand::Normal(a),
        Operand::Transposed(b),
        1.0,
    );
    out
}

/// Cosines `[a.rows, b.rows]` of every row of `a` and every row of `b`, for [`paraphrase_mining`](crate::paraphrase_mining)
/// (`cos_sim` of sentence_transformers/util/similarity.py). Panics on different widths; a row with a value that is not finite gives NaN.
pub fn cosines(a: MatRef<'_>, b: MatRef<'_>) -> Mat {
    match (unit_rows(a), unit_rows(b)) {
        (Ok(a), Ok(b)) => products(a.view(), b.view()),
        _ => Mat::from_vec(a.rows(), b.rows(), vec![f32::NAN; a.rows() * b.rows()]),
    }
}

/// `0..len` in pieces of `size`.
pub(crate) fn pieces(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(size)
        .map(move |start| start..(start + size).min(len))
}

/// Runs `work` on every task, side by side, each on a thread alone; `take` gets the results in the order of the tasks.
pub(crate) fn in_order<T: Send>(
    tasks: usize,
    progress: Progress<'_>,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T),
) {
    let done = AtomicUsize::new(0);
    let work = |task| {
        let result = alone(|| work(task));
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress.advance(done, tasks);
        result
    };
    for tasks in pieces(tasks, AT_ONCE) {
        let results: Vec<T> = tasks.into_par_iter().map(&work).collect();
        results.into_iter().for_each(&mut take);
    }
}
