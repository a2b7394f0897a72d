//! How much each row wants to be near each of its neighbours: `P` of t-SNE (van der Maaten and Hinton 2008, eq. 1 and 2), of the
//! nearest neighbours alone (van der Maaten 2014, eq. 6).

use matryo_index::Hit;
use rayon::prelude::*;

/// Halvings of the interval in which the width of a row's Gaussian is sought; the entropy is right to about 1e-5 then.
const HALVINGS: usize = 64;
const PRECISE: f64 = 1e-5;

/// A symmetric matrix that is mostly 0, by rows.
pub(super) struct Affinities {
    pub starts: Vec<usize>,
    pub columns: Vec<u32>,
    pub values: Vec<f64>,
}

impl Affinities {
    /// From the cosines of each row's neighbours. Sums to 1.
    pub fn new(neighbours: &[Vec<Hit>], perplexity: f64) -> Self {
        let conditional: Vec<Vec<f64>> = neighbours
            .par_iter()
            .map(|hits| row(hits, perplexity))
            .collect();
        let mut rows: Vec<Vec<(u32, f64)>> = vec![Vec::new(); neighbours.len()];
        let share = 1.0 / (2 * neighbours.len().max(1)) as f64;
        for (i, (hits, values)) in neighbours.iter().zip(&conditional).enumerate() {
            for (hit, value) in hits.iter().zip(values) {
                rows[i].push((hit.row as u32, value * share));
                rows[hit.row].push((i as u32, value * share));
            }
        }
        Self::packed(rows)
    }

    fn packed(rows: Vec<Vec<(u32, f64)>>) -> Self {
        let mut packed = Self {
            starts: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
        };
        for mut row in rows {
            // Stable: the two halves of a pair are added in the order in which they were pushed.
            row.sort_by_key(|(column, _)| *column);
            for (column, value) in row {
                let start = packed.starts.last().copied().unwrap_or_default();
                if packed.columns.len() > start && packed.columns.last() == Some(&column) {
                    *packed.values.last_mut().expect("as long as the columns") += value;
                } else {
                    packed.columns.push(column);
                    packed.values.push(value);
                }
            }
            packed.starts.push(packed.columns.len());
        }
        packed
    }

    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[i]..self.starts[i + 1];
        self.columns[range.clone()]
            .iter()
            .map(|&column| column as usize)
            .zip(self.values[range].iter().copied())
    }
}

/// Shares of one row's neighbours, whose entropy is that of `perplexity` equal ones.
fn row(hits: &[Hit], perplexity: f64) -> Vec<f64> {
    // Squared distance of unit vectors.
    let distances: Vec<f64> = hits
        .iter()
        .map(|hit| (2.0 - 2.0 * f64::from(hit.score)).max(0.0))
        .collect();
    let wanted = perplexity.min(hits.len() as f64).ln();
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..HALVINGS {
        let (shares, entropy) = shares(&distances, beta);
        if (entropy - wanted).abs() < PRECISE {
            return shares;
        }
        if entropy > wanted {
            low = beta
        } else {
            high = beta
        }
        beta = if high.is_infinite() {
            beta * 2.0
        } else {
            (low + high) / 2.0
        };
    }
    shares(&distances, beta).0
}

fn shares(distances: &[f64], beta: f64) -> (Vec<f64>, f64) {
    let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let mut shares: Vec<f64> = distances
        .iter()
        .map(|d| (-beta * (d - least)).exp())
        .collect();
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    let entropy = shares
        .iter()
        .filter(|&&share| share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    (shares, entropy)
}
