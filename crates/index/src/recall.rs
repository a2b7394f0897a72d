//! How much of an exact search another one finds.

use std::collections::HashSet;

use crate::Hit;

/// The share of the rows in `exact` that `found` has too, a mean over queries: recall@k where both were asked for `k`. Queries
/// without an exact hit are left out; 1 if there are no others. Panics unless both have one entry a query.
pub fn recall(found: &[Vec<Hit>], exact: &[Vec<Hit>]) -> f64 {
    assert_eq!(found.len(), exact.len(), "hits of the same queries");
    let shares: Vec<_> = found
        .iter()
        .zip(exact)
        .filter(|(_, exact)| !exact.is_empty())
        .map(share)
        .collect();
    if shares.is_empty() {
        1.0
    } else {
        shares.iter().sum::<f64>() / shares.len() as f64
    }
}

fn share((found, exact): (&Vec<Hit>, &Vec<Hit>)) -> f64 {
    let found: HashSet<_> = found.iter().map(|hit| hit.row).collect();
    exact.iter().filter(|hit| found.contains(&hit.row)).count() as f64 / exact.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(rows: &[usize]) -> Vec<Hit> {
        rows.iter().map(|&row| Hit { row, score: 0.0 }).collect()
    }

    #[test]
    fn a_mean_over_queries_that_have_hits() {
        let exact = [hits(&[1, 2, 3, 4]), hits(&[7, 8]), hits(&[])];
        assert_eq!(
            recall(&[hits(&[4, 9, 2, 1]), hits(&[8]), hits(&[5])], &exact),
            0.625
        );
        assert_eq!(recall(&exact, &exact), 1.0);
        assert_eq!(recall(&[hits(&[1])], &[hits(&[])]), 1.0);
    }
}
