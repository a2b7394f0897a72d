//! Texts of the data to try the model with: a source and three candidates, one of them its own pair.
//!
//! Upstream draws them at random; here they depend on the data alone, so that a repeated run writes the same card.

use matryo_data::Rows;
use serde::{Deserialize, Serialize};

/// One example of the hub's sentence-similarity widget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WidgetExample {
    /// A text of the first column.
    pub source_sentence: String,
    /// Texts of the second column; one is the pair of the source.
    pub sentences: Vec<String>,
}

/// Examples of a card.
const EXAMPLES: usize = 5;
/// Candidates of an example.
const CANDIDATES: usize = 3;
/// Rows looked at; enough for a spread of lengths, bounded for data of any size.
const POOL: usize = 1000;
/// Longer texts make front matter that nobody reads.
const MAX_CHARS: usize = 1000;

/// Up to five examples, spread from short to long; none for data of one column.
pub fn widget_examples(rows: &dyn Rows) -> Vec<WidgetExample> {
    if rows.columns().len() < 2 {
        return Vec::new();
    }
    let by_length = pool(rows);
    let picks = by_length.len().min(EXAMPLES);
    (0..picks)
        .map(|i| {
            example(
                rows,
                &by_length,
                (2 * i + 1) * by_length.len() / (2 * picks),
                i,
            )
        })
        .collect()
}

/// Usable rows out of evenly spaced ones, from short to long.
fn pool(rows: &dyn Rows) -> Vec<usize> {
    let taken = rows.len().min(POOL);
    let length = |row: usize| rows.text(row, 0).chars().count() + rows.text(row, 1).chars().count();
    let usable = |text: &str| !text.trim().is_empty() && text.chars().nth(MAX_CHARS).is_none();
    let mut pool: Vec<usize> = (0..taken)
        .map(|i| i * rows.len() / taken)
        .filter(|&row| usable(rows.text(row, 0)) && usable(rows.text(row, 1)))
        .collect();
    pool.sort_by_key(|&row| (length(row), row));
    pool
}

/// The example of the row at `rank`; its own pair stands at another place in each.
fn example(rows: &dyn Rows, by_length: &[usize], rank: usize, number: usize) -> WidgetExample {
    let row = by_length[rank];
    let source = rows.text(row, 0);
    let mut sentences = vec![rows.text(row, 1).to_owned()];
    // A fifth of the pool away, then ever closer neighbours: other lengths first, other subjects likely.
    let stride = (by_length.len() / EXAMPLES).max(1);
    let others = (1..=by_length.len()).map(|i| by_length[(rank + i * stride) % by_length.len()]);
    for other in others.chain(by_length.iter().copied()) {
        if sentences.len() == CANDIDATES {
            break;
        }
        let candidate = rows.text(other, 1);
        if rows.text(other, 0) != source && !sentences.iter().any(|sentence| sentence == candidate)
        {
            sentences.push(candidate.to_owned());
        }
    }
    let places = sentences.len();
    sentences.rotate_right(number % places);
    WidgetExample {
        source_sentence: source.to_owned(),
        sentences,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs(Vec<String>, Vec<[String; 2]>);

    impl Rows for Pairs {
        fn len(&self) -> usize {
            self.1.len()
        }
        fn columns(&self) -> &[String] {
            &self.0
        }
        fn text(&self, row: usize, column: usize) -> &str {
            &self.1[row][column]
        }
    }

    fn pairs(texts: impl Iterator<Item = (String, String)>) -> Pairs {
        Pairs(
            vec!["a".into(), "b".into()],
            texts.map(|(a, b)| [a, b]).collect(),
        )
    }

    #[test]
    fn every_example_holds_its_own_pair_once_and_no_other_pair_of_its_source() {
        // Sources repeat: rows 2k and 2k + 1 share one.
        let data = pairs((0..200).map(|i| {
            (
                format!("source {}", i / 2),
                format!("answer {i} {}", "x".repeat(i % 37)),
            )
        }));
        let examples = widget_examples(&data);
        assert_eq!(examples.len(), 5);
        for example in &examples {
            assert_eq!(example.sentences.len(), 3);
            let owned = |s: &String| {
                data.1
                    .iter()
                    .any(|[a, b]| *a == example.source_sentence && b == s)
            };
            assert_eq!(example.sentences.iter().filter(|s| owned(s)).count(), 1);
        }
        let place = |e: &WidgetExample| {
            e.sentences.iter().position(|s| {
                data.1
                    .iter()
                    .any(|[a, b]| *a == e.source_sentence && b == s)
            })
        };
        assert_ne!(place(&examples[0]), place(&examples[1]));
        assert_eq!(examples, widget_examples(&data));
    }

    #[test]
    fn small_odd_data_gives_what_it_can() {
        assert!(widget_examples(&pairs(std::iter::empty())).is_empty());
        let one = widget_examples(&pairs(std::iter::once(("q".into(), "a".into()))));
        assert_eq!(
            one,
            [WidgetExample {
                source_sentence: "q".into(),
                sentences: vec!["a".into()]
            }]
        );
        let long = "y".repeat(MAX_CHARS + 1);
        assert!(widget_examples(&pairs(std::iter::once((long, " ".into())))).is_empty());
    }
}
