//! Vectors to search in.

use matryo_index::{Hit, Mat, MatRef};
use matryo_testkit::pseudo_random;

pub fn random(rows: usize, dim: usize, seed: u64) -> Mat {
    Mat::from_vec(rows, dim, pseudo_random(rows * dim, seed))
}

/// Small whole numbers, whose products are exact, so that ties abound.
pub fn whole_numbers(rows: usize, dim: usize, seed: u64) -> Mat {
    Mat::from_vec(
        rows,
        dim,
        pseudo_random(rows * dim, seed)
            .iter()
            .map(|v| (v * 3.0).round())
            .collect(),
    )
}

/// Vectors around some centres, each value smaller than the one before it: neighbours, and prefixes that say most.
pub fn clustered(rows: usize, dim: usize, seed: u64) -> Mat {
    let (centres, mut noise) = (random(40, dim, 1000), random(rows, dim, seed));
    for row in 0..rows {
        for (i, value) in noise.row_mut(row).iter_mut().enumerate() {
            *value = (centres.row(row % 40)[i] + 0.7 * *value) * 0.97f32.powi(i as i32);
        }
    }
    noise
}

pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn dots(a: MatRef<'_>, b: MatRef<'_>) -> Mat {
    let scores = (0..a.rows()).flat_map(|i| (0..b.rows()).map(move |j| dot(a.row(i), b.row(j))));
    Mat::from_vec(a.rows(), b.rows(), scores.collect())
}

pub fn rows(hits: &[Vec<Hit>]) -> Vec<Vec<usize>> {
    hits.iter()
        .map(|hits| hits.iter().map(|hit| hit.row).collect())
        .collect()
}

/// What `f` gives on pools of several sizes; panics unless it is the same on all.
pub fn for_any_threads<T: PartialEq + std::fmt::Debug + Send>(f: impl Fn() -> T + Sync) -> T {
    let on = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(&f)
    };
    let one = on(1);
    for threads in [2, 3, 7] {
        assert_eq!(on(threads), one, "{threads} threads");
    }
    one
}
