//! Communities: rows with many others near them (semantics of `community_detection` in sentence_transformers/util/retrieval.py 5.7).

use std::cmp::Reverse;

use matryo_base::Progress;
use matryo_kernels::{Mat, MatRef};
use rayon::prelude::*;

use crate::{
    MiningError,
    blocks::{COLUMNS, ROWS, in_order, pieces, products},
    error::{check_positive, check_threshold},
    unit::unit_rows,
};

/// Members of communities that are held at a time, overlapping ones included: 128 MB.
const MEMBERS_AT_ONCE: usize = 1 << 24;

/// Settings with upstream's names and defaults.
#[derive(Clone, Copy)]
pub struct CommunityOptions<'a> {
    /// Least cosine to the central member, -1 to 1.
    pub threshold: f32,
    /// Least number of members, the central one included.
    pub min_community_size: usize,
    /// Called as the work goes on.
    pub progress: Progress<'a>,
}

impl Default for CommunityOptions<'_> {
    fn default() -> Self {
        Self {
            threshold: 0.75,
            min_community_size: 10,
            progress: Progress::none(),
        }
    }
}

/// Disjoint communities among the rows of `embeddings` `[rows, dim]`, the largest first; the members of each from the nearest to its
/// central row on, of equally near ones (an order that upstream leaves to `torch.topk`) the first row first.
///
/// Candidates are the rows with enough others near them, the one with the most first; each keeps the members that no candidate
/// before it took, and counts if these are still enough. Upstream keeps the members of every candidate, which can be as many as the
/// square of the rows. Here the first pass counts and the second compares the candidates once more, in the order in which
/// they are needed: memory is bounded, for at most twice the time.
///
/// # Errors
/// [`MiningError::Setting`], [`MiningError::NotFinite`].
pub fn community_detection(
    embeddings: MatRef<'_>,
    options: &CommunityOptions<'_>,
) -> Result<Vec<Vec<usize>>, MiningError> {
    check_threshold(options.threshold)?;
    check_positive("min_community_size", options.min_community_size)?;
    let unit = unit_rows(embeddings)?;
    let least = options.min_community_size.min(unit.rows());
    let counts = neighbours(unit.view(), options);
    let mut candidates: Vec<usize> = (0..unit.rows())
        .filter(|&row| counts[row] >= least)
        .collect();
    candidates.sort_by_key(|&row| Reverse(counts[row]));
    let mut taken = vec![false; unit.rows()];
    let mut communities = Vec::new();
    for batch in batches(&candidates, &counts) {
        for mut community in near(unit.view(), batch, options.threshold, &taken) {
            community.retain(|&row| !taken[row]);
            if community.len() >= least {
                community.iter().for_each(|&row| taken[row] = true);
                communities.push(community);
            }
        }
    }
    communities.sort_by_key(|community| Reverse(community.len()));
    Ok(communities)
}

/// For each row the number of rows within the threshold, itself included.
fn neighbours(unit: MatRef<'_>, options: &CommunityOptions<'_>) -> Vec<usize> {
    let blocks: Vec<_> = pieces(unit.rows(), ROWS).collect();
    let count = |block: usize| {
        let rows = unit.row_range(blocks[block].start, blocks[block].end);
        let mut counts = vec![0; rows.rows()];
        for columns in pieces(unit.rows(), COLUMNS) {
            let scores = products(rows, unit.row_range(columns.start, columns.end));
            for (i, count) in counts.iter_mut().enumerate() {
                *count += scores
                    .row(i)
                    .iter()
                    .filter(|&&score| score >= options.threshold)
                    .count();
            }
        }
        counts
    };
    let mut counts = Vec::with_capacity(unit.rows());
    in_order(blocks.len(), options.progress, count, |block| {
        counts.extend(block)
    });
    counts
}

/// Candidates in their order, cut so that the members of a batch stay within bounds.
fn batches<'a>(candidates: &'a [usize], counts: &'a [usize]) -> impl Iterator<Item = &'a [usize]> {
    let mut rest = candidates;
    std::iter::from_fn(move || {
        let mut members = 0;
        let within = rest.iter().take(ROWS).take_while(|&&row| {
            members += counts[row];
            members <= MEMBERS_AT_ONCE
        });
        let (batch, others) = rest.split_at(within.count().max(1).min(rest.len()));
        rest = others;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Free rows within the threshold of each candidate, the nearest first.
fn near(unit: MatRef<'_>, candidates: &[usize], threshold: f32, taken: &[bool]) -> Vec<Vec<usize>> {
    let rows: Vec<f32> = candidates
        .iter()
        .flat_map(|&row| unit.row(row).iter().copied())
        .collect();
    let rows = Mat::from_vec(candidates.len(), unit.cols(), rows);
    let mut found = vec![Vec::new(); candidates.len()];
    let free = |start: usize, scores: &[f32], found: &mut Vec<(f32, usize)>| {
        let numbered = (start..).zip(scores);
        found.extend(
            numbered
                .filter(|&(row, &s)| s >= threshold && !taken[row])
                .map(|(row, &s)| (s, row)),
        );
    };
    for columns in pieces(unit.rows(), COLUMNS) {
        let scores = products(rows.view(), unit.row_range(columns.start, columns.end));
        found
            .par_iter_mut()
            .enumerate()
            .for_each(|(i, found)| free(columns.start, scores.row(i), found));
    }
    let sorted = |mut members: Vec<(f32, usize)>| {
        members.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        members.into_iter().map(|(_, row)| row).collect()
    };
    found.into_par_iter().map(sorted).collect()
}
