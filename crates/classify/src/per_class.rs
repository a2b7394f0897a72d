//! How each class fares, and what it is taken for.

use serde::Serialize;

/// Precision, recall and F1 of one class; 0 where a quotient has no denominator, as in scikit-learn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// The class.
    pub label: String,
    /// Texts of it.
    pub support: usize,
    /// Texts taken for it.
    pub predicted: usize,
    /// The share of `predicted` that is of it.
    pub precision: f64,
    /// The share of `support` that is taken for it.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Other classes that its texts are taken for, most frequent first.
    pub taken_for: Vec<Confusion>,
}

/// A wrong class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The class predicted.
    pub label: String,
    /// How often.
    pub count: usize,
}

/// A report of every class that is the truth or the prediction of a text, in the order of `labels`; `outcomes` are (truth,
/// prediction).
pub(crate) fn class_reports(labels: &[&str], outcomes: &[(usize, usize)]) -> Vec<ClassReport> {
    let mut counts = vec![vec![0_usize; labels.len()]; labels.len()];
    outcomes
        .iter()
        .for_each(|&(truth, predicted)| counts[truth][predicted] += 1);
    let report = |class: usize| {
        let support: usize = counts[class].iter().sum();
        let predicted: usize = counts.iter().map(|row| row[class]).sum();
        let right = counts[class][class];
        let share = |whole: usize| right as f64 / whole.max(1) as f64;
        ClassReport {
            label: labels[class].to_owned(),
            support,
            predicted,
            precision: share(predicted),
            recall: share(support),
            f1: 2.0 * right as f64 / (support + predicted).max(1) as f64,
            taken_for: confusions(labels, &counts[class], class),
        }
    };
    (0..labels.len())
        .map(report)
        .filter(|report| report.support + report.predicted > 0)
        .collect()
}

fn confusions(labels: &[&str], predicted: &[usize], class: usize) -> Vec<Confusion> {
    let wrong = |(other, count): (usize, &usize)| {
        (other != class && *count > 0).then(|| Confusion {
            label: labels[other].to_owned(),
            count: *count,
        })
    };
    let mut wrong: Vec<Confusion> = predicted.iter().enumerate().filter_map(wrong).collect();
    // Stable: equal counts stay in the order of the labels.
    wrong.sort_by_key(|confusion| std::cmp::Reverse(confusion.count));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confusions_are_counted_most_frequent_first() {
        let outcomes = [(0, 0), (0, 1), (0, 2), (0, 2), (1, 1), (2, 0)];
        let reports = class_reports(&["a", "b", "c", "unseen"], &outcomes);
        assert_eq!(
            reports.iter().map(|r| r.label.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        let taken: Vec<_> = reports[0]
            .taken_for
            .iter()
            .map(|c| (c.label.as_str(), c.count))
            .collect();
        assert_eq!(taken, [("c", 2), ("b", 1)]);
        assert_eq!((reports[0].precision, reports[0].recall), (0.5, 0.25));
        assert!((reports[0].f1 - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            (reports[2].precision, reports[2].recall, reports[2].f1),
            (0.0, 0.0, 0.0)
        );
    }
}
