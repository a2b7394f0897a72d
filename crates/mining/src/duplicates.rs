//! Groups of near-duplicates: rows that a chain of similar pairs connects.

use std::ops::Range;

use matryo_base::Progress;
use matryo_kernels::MatRef;
use rayon::prelude::*;

use crate::{
    MiningError,
    blocks::{COLUMNS, ROWS, in_order, pieces, products},
    central::nearest_to_sum,
    error::check_threshold,
    groups::groups,
    union_find::UnionFind,
    unit::unit_rows,
};

/// Rows that are near-duplicates of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateGroup {
    /// The member nearest to the group's centroid; of equal ones the first.
    pub representative: usize,
    /// At least two, in the order of the rows.
    pub members: Vec<usize>,
}

/// The connected components of two rows or more of the graph whose edges are the pairs with a cosine of at least `threshold` (-1 to
/// 1); the largest first, of equal ones that with the first row. Rows of one group need not all be that near to each other.
///
/// Exact: every pair is compared, once. Memory: a copy of `embeddings` `[rows, dim]`, and of each block of pairs only as many as
/// connect its rows.
///
/// # Errors
/// [`MiningError::Setting`], [`MiningError::NotFinite`].
pub fn duplicates(
    embeddings: MatRef<'_>,
    threshold: f32,
    progress: Progress<'_>,
) -> Result<Vec<DuplicateGroup>, MiningError> {
    check_threshold(threshold)?;
    let unit = unit_rows(embeddings)?;
    let unit = unit.view();
    let blocks = upper_triangle(unit.rows());
    let mut sets = UnionFind::new(unit.rows());
    let connect = |edges: Vec<(usize, usize)>| {
        for (a, b) in edges {
            sets.union(a, b);
        }
    };
    in_order(
        blocks.len(),
        progress,
        |block| edges(unit, &blocks[block], threshold),
        connect,
    );
    let mut groups = groups(&sets.labels());
    groups.retain(|members| members.len() > 1);
    let group = |members: Vec<usize>| DuplicateGroup {
        representative: nearest_to_sum(unit, &members, 1)[0],
        members,
    };
    Ok(groups.into_par_iter().map(group).collect())
}

/// Rows and columns of a block of pairs.
type Block = (Range<usize>, Range<usize>);

/// Blocks that hold every pair of a smaller and a larger row number.
fn upper_triangle(rows: usize) -> Vec<Block> {
    let columns_from =
        |start: usize| pieces(rows, COLUMNS).filter(move |columns| columns.end > start);
    pieces(rows, ROWS)
        .flat_map(|rows| columns_from(rows.start).map(move |columns| (rows.clone(), columns)))
        .collect()
}

/// Pairs of a block within the threshold, without those that others of the block make superfluous.
fn edges(unit: MatRef<'_>, (rows, columns): &Block, threshold: f32) -> Vec<(usize, usize)> {
    let scores = products(
        unit.row_range(rows.start, rows.end),
        unit.row_range(columns.start, columns.end),
    );
    let mut sets = UnionFind::new(rows.len() + columns.len());
    let mut edges = Vec::new();
    for (i, a) in rows.clone().enumerate() {
        for (j, b) in columns
            .clone()
            .enumerate()
            .skip((a + 1).saturating_sub(columns.start))
        {
            if scores.row(i)[j] >= threshold && sets.union(i, rows.len() + j) {
                edges.push((a, b));
            }
        }
    }
    edges
}
