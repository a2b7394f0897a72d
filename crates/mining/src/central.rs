//! The members of a group that are nearest to its middle.

use matryo_kernels::MatRef;
use rayon::prelude::*;

use crate::{MiningError, unit::unit_rows};

/// For each group of rows the up to `count` members with the largest cosine to the group's centroid, the largest first, of equal ones
/// the first. The centroid is the sum of the members' vectors of length 1; so the first is the member whose cosines to all others
/// have the largest mean.
///
/// # Errors
/// [`MiningError::NotFinite`].
pub fn most_central(
    embeddings: MatRef<'_>,
    groups: &[Vec<usize>],
    count: usize,
) -> Result<Vec<Vec<usize>>, MiningError> {
    let unit = unit_rows(embeddings)?;
    Ok(groups
        .par_iter()
        .map(|members| nearest_to_sum(unit.view(), members, count))
        .collect())
}

/// The same for one group of rows of length 1.
pub(crate) fn nearest_to_sum(unit: MatRef<'_>, members: &[usize], count: usize) -> Vec<usize> {
    let sum = sum_of(unit, members);
    let score = |&row: &usize| {
        unit.row(row)
            .iter()
            .zip(&sum)
            .map(|(&x, s)| f64::from(x) * s)
            .sum::<f64>()
    };
    let mut scored: Vec<_> = members.iter().map(|row| (score(row), *row)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().take(count).map(|(_, row)| row).collect()
}

/// Sum of some rows, added up in their order.
pub(crate) fn sum_of(rows: MatRef<'_>, members: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; rows.cols()];
    for &row in members {
        sum.iter_mut()
            .zip(rows.row(row))
            .for_each(|(sum, &x)| *sum += f64::from(x));
    }
    sum
}
