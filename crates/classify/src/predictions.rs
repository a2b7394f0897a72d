//! Probabilities of classes, and what they say first.

/// The probability of every class for each of some texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    classes: usize,
    values: Vec<f64>,
}

impl Predictions {
    /// `values` `[rows, classes]`.
    ///
    /// # Panics
    /// If the last row is not whole.
    pub fn new(classes: usize, values: Vec<f64>) -> Self {
        assert!(
            classes > 0 && values.len().is_multiple_of(classes),
            "rows of {classes} values"
        );
        Self { classes, values }
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.values.len() / self.classes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Probabilities of one text, by class.
    pub fn row(&self, text: usize) -> &[f64] {
        &self.values[text * self.classes..(text + 1) * self.classes]
    }

    /// The most probable class of a text; of equal ones the first, as numpy's `argmax`.
    pub fn best(&self, text: usize) -> usize {
        let row = self.row(text);
        (1..self.classes).fold(
            0,
            |best, class| if row[class] > row[best] { class } else { best },
        )
    }

    /// The `n` most probable classes of a text with their probabilities, best first, equal ones by class.
    pub fn top(&self, text: usize, n: usize) -> Vec<(usize, f64)> {
        let mut ranked: Vec<(usize, f64)> = self.row(text).iter().copied().enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(n);
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_classes_wins() {
        let predictions = Predictions::new(3, vec![0.4, 0.4, 0.2, 0.1, 0.3, 0.6]);
        assert_eq!(
            (predictions.len(), predictions.best(0), predictions.best(1)),
            (2, 0, 2)
        );
        assert_eq!(predictions.top(0, 2), [(0, 0.4), (1, 0.4)]);
        assert_eq!(predictions.top(1, 9), [(2, 0.6), (1, 0.3), (0, 0.1)]);
    }
}
