//! Labelled texts with their classes by number.

use std::path::Path;

use matryo_data::{LabelledTexts, randperm, read_labelled_texts};

use crate::ClassifyError;

/// Texts, and the class of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examples {
    /// The texts.
    pub texts: Vec<String>,
    /// The class of each text, as its place in `classes`.
    pub labels: Vec<usize>,
    /// Names of the classes, sorted by code points as `numpy.unique` does; each has an example.
    pub classes: Vec<String>,
}

impl Examples {
    /// Reads two columns of a file, see [`read_labelled_texts`].
    ///
    /// # Errors
    /// Whatever is wrong with the file; [`ClassifyError::OneClass`].
    pub fn open(path: &Path, text_column: &str, label_column: &str) -> Result<Self, ClassifyError> {
        let examples = Self::new(read_labelled_texts(path, text_column, label_column)?);
        match examples.classes.as_slice() {
            [only] => Err(ClassifyError::OneClass {
                path: path.to_owned(),
                label: only.clone(),
            }),
            _ => Ok(examples),
        }
    }

    /// Numbers the classes.
    pub fn new(labelled: LabelledTexts) -> Self {
        let mut classes = labelled.labels.clone();
        classes.sort_unstable();
        classes.dedup();
        let number = |label| {
            classes
                .binary_search(label)
                .expect("every label is a class")
        };
        Self {
            labels: labelled.labels.iter().map(number).collect(),
            texts: labelled.texts,
            classes,
        }
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// `wanted` texts of each class, drawn with `seed`, in the order they had.
    ///
    /// # Errors
    /// [`ClassifyError::TooFewExamples`] if a class has fewer.
    pub fn per_class(&self, wanted: usize, seed: u64) -> Result<Self, ClassifyError> {
        let mut counts = vec![0; self.classes.len()];
        let mut taken: Vec<usize> = Vec::new();
        for row in randperm(self.len(), seed) {
            let count = &mut counts[self.labels[row as usize]];
            if *count < wanted {
                *count += 1;
                taken.push(row as usize);
            }
        }
        if let Some((class, &found)) = counts
            .iter()
            .enumerate()
            .find(|(_, count)| **count < wanted)
        {
            return Err(ClassifyError::TooFewExamples {
                label: self.classes[class].clone(),
                found,
                wanted,
            });
        }
        taken.sort_unstable();
        Ok(Self {
            texts: taken.iter().map(|&row| self.texts[row].clone()).collect(),
            labels: taken.iter().map(|&row| self.labels[row]).collect(),
            classes: self.classes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Examples {
        let labels = ["b", "a", "b", "c", "a", "b", "c"]
            .map(str::to_owned)
            .to_vec();
        let texts = (0..7).map(|i| format!("text {i}")).collect();
        Examples::new(LabelledTexts { texts, labels })
    }

    #[test]
    fn classes_are_sorted() {
        let examples = examples();
        assert_eq!(examples.classes, ["a", "b", "c"]);
        assert_eq!(examples.labels, [1, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn so_many_of_each_class_are_drawn_by_the_seed() {
        let all = examples();
        let drawn = |seed| all.per_class(2, seed).unwrap();
        for seed in 0..5 {
            let few = drawn(seed);
            assert_eq!(few.len(), 6);
            assert!((0..3).all(|class| few.labels.iter().filter(|l| **l == class).count() == 2));
            assert!(few.texts.is_sorted(), "in the order they had");
            assert_eq!(few, drawn(seed));
        }
        assert!(
            (1..9).any(|seed| drawn(seed) != drawn(0)),
            "the seed decides"
        );
    }

    #[test]
    fn a_class_with_too_few_is_named() {
        let error = examples().per_class(3, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "class `a` has 2 examples, expected at least 3"
        );
    }
}
