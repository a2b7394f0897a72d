//! t-SNE with Barnes and Hut's sums (van der Maaten 2014): O(n log n) a round. Steps and defaults are those of scikit-learn's `TSNE`.

use matryo_base::Progress;
use matryo_index::{FlatIndex, Hit, MatRef, Metric, Storage};
use rayon::prelude::*;

use super::{Point, affinities::Affinities, pca::main_plane, quadtree::Quadtree};
use crate::{MiningError, unit::unit_rows};

/// Rounds in which neighbours are pulled together more than they should be, so that groups can pass each other.
const EARLY: usize = 250;
const EXAGGERATION: f64 = 12.0;

/// Spread of the start.
const START: f64 = 1e-4;

const EARLY_MOMENTUM: f64 = 0.5;
const MOMENTUM: f64 = 0.8;
const LEAST_GAIN: f64 = 0.01;
const LEAST_RATE: f64 = 50.0;

/// How to lay points out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TsneOptions {
    /// About how many neighbours each point minds; a third of the other rows at most.
    pub perplexity: f64,
    /// Rounds.
    pub iterations: usize,
    /// From how small an angle a group of points counts as one; 0 is exact.
    pub angle: f64,
}

impl Default for TsneOptions {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            iterations: 1000,
            angle: 0.5,
        }
    }
}

/// A point of the plane for each row of `embeddings` `[rows, dim]`, near those of its neighbours by cosine.
///
/// What scikit-learn's `TSNE` does with unit vectors: its affinities, start, gradient and steps. After hundreds of rounds the last bits
/// of a number decide where a group lies, so its points are others. `progress` is told of each round.
///
/// # Errors
/// [`MiningError::NotFinite`].
pub fn tsne(
    embeddings: MatRef<'_>,
    options: &TsneOptions,
    progress: Progress<'_>,
) -> Result<Vec<Point>, MiningError> {
    let unit = unit_rows(embeddings)?;
    let perplexity = options
        .perplexity
        .min(unit.rows().saturating_sub(1) as f64 / 3.0)
        .max(1.0);
    let affinities = Affinities::new(
        &neighbours(unit.view(), 3 * perplexity as usize + 1),
        perplexity,
    );
    let mut layout = Layout::new(main_plane(unit.view()));
    for round in 0..options.iterations {
        layout.advance(&affinities, round < EARLY, options.angle);
        progress.advance(round + 1, options.iterations);
    }
    Ok(layout.points)
}

/// The `count` nearest rows of each, without itself.
fn neighbours(unit: MatRef<'_>, count: usize) -> Vec<Vec<Hit>> {
    let mut found = FlatIndex::new(unit, Storage::Float32, Metric::Dot).search(unit, count + 1);
    for (row, hits) in found.iter_mut().enumerate() {
        hits.retain(|hit| hit.row != row);
        hits.truncate(count);
    }
    found
}

/// Points, and what moves them.
struct Layout {
    points: Vec<Point>,
    steps: Vec<Point>,
    gains: Vec<Point>,
    rate: f64,
}

impl Layout {
    /// From a plane, shrunk to the spread that t-SNE starts with.
    fn new(plane: Vec<Point>) -> Self {
        let count = plane.len();
        let spread = (plane.iter().map(|point| point[0] * point[0]).sum::<f64>()
            / count.max(1) as f64)
            .sqrt();
        let scale = if spread > 0.0 { START / spread } else { 0.0 };
        Self {
            points: plane
                .into_iter()
                .map(|point| point.map(|x| x * scale))
                .collect(),
            steps: vec![[0.0; 2]; count],
            gains: vec![[1.0; 2]; count],
            rate: (count as f64 / EXAGGERATION / 4.0).max(LEAST_RATE),
        }
    }

