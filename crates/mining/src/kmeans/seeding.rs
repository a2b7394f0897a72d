//! Greedy k-means++: each further centre is the best of a few rows drawn in proportion to their squared distance from the centres so far.

use matryo_kernels::{Mat, alone};
use rayon::prelude::*;

use super::Data;
use crate::{
    blocks::{pieces, products},
    random::Random,
};

/// Rows compared with the candidates at a time.
const ROWS: usize = 4096;

impl Data<'_> {
    /// Centres to begin with. Rows are drawn as in scikit-learn's `kmeans_plusplus`, from other random numbers.
    pub(super) fn seed_centres(&self, random: &mut Random) -> Mat {
        let (k, rows) = (self.options.n_clusters, self.rows.rows());
        let trials = 2 + (k as f64).ln() as usize;
        let first = random.below(rows);
        let mut chosen = vec![first];
        let mut nearest = self.distances_to(&[first]).remove(0);
        while chosen.len() < k {
            let candidates = draw(&nearest, trials, random);
            let closer = |distances: Vec<f32>| {
                nearest
                    .iter()
                    .zip(distances)
                    .map(|(a, b)| a.min(b))
                    .collect()
            };
            let trials: Vec<Vec<f32>> = self
                .distances_to(&candidates)
                .into_iter()
                .map(closer)
                .collect();
            let potential = |trial: &Vec<f32>| trial.iter().map(|&d| f64::from(d)).sum::<f64>();
            let potentials: Vec<f64> = trials.iter().map(potential).collect();
            let best =
                (0..trials.len()).reduce(|a, b| if potentials[b] < potentials[a] { b } else { a });
            let best = best.expect("at least two trials");
            chosen.push(candidates[best]);
            nearest = trials
                .into_iter()
                .nth(best)
                .expect("the best is one of them");
        }
        self.gather(&chosen)
    }

    fn gather(&self, rows: &[usize]) -> Mat {
        let values = rows
            .iter()
            .flat_map(|&row| self.rows.row(row).iter().copied())
            .collect();
        Mat::from_vec(rows.len(), self.rows.cols(), values)
    }

    /// For each candidate the squared distances of all rows to it.
    fn distances_to(&self, candidates: &[usize]) -> Vec<Vec<f32>> {
        let centres = self.gather(candidates);
        let blocks: Vec<_> = pieces(self.rows.rows(), ROWS).collect();
        let of_block = |block: std::ops::Range<usize>| {
            let scores =
                alone(|| products(centres.view(), self.rows.row_range(block.start, block.end)));
            let distance = |c: usize, i: usize| {
                let squares = self.squares[block.start + i] + self.squares[candidates[c]];
                (squares - 2.0 * scores.row(c)[i]).max(0.0)
            };
            let of_candidate = |c: usize| {
                (0..block.len())
                    .map(|i| distance(c, i))
                    .collect::<Vec<f32>>()
            };
            (0..candidates.len()).map(of_candidate).collect::<Vec<_>>()
        };
        let parts: Vec<Vec<Vec<f32>>> = blocks.into_par_iter().map(of_block).collect();
        (0..candidates.len())
            .map(|c| {
                parts
                    .iter()
                    .flat_map(|part| part[c].iter().copied())
                    .collect()
            })
            .collect()
    }
}

/// `trials` rows, each drawn in proportion to `weights`; the first row if all are 0.
fn draw(weights: &[f32], trials: usize, random: &mut Random) -> Vec<usize> {
    let mut sum = 0.0;
    let running = weights.iter().map(|&weight| {
        sum += f64::from(weight);
        sum
    });
    let running: Vec<f64> = running.collect();
    let at = |value: f64| {
        running
            .partition_point(|&sum| sum < value)
            .min(weights.len() - 1)
    };
    (0..trials)
        .map(|_| at(random.uniform() * running[running.len() - 1]))
        .collect()
}
