//! How alike embeddings are: cosine, dot product, negative distances (semantics of sentence_transformers/util/similarity.py).

use matryo_ops::{Mat, MatRef, Operand};
use rayon::prelude::*;

use crate::SimilarityFn;

/// Every row of `a` against every row of `b`: `[a.rows, b.rows]`, higher is more alike. Panics on different widths.
///
/// Distances are summed from differences, not from products: vectors that are nearly the same keep all their digits,
/// for a few times the cost of a matrix product.
pub fn similarity(function: SimilarityFn, a: MatRef<'_>, b: MatRef<'_>) -> Mat {
    assert_eq!(a.cols(), b.cols(), "embeddings of one width");
    match function {
        SimilarityFn::Cosine => products(normalized(a).view(), normalized(b).view()),
        SimilarityFn::Dot => products(a, b),
        SimilarityFn::Euclidean => distances(a, b, euclidean),
        SimilarityFn::Manhattan => distances(a, b, manhattan),
    }
}

/// Row `i` of `a` against row `i` of `b`. Panics on different shapes.
pub fn pairwise_similarity(function: SimilarityFn, a: MatRef<'_>, b: MatRef<'_>) -> Vec<f32> {
    assert_eq!(
        (a.rows(), a.cols()),
        (b.rows(), b.cols()),
        "pairs of embeddings"
    );
    let pair = match function {
        SimilarityFn::Cosine => cosine,
        SimilarityFn::Dot => dot,
        SimilarityFn::Euclidean => |x: &[f32], y: &[f32]| -euclidean(x, y),
        SimilarityFn::Manhattan => |x: &[f32], y: &[f32]| -manhattan(x, y),
    };
    (0..a.rows())
        .into_par_iter()
        .map(|i| pair(a.row(i), b.row(i)))
        .collect()
}

fn products(a: MatRef<'_>, b: MatRef<'_>) -> Mat {
    let mut out = Mat::zeros(a.rows(), b.rows());
    matryo_ops::cpu().matmul(
        out.view_mut(),
        Operand::Normal(a),
        Operand::Transposed(b),
        1.0,
    );
    out
}

fn normalized(x: MatRef<'_>) -> Mat {
    let mut unit = x.to_mat();
    let mut norms = vec![0.0; x.rows()];
    matryo_ops::cpu().normalize(unit.view_mut(), &mut norms);
    unit
}

fn distances(a: MatRef<'_>, b: MatRef<'_>, distance: impl Fn(&[f32], &[f32]) -> f32 + Sync) -> Mat {
    let row = |i: usize| {
        (0..b.rows())
            .map(|j| -distance(a.row(i), b.row(j)))
            .collect::<Vec<f32>>()
    };
    let rows: Vec<Vec<f32>> = (0..a.rows()).into_par_iter().map(row).collect();
    Mat::from_vec(a.rows(), b.rows(), rows.concat())
}

fn cosine(x: &[f32], y: &[f32]) -> f32 {
    const SHORTEST: f32 = 1e-12;
    let length = |v: &[f32]| dot(v, v).sqrt().max(SHORTEST);
    dot(x, y) / (length(x) * length(y))
}

fn dot(x: &[f32], y: &[f32]) -> f32 {
    sum(x, y, |x, y| x * y)
}

fn euclidean(x: &[f32], y: &[f32]) -> f32 {
    sum(x, y, |x, y| (x - y) * (x - y)).sqrt()
}

fn manhattan(x: &[f32], y: &[f32]) -> f32 {
    sum(x, y, |x, y| (x - y).abs())
}

/// Sum over the columns in 16 lanes, so that the compiler can use vector registers; the order depends on the width alone.
fn sum(x: &[f32], y: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (x_whole, x_rest) = x.as_chunks::<LANES>();
    let (y_whole, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x_whole.iter().zip(y_whole) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += term(x, y);
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(&x, &y)| term(x, y)).sum();
    lanes.iter().sum::<f32>() + rest
}