    fn advance(&mut self, affinities: &Affinities, early: bool, angle: f64) {
        let (exaggeration, momentum) = if early {
            (EXAGGERATION, EARLY_MOMENTUM)
        } else {
            (1.0, MOMENTUM)
        };
        let slopes = gradient(&self.points, affinities, exaggeration, angle);
        let moving = self
            .points
            .iter_mut()
            .zip(&mut self.steps)
            .zip(&mut self.gains)
            .zip(&slopes);
        for (((point, step), gain), slope) in moving {
            for axis in 0..2 {
                // A step against the slope, longer where the direction stays (Jacobs 1988).
                let onwards = slope[axis] * step[axis] < 0.0;
                gain[axis] = if onwards {
                    gain[axis] + 0.2
                } else {
                    (gain[axis] * 0.8).max(LEAST_GAIN)
                };
                step[axis] = momentum * step[axis] - self.rate * gain[axis] * slope[axis];
                point[axis] += step[axis];
            }
        }
    }
}

/// Slope of the Kullback-Leibler divergence (van der Maaten 2014, eq. 8).
fn gradient(
    points: &[Point],
    affinities: &Affinities,
    exaggeration: f64,
    angle: f64,
) -> Vec<Point> {
    let tree = Quadtree::new(points);
    let repulsions: Vec<(Point, f64)> = points
        .par_iter()
        .map_init(Vec::new, |stack, point| {
            tree.repulsion(*point, angle, stack)
        })
        .collect();
    let total: f64 = repulsions
        .iter()
        .map(|(_, q)| q)
        .sum::<f64>()
        .max(f64::MIN_POSITIVE);
    let slope = |(i, (away, _)): (usize, &(Point, f64))| {
        let mut pull = [0.0; 2];
        for (j, p) in affinities.row(i) {
            let towards = [points[i][0] - points[j][0], points[i][1] - points[j][1]];
            let q = 1.0 / (1.0 + towards[0] * towards[0] + towards[1] * towards[1]);
            pull = [
                pull[0] + exaggeration * p * q * towards[0],
                pull[1] + exaggeration * p * q * towards[1],
            ];
        }
        [
            4.0 * (pull[0] - away[0] / total),
            4.0 * (pull[1] - away[1] / total),
        ]
    };
    repulsions.par_iter().enumerate().map(slope).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use matryo_index::Mat;
    use matryo_testkit::{Tensor, Tolerance, assert_value, pseudo_random, read_safetensors};

    use super::*;

    const ROWS: usize = 100;
    const OPTIONS: TsneOptions = TsneOptions {
        perplexity: 10.0,
        iterations: 1000,
        angle: 0.5,
    };

    /// A tensor that `python/goldens_mining.py` or `python/goldens_tsne.py` wrote.
    fn golden(file: &str, name: &str) -> Tensor {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(file);
        read_safetensors(path)[name].clone()
    }

    fn rows() -> Mat {
        let all = golden("mining.safetensors", "embeddings");
        let cols = all.rows_cols().1;
        Mat::from_vec(ROWS, cols, all.data[..ROWS * cols].to_vec())
    }

    fn affinities() -> Affinities {
        Affinities::new(
            &neighbours(unit_rows(rows().view()).unwrap().view(), 31),
            OPTIONS.perplexity,
        )
    }

    #[test]
    fn affinities_equal_upstream() {
        let (found, expected) = (affinities(), golden("tsne.safetensors", "affinities"));
        for i in 0..ROWS {
            let mut row = vec![0.0; ROWS];
            found.row(i).for_each(|(j, p)| row[j] = p);
            for (j, p) in row.iter().enumerate() {
                let what = format!("affinity of {i} and {j}");
                assert_value(
                    *p,
                    expected.data[i * ROWS + j].into(),
                    Tolerance::Absolute(2e-7),
                    &what,
                );
            }
        }
    }

    #[test]
    fn gradients_equal_upstream() {
        let points: Vec<Point> = (0..ROWS)
            .map(|i| [(1.7 * i as f64).sin() * 3.0, (2.3 * i as f64).cos()])
            .collect();
        let found = gradient(&points, &affinities(), 1.0, 0.0);
        let expected = golden("tsne.safetensors", "gradient");
        for (i, (found, expected)) in found.as_flattened().iter().zip(&expected.data).enumerate() {
            assert_value(
                *found,
                (*expected).into(),
                Tolerance::Absolute(2e-7),
                &format!("component {i}"),
            );
        }
    }

    /// Venna and Kaski 2001: 1 less what rows that are near on the map, and not among the vectors, cost.
    fn trustworthiness(rows: &Mat, points: &[Point], k: usize) -> f64 {
        let order = |distances: Vec<f64>| {
            let mut order: Vec<usize> = (0..distances.len()).collect();
            order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
            order
        };
        let squared =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
        let wide = |i: usize| {
            rows.row(i)
                .iter()
                .map(|&x| f64::from(x))
                .collect::<Vec<_>>()
        };
        let n = points.len();
        let cost = (0..n).map(|i| {
            let high = order((0..n).map(|j| squared(&wide(i), &wide(j))).collect());
            let low = order((0..n).map(|j| squared(&points[i], &points[j])).collect());
            let near = low.iter().filter(|&&j| j != i).take(k);
            near.map(|j| {
                high.iter()
                    .position(|other| other == j)
                    .unwrap()
                    .saturating_sub(k)
            })
            .sum::<usize>()
        });
        1.0 - cost.sum::<usize>() as f64 * 2.0 / (n * k * (2 * n - 3 * k - 1)) as f64
    }

    /// The last bits of the rows decide the layout: of 16 that differ by a millionth the trustworthiness is 0.952 to 0.968, of upstream's
    /// 0.956 to 0.964. Hence the middle of several.
    #[test]
    fn neighbours_stay_neighbours_as_upstream_keeps_them() {
        let rows = unit_rows(rows().view()).unwrap();
        let layout = golden("tsne.safetensors", "layout");
        let upstream: Vec<Point> = layout
            .data
            .as_chunks()
            .0
            .iter()
            .map(|point| point.map(f64::from))
            .collect();
        let expected = f64::from(golden("tsne.safetensors", "trustworthiness").data[0]);
        assert_value(
            trustworthiness(&rows, &upstream, 10),
            expected,
            Tolerance::Absolute(1e-3),
            "upstream",
        );
        let of = |seed: u64| {
            let noise = pseudo_random(rows.data().len(), seed);
            let values = rows
                .data()
                .iter()
                .zip(noise)
                .map(|(x, noise)| x + noise * 1e-6)
                .collect();
            let noisy = Mat::from_vec(rows.rows(), rows.cols(), values);
            trustworthiness(
                &rows,
                &tsne(noisy.view(), &OPTIONS, Progress::none()).unwrap(),
                10,
            )
        };
        let mut found: Vec<f64> = (0..15).map(of).collect();
        found.sort_by(f64::total_cmp);
        assert!(found[7] > expected - 0.01, "{found:?}, upstream {expected}");
    }

    #[test]
    fn few_rows_equal_rows_and_none() {
        let finite = |rows: Mat| {
            let points = tsne(
                rows.view(),
                &TsneOptions {
                    iterations: 300,
                    ..OPTIONS
                },
                Progress::none(),
            )
            .unwrap();
            assert_eq!(points.len(), rows.rows());
            assert!(
                points.as_flattened().iter().all(|x| x.is_finite()),
                "{points:?}"
            );
        };
        finite(Mat::zeros(0, 4));
        finite(Mat::from_vec(1, 2, vec![1.0, 0.0]));
        finite(Mat::from_vec(2, 2, vec![1.0, 0.0, 0.0, 1.0]));
        finite(Mat::from_vec(50, 2, [1.0, 0.5].repeat(50)));
        assert!(
            tsne(
                Mat::from_vec(1, 1, vec![f32::NAN]).view(),
                &OPTIONS,
                Progress::none()
            )
            .is_err()
        );
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                tsne(
                    rows().view(),
                    &TsneOptions {
                        iterations: 50,
                        ..OPTIONS
                    },
                    Progress::none(),
                )
                .unwrap()
            })
        };
        assert_eq!(with(1), with(3));
    }
}
