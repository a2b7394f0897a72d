//! Contrastive pairs of labelled texts: of one class, which should be alike, and of two classes, which should not.

use std::{fmt, str::FromStr};

use crate::numpy_random::permutation;

/// The seed of the order of pairs, fixed in SetFit whatever the seed of the training.
const SEED: u32 = 42;

/// How many pairs are drawn; names of SetFit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamplingStrategy {
    /// As many of each kind as there are of the more frequent one; the others are repeated.
    #[default]
    Oversampling,
    /// As many of each kind as there are of the less frequent one.
    Undersampling,
    /// Every pair once.
    Unique,
}

/// What pairs to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairOptions {
    /// How many, unless `num_iterations` says it.
    pub sampling_strategy: SamplingStrategy,
    /// So many pairs of each kind for every text.
    pub num_iterations: Option<usize>,
    /// Different pairs that are drawn at most, half of each kind; a run of few steps needs no more.
    pub max_pairs: Option<usize>,
}

/// Two texts, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The first text.
    pub first: u32,
    /// The second; never before the first, and the same text in some positive pairs.
    pub second: u32,
    /// Whether both are of one class.
    pub positive: bool,
}

/// Pairs of texts whose classes are `classes`, a positive and a negative one in turn as long as there are both.
///
/// Semantics and order of `ContrastiveDataset` in src/setfit/sampler.py (SetFit 1.1): the combinations of two texts, a text
/// with itself among them, in a fixed random order; what is asked for beyond them starts over. Costs 4 bytes a combination.
///
/// # Panics
/// If there are more than 92,681 texts, whose combinations 32 bits do not count.
pub fn contrastive_pairs(classes: &[usize], options: &PairOptions) -> Vec<Pair> {
    let counts = pair_counts(classes, options);
    let texts = u32::try_from(classes.len()).expect("fewer than 2^32 texts");
    let combinations =
        u32::try_from(combinations(classes.len())).expect("combinations that 32 bits count");
    let rows = RowStarts::new(texts);
    let (mut positive, mut negative) = (Kind::new(counts[0]), Kind::new(counts[1]));
    for index in permutation(combinations, SEED) {
        let (first, second) = rows.of(index);
        let is_positive = classes[first as usize] == classes[second as usize];
        let pair = Pair {
            first,
            second,
            positive: is_positive,
        };
        if is_positive {
            positive.offer(pair)
        } else {
            negative.offer(pair)
        }
        if positive.is_full() && negative.is_full() {
            break;
        }
    }
    in_turn(&positive, &negative)
}

/// How many pairs [`contrastive_pairs`] gives, without making them.
pub(crate) fn pair_count(classes: &[usize], options: &PairOptions) -> usize {
    pair_counts(classes, options)
        .iter()
        .map(|count| count.wanted)
        .sum()
}

/// Pairs of two among so many texts, with the pairs of a text and itself.
pub(crate) fn combinations(texts: usize) -> usize {
    texts * (texts + 1) / 2
}

/// Pairs of one kind.
#[derive(Clone, Copy, Debug)]
struct Count {
    /// Different ones that may be drawn.
    different: usize,
    /// Those to give.
    wanted: usize,
}

/// Of positive and of negative pairs.
fn pair_counts(classes: &[usize], options: &PairOptions) -> [Count; 2] {
    let mut sizes = vec![0; classes.iter().max().map_or(0, |most| most + 1)];
    classes.iter().for_each(|&class| sizes[class] += 1);
    let positive: usize = sizes.iter().map(|&size| combinations(size)).sum();
    let limit = options.max_pairs.map_or(usize::MAX, |most| most / 2);
    let different =
        [positive, combinations(classes.len()) - positive].map(|count| count.min(limit));
    let same = |count| [count, count];
    let wanted = match (options.num_iterations, options.sampling_strategy) {
        (Some(iterations), _) => same(iterations * classes.len()),
        (None, SamplingStrategy::Unique) => different,
        (None, SamplingStrategy::Undersampling) => same(different[0].min(different[1])),
        (None, SamplingStrategy::Oversampling) => same(different[0].max(different[1])),
    };
    [0, 1].map(|kind| Count {
        different: different[kind],
        wanted: if different[kind] == 0 {
            0
        } else {
            wanted[kind]
        },
    })
}

/// Pairs of one kind as they are drawn: no more than are wanted.
struct Kind {
    count: Count,
    pairs: Vec<Pair>,
}

impl Kind {
    fn new(count: Count) -> Self {
        Self {
            count,
            pairs: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.pairs.len() == self.count.different.min(self.count.wanted)
    }

    fn offer(&mut self, pair: Pair) {
        if !self.is_full() {
            self.pairs.push(pair);
        }
    }

    /// The pair at `place`, of all that are wanted.
    fn get(&self, place: usize) -> Option<Pair> {
        (place < self.count.wanted).then(|| self.pairs[place % self.pairs.len()])
    }
}

fn in_turn(positive: &Kind, negative: &Kind) -> Vec<Pair> {
    let longest = positive.count.wanted.max(negative.count.wanted);
    (0..longest)
        .flat_map(|place| [positive.get(place), negative.get(place)])
        .flatten()
        .collect()
}

/// Where the rows of the upper triangle of a square begin when they are laid end to end (`numpy.triu_indices`).
struct RowStarts(Vec<u32>);

impl RowStarts {
    fn new(texts: u32) -> Self {
        let mut start = 0;
        let row = |i: u32| {
            let this = start;
            // Only the last row's end may be beyond 32 bits, and nothing starts there.
            start = u32::wrapping_add(start, texts - i);
            this
        };
        Self((0..texts).map(row).collect())
    }

    /// Row and column of a place.
    fn of(&self, index: u32) -> (u32, u32) {
        let row = self.0.partition_point(|start| *start <= index) as u32 - 1;
        (row, row + index - self.0[row as usize])
    }
}

/// Not the name of a strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown sampling strategy `{name}`, expected oversampling, undersampling or unique")]
pub struct UnknownStrategy {
    /// What was asked for.
    pub name: String,
}

impl SamplingStrategy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Oversampling, Self::Undersampling, Self::Unique];

    /// SetFit's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oversampling => "oversampling",
            Self::Undersampling => "undersampling",
            Self::Unique => "unique",
        }
    }
}

impl fmt::Display for SamplingStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SamplingStrategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|strategy| strategy.name() == name);
        found.ok_or_else(|| UnknownStrategy {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_triangle_are_rows_and_columns() {
        let rows = RowStarts::new(3);
        let places: Vec<_> = (0..6).map(|index| rows.of(index)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]);
    }

    #[test]
    fn counts_are_known_before_pairs_are_made() {
        let classes = [0, 0, 0, 1, 1, 2];
        for strategy in SamplingStrategy::ALL {
            for (num_iterations, max_pairs) in [
                (None, None),
                (Some(4), None),
                (None, Some(6)),
                (Some(4), Some(6)),
            ] {
                let options = PairOptions {
                    sampling_strategy: strategy,
                    num_iterations,
                    max_pairs,
                };
                let pairs = contrastive_pairs(&classes, &options);
                assert_eq!(pairs.len(), pair_count(&classes, &options), "{options:?}");
                let agrees = |p: &Pair| {
                    p.positive == (classes[p.first as usize] == classes[p.second as usize])
                };
                assert!(pairs.iter().all(agrees), "{options:?}");
            }
        }
    }
}
