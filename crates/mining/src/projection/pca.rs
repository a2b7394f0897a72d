//! The two directions in which vectors differ most, by power iteration.

use matryo_index::MatRef;
use rayon::prelude::*;

use super::Point;

/// Enough for the start of something better: directions need not be exact.
const ROUNDS: usize = 30;

/// Rows summed by one task; fixed, so that no sum depends on the number of threads.
const ROWS: usize = 1024;

/// Coordinates of each row along the two main directions; all 0 where rows do not differ.
pub(super) fn main_plane(rows: MatRef<'_>) -> Vec<Point> {
    let mean = mean(rows);
    let first = direction(rows, &mean, &vec![0.0; mean.len()]);
    let second = direction(rows, &mean, &first);
    let along = |row: &[f32]| [&first, &second].map(|axis| centred_dot(row, &mean, axis));
    (0..rows.rows())
        .into_par_iter()
        .map(|i| along(rows.row(i)))
        .collect()
}

fn mean(rows: MatRef<'_>) -> Vec<f64> {
    let count = rows.rows().max(1) as f64;
    let sum = weighted_sum(rows, &vec![0.0; rows.cols()], &vec![1.0; rows.rows()]);
    sum.iter().map(|sum| sum / count).collect()
}

/// A unit vector at right angles to `other`, or 0 where rows differ in no such direction.
fn direction(rows: MatRef<'_>, mean: &[f64], other: &[f64]) -> Vec<f64> {
    // Any start that is not at right angles to the answer will do; this one has no symmetry.
    let mut axis: Vec<f64> = (0..rows.cols())
        .map(|i| 1.0 + (i as f64 * 0.7).sin())
        .collect();
    for _ in 0..ROUNDS {
        let weights: Vec<f64> = (0..rows.rows())
            .into_par_iter()
            .map(|i| centred_dot(rows.row(i), mean, &axis))
            .collect();
        axis = weighted_sum(rows, mean, &weights);
        let shared = dot(&axis, other);
        axis.iter_mut()
            .zip(other)
            .for_each(|(x, o)| *x -= shared * o);
        let length = dot(&axis, &axis).sqrt();
        if length == 0.0 {
            break;
        }
        axis.iter_mut().for_each(|x| *x /= length);
    }
    axis
}

/// Sum of `weight * (row - mean)`.
fn weighted_sum(rows: MatRef<'_>, mean: &[f64], weights: &[f64]) -> Vec<f64> {
    let block = |(block, weights): (usize, &[f64])| {
        let mut sum = vec![0.0; mean.len()];
        for (i, weight) in weights.iter().enumerate() {
            let row = rows.row(block * ROWS + i);
            sum.iter_mut()
                .zip(row)
                .zip(mean)
                .for_each(|((s, &x), m)| *s += weight * (f64::from(x) - m));
        }
        sum
    };
    let blocks: Vec<Vec<f64>> = weights.par_chunks(ROWS).enumerate().map(block).collect();
    let mut total = vec![0.0; mean.len()];
    blocks
        .iter()
        .for_each(|block| total.iter_mut().zip(block).for_each(|(t, b)| *t += b));
    total
}

fn centred_dot(row: &[f32], mean: &[f64], axis: &[f64]) -> f64 {
    row.iter()
        .zip(mean)
        .zip(axis)
        .map(|((&x, m), a)| (f64::from(x) - m) * a)
        .sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use matryo_index::Mat;

    use super::*;

    #[test]
    fn a_stretched_cloud_lies_along_its_axes() {
        // 10 wide along (3, 4) / 5, 1 along (4, -3) / 5, around (7, 7), flat in the third direction.
        let at = |i: usize| [(i as f32 * 1.7).sin() * 10.0, (i as f32 * 2.9).sin()];
        let row = |i: usize| {
            [
                7.0 + 0.6 * at(i)[0] + 0.8 * at(i)[1],
                7.0 + 0.8 * at(i)[0] - 0.6 * at(i)[1],
                1.0,
            ]
        };
        let rows = Mat::from_vec(2000, 3, (0..2000).flat_map(row).collect());
        let plane = main_plane(rows.view());
        for (i, point) in plane.iter().enumerate() {
            // Sines have almost no mean, and almost no correlation.
            assert!(
                (point[0].abs() - f64::from(at(i)[0].abs())).abs() < 0.1,
                "{i}: {point:?}, {:?}",
                at(i)
            );
            assert!(
                (point[1].abs() - f64::from(at(i)[1].abs())).abs() < 0.1,
                "{i}: {point:?}, {:?}",
                at(i)
            );
        }
    }

    #[test]
    fn equal_rows_are_one_point() {
        let rows = Mat::from_vec(3, 2, vec![0.5; 6]);
        assert_eq!(main_plane(rows.view()), [[0.0; 2]; 3]);
        assert!(main_plane(Mat::zeros(0, 4).view()).is_empty());
    }
}
