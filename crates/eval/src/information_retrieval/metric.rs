//! Metrics of a ranking with binary relevance, and their averages over queries.

use std::fmt;

/// A metric over the first k documents of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// 1 if a relevant document is there.
    Accuracy,
    /// Relevant documents there, divided by k even where fewer than k documents exist.
    Precision,
    /// Relevant documents there, divided by the number of all relevant ones.
    Recall,
    /// Sum of `1 / log2(rank + 1)` over relevant documents there, divided by that of the best possible ranking.
    Ndcg,
    /// 1 divided by the rank of the first relevant document there, else 0.
    Mrr,
    /// Sum over relevant documents there of the precision at their rank, divided by the most there could be.
    Map,
}

impl Metric {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 6] = [
        Self::Accuracy,
        Self::Precision,
        Self::Recall,
        Self::Ndcg,
        Self::Mrr,
        Self::Map,
    ];

    /// As it stands in keys: `ndcg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Ndcg => "ndcg",
            Self::Mrr => "mrr",
            Self::Map => "map",
        }
    }

    /// The value for one query: `found` says of each document of the ranking, best first, whether it is relevant; `relevant` is the
    /// number of relevant documents, at least 1.
    pub fn of_query(self, found: &[bool], relevant: usize, k: usize) -> f64 {
        let found = &found[..k.min(found.len())];
        let hits = || found.iter().filter(|hit| **hit).count() as f64;
        match self {
            Self::Accuracy => f64::from(u8::from(found.contains(&true))),
            Self::Precision => hits() / k as f64,
            Self::Recall => hits() / relevant as f64,
            Self::Ndcg => gain(found.iter().copied()) / gain((0..relevant.min(k)).map(|_| true)),
            Self::Mrr => found
                .iter()
                .position(|hit| *hit)
                .map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
            Self::Map => sum_of_precisions(found) / k.min(relevant) as f64,
        }
    }

    /// The average over queries, added up in upstream's order, so that the last digits agree too.
    pub fn average(self, values: &[f64]) -> f64 {
        let sum = match self {
            Self::Accuracy | Self::Mrr => values.iter().sum(),
            _ => pairwise_sum(values),
        };
        sum / values.len() as f64
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Discounted cumulative gain (Järvelin & Kekäläinen 2002) of binary relevance.
fn gain(found: impl Iterator<Item = bool>) -> f64 {
    found
        .enumerate()
        .filter(|(_, hit)| *hit)
        .map(|(rank, _)| 1.0 / (rank as f64 + 2.0).log2())
        .sum()
}

fn sum_of_precisions(found: &[bool]) -> f64 {
    let ranks = found
        .iter()
        .enumerate()
        .filter(|(_, hit)| **hit)
        .map(|(rank, _)| rank + 1);
    ranks
        .zip(1..)
        .map(|(rank, hits)| f64::from(hits) / rank as f64)
        .sum()
}

/// The order in which numpy adds the numbers of one array: eight running sums over blocks of up to 128, blocks in halves
/// (`pairwise_sum` in numpy/core/src/umath/loops_utils.h).
fn pairwise_sum(values: &[f64]) -> f64 {
    const BLOCK: usize = 128;
    if values.len() > BLOCK {
        let half = values.len() / 2;
        let (first, second) = values.split_at(half - half % 8);
        return pairwise_sum(first) + pairwise_sum(second);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let Some((first, others)) = eights.split_first() else {
        return rest.iter().sum();
    };
    let mut sums = *first;
    for eight in others {
        (0..8).for_each(|i| sums[i] += eight[i]);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(total, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values worked out by hand for relevant documents at ranks 2 and 4, with 3 relevant in all.
    #[test]
    fn a_ranking_by_hand() {
        let found = [false, true, false, true, false];
        let of = |metric: Metric, k| metric.of_query(&found, 3, k);
        assert_eq!(
            [of(Metric::Accuracy, 1), of(Metric::Accuracy, 2)],
            [0.0, 1.0]
        );
        assert_eq!(
            [of(Metric::Precision, 4), of(Metric::Precision, 10)],
            [0.5, 0.2]
        );
        assert_eq!(
            [of(Metric::Recall, 2), of(Metric::Recall, 10)],
            [1.0 / 3.0, 2.0 / 3.0]
        );
        assert_eq!([of(Metric::Mrr, 1), of(Metric::Mrr, 5)], [0.0, 0.5]);
        assert_eq!(
            [of(Metric::Map, 100), of(Metric::Map, 2)],
            [(0.5 + 0.5) / 3.0, 0.25]
        );
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert!(
            (of(Metric::Ndcg, 10) - (1.0 / 3f64.log2() + 1.0 / 5f64.log2()) / ideal).abs() < 1e-15
        );
        let ideal_of_two = 1.0 + 1.0 / 3f64.log2();
        assert!((of(Metric::Ndcg, 2) - (1.0 / 3f64.log2()) / ideal_of_two).abs() < 1e-15);
    }

    #[test]
    fn a_perfect_ranking_is_one_everywhere() {
        for metric in Metric::ALL {
            assert_eq!(metric.of_query(&[true, true], 2, 2), 1.0, "{metric}");
        }
    }

    /// What numpy 2.4 prints for `np.sum(np.array([1 / (i + 1) for i in range(n)]))`; adding from left to right gives another
    /// last digit from 128 on.
    #[test]
    fn sums_have_the_last_digits_of_numpy() {
        let expected = [
            (5, 2.283333333333333),
            (13, 3.180133755133755),
            (128, 5.433147092589173),
            (129, 5.440899030573669),
            (500, 6.792823429990525),
            (1003, 7.4884648745144435),
        ];
        for (n, sum) in expected {
            let numbers: Vec<_> = (0..n).map(|i| 1.0 / f64::from(i + 1)).collect();
            assert_eq!(pairwise_sum(&numbers), sum, "{n} numbers");
        }
    }
}
