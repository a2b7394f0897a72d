//! k-means: rows to the nearest of `k` centres, centres to the mean of their rows, until nothing moves (Lloyd 1982).

mod assign;
mod centres;
mod seeding;

use matryo_base::Progress;
use matryo_kernels::{Mat, MatRef};

use crate::{
    MiningError,
    error::check_positive,
    random::Random,
    unit::{check_finite, unit_rows},
};
use assign::Assignment;

/// Settings with the names of scikit-learn's `KMeans`.
#[derive(Clone, Copy)]
pub struct KMeansOptions<'a> {
    /// Number of clusters.
    pub n_clusters: usize,
    /// Rows and centres lie on the unit sphere, so that the nearest centre is that with the largest cosine (spherical k-means, Dhillon
    /// and Modha 2001). Otherwise as scikit-learn's: rows as they are, centres the plain means.
    pub spherical: bool,
    /// Starts from other centres; the one with the least inertia counts, of equal ones the first.
    pub n_init: usize,
    /// Most iterations of a start.
    pub max_iter: usize,
    /// A start ends when the squared moves of all centres sum up to no more than this times the mean variance of the columns.
    pub tol: f64,
    /// Decides the starts.
    pub seed: u64,
    /// Centres `[n_clusters, dim]` of a single start, instead of k-means++.
    pub init: Option<MatRef<'a>>,
    /// Called after each start.
    pub progress: Progress<'a>,
}

impl Default for KMeansOptions<'_> {
    fn default() -> Self {
        Self {
            n_clusters: 8,
            spherical: true,
            n_init: 4,
            max_iter: 300,
            tol: 1e-4,
            seed: 42,
            init: None,
            progress: Progress::none(),
        }
    }
}

/// What k-means found, with the names of scikit-learn's attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// The cluster of each row; none is empty.
    pub labels: Vec<usize>,
    /// The centres `[n_clusters, dim]`.
    pub cluster_centers: Mat,
    /// Sum of the squared Euclidean distances of the rows to their centres; of unit vectors, twice the sum of 1 - cosine.
    pub inertia: f64,
    /// Iterations of the start that counts.
    pub n_iter: usize,
}

/// Clusters the rows of `embeddings` `[rows, dim]`.
///
/// Starts are seeded by greedy k-means++ (Arthur and Vassilvitskii 2007); iterations are those of scikit-learn's
/// `KMeans(algorithm="lloyd")`. A cluster that loses all rows gets the row that is farthest from its centre. An iteration costs one matrix
/// product of rows and centres. Deterministic for a seed, whatever the number of threads.
///
/// # Errors
/// [`MiningError::TooManyClusters`], [`MiningError::Setting`], [`MiningError::Init`], [`MiningError::NotFinite`].
pub fn kmeans(embeddings: MatRef<'_>, options: &KMeansOptions<'_>) -> Result<KMeans, MiningError> {
    check(embeddings, options)?;
    check_finite(embeddings)?;
    let unit = options
        .spherical
        .then(|| unit_rows(embeddings))
        .transpose()?;
    let data = Data::new(unit.as_ref().map_or(embeddings, Mat::view), options);
    let starts = if options.init.is_some() {
        1
    } else {
        options.n_init
    };
    let mut best: Option<KMeans> = None;
    for start in 0..starts {
        let found = data.run(data.initial_centres(start)?);
        options.progress.advance(start + 1, starts);
        if best
            .as_ref()
            .is_none_or(|best| found.inertia < best.inertia)
        {
            best = Some(found);
        }
    }
    Ok(best.expect("at least one start, by the check"))
}

fn check(embeddings: MatRef<'_>, options: &KMeansOptions<'_>) -> Result<(), MiningError> {
    let (clusters, rows) = (options.n_clusters, embeddings.rows());
    check_positive("n_clusters", clusters)?;
    check_positive("n_init", options.n_init)?;
    check_positive("max_iter", options.max_iter)?;
    if clusters > rows {
        return Err(MiningError::TooManyClusters { clusters, rows });
    }
    let Some(init) = options.init else {
        return Ok(());
    };
    let (found, expected) = ((init.rows(), init.cols()), (clusters, embeddings.cols()));
    if found != expected {
        return Err(MiningError::Init { found, expected });
    }
    check_finite(init)
}

/// The rows to cluster, and what all starts need to know of them.
struct Data<'a> {
    rows: MatRef<'a>,
    options: &'a KMeansOptions<'a>,
    /// Squared length of each row.
    squares: Vec<f32>,
    /// Moves of the centres below which a start ends.
    tolerance: f64,
}

impl<'a> Data<'a> {
    fn new(rows: MatRef<'a>, options: &'a KMeansOptions<'a>) -> Self {
        let square = |row: usize| rows.row(row).iter().map(|x| x * x).sum();
        let squares = (0..rows.rows()).map(square).collect();
        Self {
            rows,
            options,
            squares,
            tolerance: options.tol * centres::mean_variance(rows),
        }
    }

    fn initial_centres(&self, start: usize) -> Result<Mat, MiningError> {
        match self.options.init {
            Some(init) if self.options.spherical => unit_rows(init),
            Some(init) => Ok(init.to_mat()),
            None => Ok(self.seed_centres(&mut Random::new(self.options.seed, start))),
        }
    }

    /// One start, to its end.
    fn run(&self, mut centres: Mat) -> KMeans {
        let mut last: Option<Vec<usize>> = None;
        let mut n_iter = 0;
        let labels = loop {
            let Assignment { labels, .. } = self.assign(&centres);
            if n_iter == self.options.max_iter {
                break labels;
            }
            n_iter += 1;
            let moved = self.move_centres(&mut centres, &labels);
            if last.as_ref() == Some(&labels) {
                break labels;
            }
            if moved <= self.tolerance {
                break self.assign(&centres).labels;
            }
            last = Some(labels);
        };
        let inertia = self.inertia(&centres, &labels);
        KMeans {
            labels,
            cluster_centers: centres,
            inertia,
            n_iter,
        }
    }
}
