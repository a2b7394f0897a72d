//! Whether probabilities mean what they say: of all texts predicted with 0.8, 80 % should be right (Guo et al. 2017).

use serde::Serialize;

/// Bins of equal width that confidences are sorted into; the number of Guo et al.
pub const BINS: usize = 15;

/// Texts whose prediction has a probability above `from` and up to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Lower end, not included.
    pub from: f64,
    /// Upper end, included.
    pub to: f64,
    /// Number of texts.
    pub count: usize,
    /// Their mean probability; 0 if there are none.
    pub confidence: f64,
    /// The share of them that is right; 0 if there are none.
    pub accuracy: f64,
}

/// Sorts predictions, each the probability of the best class and whether it is right, into [`BINS`] bins.
pub(crate) fn bins(predictions: &[(f64, bool)]) -> Vec<CalibrationBin> {
    let mut sums = [(0_usize, 0.0, 0_usize); BINS];
    for &(confidence, right) in predictions {
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let (count, total, hits) = &mut sums[bin];
        *count += 1;
        *total += confidence;
        *hits += usize::from(right);
    }
    let edge = |bin: usize| bin as f64 / BINS as f64;
    let bin = |(i, (count, total, hits)): (usize, (usize, f64, usize))| CalibrationBin {
        from: edge(i),
        to: edge(i + 1),
        count,
        confidence: total / count.max(1) as f64,
        accuracy: hits as f64 / count.max(1) as f64,
    };
    sums.into_iter().enumerate().map(bin).collect()
}

/// The mean distance of confidence and accuracy, each bin weighted by its texts.
pub(crate) fn expected_error(bins: &[CalibrationBin]) -> f64 {
    let texts: usize = bins.iter().map(|bin| bin.count).sum();
    let distance = |bin: &CalibrationBin| bin.count as f64 * (bin.accuracy - bin.confidence).abs();
    bins.iter().map(distance).sum::<f64>() / texts.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_ends_belong_to_their_bins() {
        let bins = bins(&[
            (1.0, true),
            (0.0, false),
            (0.2, true),
            (0.21, false),
            (0.25, true),
        ]);
        let counts: Vec<_> = bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [1, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!((bins[3].confidence - 0.23).abs() < 1e-12 && bins[3].accuracy == 0.5);
        let expected = (0.0 + 0.8 + 2.0 * 0.27 + 0.0) / 5.0;
        assert!((expected_error(&bins) - expected).abs() < 1e-12);
    }
}
