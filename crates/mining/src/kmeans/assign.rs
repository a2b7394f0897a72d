//! Each row to the nearest centre.

use std::collections::HashSet;

use matryo_kernels::{Epilogue, Level, Mat, PackedWeight, Weight, alone, linear};
use rayon::prelude::*;

use super::Data;
use crate::blocks::pieces;

/// Products held a thread: 4 MB, or a strip of few rows when there are very many centres.
const PRODUCTS: usize = 1 << 20;
const LEAST_ROWS: usize = 32;
const MOST_ROWS: usize = 1024;

/// Where the rows belong.
pub(super) struct Assignment {
    /// The centre of each row; each has a row.
    pub(super) labels: Vec<usize>,
    /// Squared distance of each row to it, before empty clusters were filled.
    pub(super) distances: Vec<f32>,
}

impl Data<'_> {
    /// The nearest centre of each row, of equally near ones the first. `|x - c|^2 = |x|^2 - 2 (x . c - |c|^2 / 2)`, so the nearest
    /// has the largest bracket.
    pub(super) fn assign(&self, centres: &Mat) -> Assignment {
        let half_squares = |c: usize| -centres.row(c).iter().map(|x| x * x).sum::<f32>() / 2.0;
        let bias: Vec<f32> = (0..centres.rows()).map(half_squares).collect();
        let packed = PackedWeight::new(Level::chosen(), centres.view());
        let size = (PRODUCTS / centres.rows()).clamp(LEAST_ROWS, MOST_ROWS);
        let blocks: Vec<_> = pieces(self.rows.rows(), size).collect();
        let nearest = |block: &std::ops::Range<usize>| {
            let rows = self.rows.row_range(block.start, block.end);
            let mut scores = Mat::zeros(block.len(), centres.rows());
            let epilogue = Epilogue {
                bias: Some(&bias),
                ..Epilogue::default()
            };
            alone(|| {
                linear(
                    Level::chosen(),
                    scores.view_mut(),
                    rows,
                    Weight::Packed(&packed),
                    epilogue,
                )
            });
            (0..block.len())
                .map(|i| largest(scores.row(i)))
                .collect::<Vec<_>>()
        };
        let nearest: Vec<Vec<(usize, f32)>> = blocks.par_iter().map(nearest).collect();
        let (labels, scores): (Vec<usize>, Vec<f32>) = nearest.into_iter().flatten().unzip();
        let distances = scores
            .iter()
            .zip(&self.squares)
            .map(|(score, square)| (square - 2.0 * score).max(0.0))
            .collect();
        let mut assignment = Assignment { labels, distances };
        assignment.fill_empty(centres.rows());
        assignment
    }
}

/// The first of the largest values, and the value.
fn largest(scores: &[f32]) -> (usize, f32) {
    let mut best = (0, scores[0]);
    for (place, &score) in scores.iter().enumerate().skip(1) {
        if score > best.1 {
            best = (place, score);
        }
    }
    best
}

impl Assignment {
    /// Gives each empty cluster the row that is farthest from its own centre and not alone there.
    fn fill_empty(&mut self, clusters: usize) {
        let mut sizes = vec![0_usize; clusters];
        self.labels.iter().for_each(|&label| sizes[label] += 1);
        let empty: Vec<usize> = (0..clusters)
            .filter(|&cluster| sizes[cluster] == 0)
            .collect();
        let mut moved = HashSet::new();
        for cluster in empty {
            let free = (0..self.labels.len())
                .filter(|row| sizes[self.labels[*row]] > 1 && !moved.contains(row));
            let farther = |a: usize, b: usize| {
                if self.distances[b] > self.distances[a] {
                    b
                } else {
                    a
                }
            };
            let Some(row) = free.reduce(farther) else {
                return;
            };
            sizes[self.labels[row]] -= 1;
            sizes[cluster] = 1;
            self.labels[row] = cluster;
            moved.insert(row);
        }
    }
}
