//! Golden vectors, and vectors made up.

use std::path::PathBuf;

use matryo_mining::{Mat, MatRef};
use matryo_testkit::{Tensor, pseudo_random, read_json, read_safetensors};
use serde_json::Value;

/// Rows that scikit-learn clustered, scaled to length 1 before.
pub const CLUSTERED: usize = 200;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// What upstream found; `python/goldens_mining.py` made it.
pub fn golden(what: &str) -> Vec<Value> {
    read_json(file("mining.json"))[what]
        .as_array()
        .unwrap()
        .clone()
}

/// The vectors that it was found in.
pub fn embeddings() -> Mat {
    mat(&read_safetensors(file("mining.safetensors"))["embeddings"])
}

pub fn mat(tensor: &Tensor) -> Mat {
    let (rows, cols) = tensor.rows_cols();
    Mat::from_vec(rows, cols, tensor.data.clone())
}

/// Rows of length 1.
pub fn unit(rows: MatRef<'_>) -> Mat {
    let mut unit = rows.to_mat();
    for i in 0..unit.rows() {
        let length = unit
            .row(i)
            .iter()
            .map(|&x| f64::from(x) * f64::from(x))
            .sum::<f64>()
            .sqrt();
        unit.row_mut(i)
            .iter_mut()
            .for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    unit
}

/// `rows` rows around `centres` points of a sphere, `spread` wide.
pub fn clouds(rows: usize, cols: usize, centres: usize, spread: f32, seed: u64) -> Mat {
    let middle = pseudo_random(centres * cols, seed);
    let noise = pseudo_random(rows * cols, seed + 1);
    let value = |i: usize| middle[i / cols % centres * cols + i % cols] + spread * noise[i];
    Mat::from_vec(rows, cols, (0..rows * cols).map(value).collect())
}

pub fn numbers(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap() as usize)
        .collect()
}

/// Each row replaced by the first with the same values. Upstream leaves the order of equal scores to `torch.topk`, which keeps none, so
/// equal rows may change places.
pub fn first_equal(rows: MatRef<'_>, members: &[usize]) -> Vec<usize> {
    let first = |&row: &usize| {
        (0..=row)
            .find(|&other| rows.row(other) == rows.row(row))
            .unwrap()
    };
    members.iter().map(first).collect()
}

/// Clusters numbered by their first row.
pub fn renumbered(labels: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    let number = |label: &usize| {
        seen.iter()
            .position(|known| known == label)
            .unwrap_or_else(|| {
                seen.push(*label);
                seen.len() - 1
            })
    };
    labels.iter().map(number).collect()
}

pub fn with_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(f)
}
