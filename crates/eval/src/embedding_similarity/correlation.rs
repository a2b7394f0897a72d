//! Correlation of two lists of numbers, as SciPy calculates it.

/// Pearson's correlation of values and of values (`scipy.stats.pearsonr`); NaN if either is constant. Panics on different lengths.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len(), "pairs of values");
    let (x, y) = (deviations(x), deviations(y));
    let (x_length, y_length) = (length(&x), length(&y));
    let sum: f64 = x
        .iter()
        .zip(&y)
        .map(|(x, y)| x / x_length * (y / y_length))
        .sum();
    sum.clamp(-1.0, 1.0)
}

/// Spearman's correlation: Pearson's of the ranks, equal values sharing the mean of theirs (`scipy.stats.spearmanr`).
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

fn deviations(x: &[f64]) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|x| x - mean).collect()
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Ranks from 1 on.
fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut ranks = vec![0.0; x.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&a, &b| x[a] == x[b]) {
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|&place| ranks[place] = rank);
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        assert_eq!(
            ranks(&[3.0, -0.0, 7.0, 0.0, 3.0, 3.0]),
            [4.0, 1.5, 6.0, 1.5, 4.0, 4.0]
        );
    }

    #[test]
    fn a_constant_correlates_with_nothing() {
        assert!(
            pearson(&[1.0, 2.0], &[3.0, 3.0]).is_nan()
                && spearman(&[1.0, 1.0], &[3.0, 4.0]).is_nan()
        );
    }

    #[test]
    fn lines_correlate_fully() {
        assert!((pearson(&[1.0, 2.0, 4.0], &[3.0, 5.0, 9.0]) - 1.0).abs() < 1e-15);
        assert!((spearman(&[1.0, 2.0, 4.0], &[-1.0, -20.0, -21.0]) + 1.0).abs() < 1e-15);
    }
}
