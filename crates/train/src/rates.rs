//! Learning rates of some parameters, by patterns over their names: upstream's `learning_rate_mapping`.
//!
//! Names are those of upstream's loss, which holds the model as `model`: `model.0.model.encoder.layer.1.output.dense.weight`. A pattern
//! may match anywhere in one. Upstream moves what a pattern matches into a group of its own, pattern after pattern, so the last
//! one that matches counts.

use matryo_model::Layout;
use regex::Regex;

use crate::{TrainError, config::LearningRates, schedule::Schedule};

/// Names that are offered for a pattern that matches none.
const OFFERED: usize = 3;

/// Which parameters share a learning rate.
#[derive(Clone, Debug)]
pub(crate) struct RateGroups {
    /// The highest rate of each group. The first is the run's own.
    peaks: Vec<f64>,
    /// Group of each entry of the layout.
    of_entry: Vec<usize>,
}

impl RateGroups {
    /// Groups the parameters of `layout`; `learning_rate` is that of the rest.
    ///
    /// # Errors
    /// A pattern that is no regular expression, or that matches no parameter. One that matches frozen parameters alone is none.
    pub(crate) fn new(
        learning_rate: f64,
        mapping: Option<&LearningRates>,
        layout: &Layout,
    ) -> Result<Self, TrainError> {
        let mut peaks = vec![learning_rate];
        let mut of_entry = vec![0; layout.entries.len()];
        for (pattern, rate) in mapping.iter().flat_map(|mapping| &mapping.0) {
            let regex = Regex::new(pattern).map_err(|source| TrainError::RatePattern {
                pattern: pattern.clone(),
                source: Box::new(source),
            })?;
            let mut matched = false;
            for (index, group) in of_entry.iter_mut().enumerate() {
                if names(layout, index).any(|name| regex.is_match(&name)) {
                    *group = peaks.len();
                    matched = true;
                }
            }
            if !matched {
                return Err(TrainError::UnmatchedRate {
                    pattern: pattern.clone(),
                    nearest: nearest(pattern, layout),
                });
            }
            peaks.push(*rate);
        }
        Ok(Self { peaks, of_entry })
    }

    /// The group of an entry of the layout.
    pub(crate) fn of(&self, entry: usize) -> usize {
        self.of_entry[entry]
    }

    /// The rate of each group in the optimizer step after `done` others.
    pub(crate) fn at(&self, schedule: &Schedule, done: u64) -> Vec<f64> {
        let rate = |peak: &f64| schedule.learning_rate_from(*peak, done);
        self.peaks.iter().map(rate).collect()
    }
}

/// Names of a parameter in upstream's loss.
fn names(layout: &Layout, entry: usize) -> impl Iterator<Item = String> {
    let upstream = layout.entries[entry].upstream.iter();
    upstream.map(|name| format!("model.{name}"))
}

/// The parameters whose names have most in common with a pattern: the longest run of equal characters.
fn nearest(pattern: &str, layout: &Layout) -> Vec<String> {
    // A dot in a name is written `\.` in a pattern.
    let plain = pattern.replace('\\', "");
    let usual = (0..layout.entries.len()).filter_map(|entry| names(layout, entry).next());
    let mut names: Vec<String> = usual.collect();
    names.sort_by_cached_key(|name| std::cmp::Reverse(longest_common(&plain, name)));
    names.truncate(OFFERED);
    names
}

/// Bytes of the longest text that is part of both.
fn longest_common(a: &str, b: &str) -> usize {
    let mut longest = 0;
    // By the end of the text in `b`: the length of the one that ends at the present byte of `a`.
    let mut lengths = vec![0; b.len() + 1];
    for byte in a.bytes() {
        for (end, other) in b.bytes().enumerate().rev() {
            lengths[end + 1] = if byte == other { lengths[end] + 1 } else { 0 };
            longest = longest.max(lengths[end + 1]);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        for name in [
            "0.model.embeddings.word_embeddings.weight",
            "0.model.encoder.layer.0.output.dense.weight",
            "0.model.encoder.layer.1.output.dense.weight",
            "2.linear.weight",
        ] {
            let entry = layout.push(0, name, &[2], true, true);
            layout.entries[entry].upstream = vec![name.to_owned()];
        }
        layout
    }

    fn groups(patterns: &[(&str, f64)]) -> Result<RateGroups, TrainError> {
        let patterns = patterns.iter();
        let mapping = patterns.map(|(pattern, rate)| ((*pattern).to_owned(), *rate));
        RateGroups::new(1e-5, Some(&LearningRates(mapping.collect())), &layout())
    }

    #[test]
    fn the_last_pattern_that_matches_counts() {
        let patterns = [("encoder", 1e-3), (r"layer\.1\.", 1e-2), ("^model.2", 0.0)];
        let found = groups(&patterns).unwrap();
        assert_eq!(found.of_entry, [0, 1, 2, 3]);
        assert_eq!(found.peaks, [1e-5, 1e-3, 1e-2, 0.0]);
        let found = groups(&[patterns[1], patterns[0]]).unwrap();
        assert_eq!(found.of_entry, [0, 2, 2, 0]);
    }

    #[test]
    fn patterns_that_do_not_fit() {
        let error = groups(&[(r"encoder\.layers\.1\.output", 1e-3)]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("which no parameter's name matches")
        );
        let hint = error.hint().unwrap();
        let nearest = "the nearest names are model.0.model.encoder.layer.0.output";
        assert!(hint.starts_with(nearest), "{hint}");
        // Anchors are those of the name with the loss's `model.` before it.
        assert!(groups(&[("^0", 1e-3)]).is_err());
        for pattern in ["(", "(?=encoder)", r"(a)\1"] {
            let error = groups(&[(pattern, 1e-3)]).unwrap_err();
            assert!(
                error.to_string().contains(&format!("`{pattern}`")),
                "{error}"
            );
            assert!(error.hint().unwrap().contains("look-around"));
        }
    }
}
