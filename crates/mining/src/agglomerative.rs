//! Agglomerative clustering by cosine distance: the two nearest clusters become one, again and again.

use kodama::{Dendrogram, Method};
use matryo_kernels::{MatRef, alone};
use rayon::prelude::*;

use crate::{
    MiningError,
    blocks::{pieces, products},
    error::check_positive,
    union_find::UnionFind,
    unit::unit_rows,
};

/// The most rows that can be clustered: their distances take 2 GiB.
pub const AGGLOMERATIVE_ROWS: usize = 32_768;

/// Rows of distances calculated at a time.
const ROWS: usize = 64;

/// Distance of two clusters, from the distances of their members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linkage {
    /// The mean.
    #[default]
    Average,
    /// The largest.
    Complete,
    /// The smallest.
    Single,
}

/// Where merging ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// At this number of clusters.
    Clusters(usize),
    /// Before clusters at this distance or above are merged; distances are 1 - cosine, 0 to 2.
    DistanceThreshold(f32),
}

impl Linkage {
    /// All.
    pub const ALL: [Self; 3] = [Self::Average, Self::Complete, Self::Single];

    /// scikit-learn's name: `average`, `complete`, `single`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Complete => "complete",
            Self::Single => "single",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Average => Method::Average,
            Self::Complete => Method::Complete,
            Self::Single => Method::Single,
        }
    }
}

/// The cluster of each row of `embeddings` `[rows, dim]`; clusters are numbered by their first row.
///
/// Semantics of scikit-learn's `AgglomerativeClustering(metric="cosine")`, except for the numbering. Takes
/// `2 rows (rows - 1)` bytes for the distances, and time in proportion (Müllner 2011, in the crate kodama).
///
/// # Errors
/// [`MiningError::TooManyRows`] above [`AGGLOMERATIVE_ROWS`], before anything is calculated; [`MiningError::TooManyClusters`],
/// [`MiningError::Setting`], [`MiningError::NotFinite`].
pub fn agglomerative(
    embeddings: MatRef<'_>,
    linkage: Linkage,
    cut: Cut,
) -> Result<Vec<usize>, MiningError> {
    let rows = embeddings.rows();
    check_cut(cut, rows)?;
    if rows > AGGLOMERATIVE_ROWS {
        return Err(MiningError::TooManyRows {
            rows,
            limit: AGGLOMERATIVE_ROWS,
        });
    }
    let unit = unit_rows(embeddings)?;
    if rows < 2 {
        return Ok(vec![0; rows]);
    }
    let dendrogram = kodama::linkage(&mut distances(unit.view()), rows, linkage.method());
    Ok(labels(&dendrogram, cut))
}

fn check_cut(cut: Cut, rows: usize) -> Result<(), MiningError> {
    match cut {
        Cut::Clusters(clusters) if clusters > rows => {
            Err(MiningError::TooManyClusters { clusters, rows })
        }
        Cut::Clusters(clusters) => check_positive("n_clusters", clusters),
        Cut::DistanceThreshold(distance) if distance >= 0.0 => Ok(()),
        Cut::DistanceThreshold(distance) => Err(MiningError::setting(
            "distance_threshold",
            distance,
            "1 - cosine, 0 or more",
        )),
    }
}

/// Distances of each row to those after it, row after row.
fn distances(unit: MatRef<'_>) -> Vec<f32> {
    let rows = unit.rows();
    let mut distances = vec![0.0; rows * (rows - 1) / 2];
    let (mut rest, mut blocks) = (&mut distances[..], Vec::new());
    for block in pieces(rows, ROWS) {
        let (own, others) =
            std::mem::take(&mut rest).split_at_mut(block.clone().map(|row| rows - 1 - row).sum());
        blocks.push((block, own));
        rest = others;
    }
    blocks.into_par_iter().for_each(|(block, mut own)| {
        let first = block.start;
        let scores = alone(|| {
            products(
                unit.row_range(first, block.end),
                unit.row_range(first, rows),
            )
        });
        for row in block {
            let (values, others) = std::mem::take(&mut own).split_at_mut(rows - 1 - row);
            let scores = &scores.row(row - first)[row - first + 1..];
            values
                .iter_mut()
                .zip(scores)
                .for_each(|(value, score)| *value = (1.0 - score).clamp(0.0, 2.0));
            own = others;
        }
    });
    distances
}

/// Follows the merges up to the cut. A number from `rows` on is the cluster of that step.
fn labels(dendrogram: &Dendrogram<f32>, cut: Cut) -> Vec<usize> {
    let rows = dendrogram.observations();
    let steps = dendrogram.steps();
    let merges = match cut {
        Cut::Clusters(clusters) => rows - clusters,
        Cut::DistanceThreshold(distance) => steps
            .iter()
            .take_while(|step| step.dissimilarity < distance)
            .count(),
    };
    let mut sets = UnionFind::new(rows);
    let mut member_of_step = Vec::with_capacity(merges);
    for step in &steps[..merges] {
        let member = |cluster: usize, known: &[usize]| {
            if cluster < rows {
                cluster
            } else {
                known[cluster - rows]
            }
        };
        let (a, b) = (
            member(step.cluster1, &member_of_step),
            member(step.cluster2, &member_of_step),
        );
        sets.union(a, b);
        member_of_step.push(a);
    }
    sets.labels()
}
