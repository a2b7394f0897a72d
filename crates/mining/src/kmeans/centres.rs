//! Each centre to the mean of its rows. Rows of a cluster are added up in their order, so that no sum depends on the threads.

use matryo_kernels::{Mat, MatRef, normalize};
use rayon::prelude::*;

use super::Data;
use crate::{blocks::pieces, central::sum_of};

/// Rows whose distances are added up at a time.
const ROWS: usize = 1024;

impl Data<'_> {
    /// Moves every centre; gives the sum of the squared moves.
    pub(super) fn move_centres(&self, centres: &mut Mat, labels: &[usize]) -> f64 {
        let (count, cols) = (centres.rows(), centres.cols());
        let members = members(labels, count);
        let mean = |members: &Vec<usize>| {
            let size = members.len() as f64;
            sum_of(self.rows, members)
                .into_iter()
                .map(|sum| (sum / size) as f32)
                .collect::<Vec<f32>>()
        };
        let means: Vec<Vec<f32>> = members.par_iter().map(mean).collect();
        let mut moved = Mat::from_vec(count, cols, means.concat());
        if self.options.spherical {
            normalize(moved.view_mut(), &mut vec![0.0; count]);
        }
        let distance = squared_distance(moved.data(), centres.data());
        *centres = moved;
        distance
    }

    /// Sum of the squared distances of the rows to their centres, block by block.
    pub(super) fn inertia(&self, centres: &Mat, labels: &[usize]) -> f64 {
        let blocks: Vec<_> = pieces(labels.len(), ROWS).collect();
        let of_row = |row: usize| squared_distance(self.rows.row(row), centres.row(labels[row]));
        let sums: Vec<f64> = blocks
            .into_par_iter()
            .map(|block| block.map(of_row).sum())
            .collect();
        sums.iter().sum()
    }
}

/// Rows of each cluster, in their order.
fn members(labels: &[usize], clusters: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); clusters];
    labels
        .iter()
        .enumerate()
        .for_each(|(row, &label)| members[label].push(row));
    members
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum()
}

/// Mean over the columns of their variances over the rows.
pub(super) fn mean_variance(rows: MatRef<'_>) -> f64 {
    let count = rows.rows() as f64;
    let all: Vec<usize> = (0..rows.rows()).collect();
    let means: Vec<f64> = sum_of(rows, &all)
        .into_iter()
        .map(|sum| sum / count)
        .collect();
    let deviation = |row: usize| {
        rows.row(row)
            .iter()
            .zip(&means)
            .map(|(&x, mean)| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
    };
    (0..rows.rows()).map(deviation).sum::<f64>() / (count * rows.cols().max(1) as f64)
}
