//! Principal component analysis (Pearson 1901) by the eigenvectors of the covariance.

use matryo_ops::{Mat, MatRef, Operand};
use nalgebra::{DMatrix, SymmetricEigen};

/// Rows whose products are added in single precision before they are added in double.
const ROWS: usize = 1024;

/// The first `kept` main components of each row `[rows, width]`, the largest variance first; fewer than there are rows. The value of a
/// component that is farthest from 0 is positive.
pub(crate) fn scores(rows: MatRef<'_>, kept: usize) -> Mat {
    let centred = centred(rows);
    let eigen = SymmetricEigen::new(covariance(&centred));
    let mut order: Vec<usize> = (0..rows.cols()).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let mut axes = Mat::zeros(kept, rows.cols());
    for (i, &axis) in order[..kept].iter().enumerate() {
        let axis = eigen.eigenvectors.column(axis);
        let values = axes.row_mut(i).iter_mut().zip(axis.iter());
        values.for_each(|(value, coordinate)| *value = *coordinate as f32);
    }
    let mut scores = Mat::zeros(rows.rows(), kept);
    let ops = matryo_ops::cpu_in(Some(matryo_ops::Precision::F32));
    ops.matmul(
        scores.view_mut(),
        Operand::Normal(centred.view()),
        Operand::Transposed(axes.view()),
        1.0,
    );
    turn(&mut scores);
    scores
}

/// The rows without their mean.
fn centred(rows: MatRef<'_>) -> Mat {
    let mut mean = vec![0.0_f64; rows.cols()];
    for r in 0..rows.rows() {
        let values = mean.iter_mut().zip(rows.row(r));
        values.for_each(|(mean, value)| *mean += f64::from(*value));
    }
    mean.iter_mut().for_each(|mean| *mean /= rows.rows() as f64);
    let mut centred = rows.to_mat();
    for r in 0..rows.rows() {
        let values = centred.row_mut(r).iter_mut().zip(&mean);
        values.for_each(|(value, mean)| *value = (f64::from(*value) - mean) as f32);
    }
    centred
}

fn covariance(centred: &Mat) -> DMatrix<f64> {
    let (rows, width) = (centred.rows(), centred.cols());
    let ops = matryo_ops::cpu_in(Some(matryo_ops::Precision::F32));
    let mut sums = DMatrix::zeros(width, width);
    let mut part = Mat::zeros(width, width);
    for start in (0..rows).step_by(ROWS) {
        let block = centred.view().row_range(start, (start + ROWS).min(rows));
        ops.matmul(
            part.view_mut(),
            Operand::Transposed(block),
            Operand::Normal(block),
            1.0,
        );
        let values = sums.iter_mut().zip(part.data());
        values.for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sums / (rows as f64 - 1.0)
}

/// Gives each column the sign under which its largest value is positive.
fn turn(scores: &mut Mat) {
    for col in 0..scores.cols() {
        let mut largest = 0.0_f32;
        for row in 0..scores.rows() {
            let value = scores.row(row)[col];
            if value.abs() > largest.abs() {
                largest = value;
            }
        }
        if largest < 0.0 {
            for row in 0..scores.rows() {
                scores.row_mut(row)[col] *= -1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use matryo_testkit::pseudo_random;

    use super::*;

    /// A cloud along two axes at right angles, and a third without extent.
    #[test]
    fn axes_of_a_cloud() {
        let (long, short) = (pseudo_random(3000, 1), pseudo_random(3000, 2));
        let mut rows = Mat::zeros(3000, 3);
        for i in 0..3000 {
            let (a, b) = (8.0 * long[i], 0.5 * short[i]);
            rows.row_mut(i)
                .copy_from_slice(&[3.0 + 0.6 * a - 0.8 * b, 0.8 * a + 0.6 * b, -7.0]);
        }
        let scores = scores(rows.view(), 2);
        let mean = |values: &[f32]| values.iter().sum::<f32>() / 3000.0;
        let sign = |found: f32, expected: f32| found.signum() * expected.signum();
        let (long_mean, short_mean) = (mean(&long), mean(&short));
        let expected = |i: usize| [8.0 * (long[i] - long_mean), 0.5 * (short[i] - short_mean)];
        let signs = [0, 1].map(|k| sign(scores.row(0)[k], expected(0)[k]));
        for i in 0..3000 {
            for k in [0, 1] {
                let difference = scores.row(i)[k] - signs[k] * expected(i)[k];
                assert!(difference.abs() < 0.05, "{i} {k}: {difference}");
            }
        }
        for k in [0, 1] {
            let values = (0..3000).map(|i| scores.row(i)[k]);
            let (least, most) = values.fold((0.0_f32, 0.0_f32), |(a, b), x| (a.min(x), b.max(x)));
            assert!(most >= -least, "{k}");
        }
    }
}
