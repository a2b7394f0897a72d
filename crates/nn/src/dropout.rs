//! Dropout of one pass: masks that depend on seed, text, position, layer and site, and on nothing else.

use std::{ops::Range, sync::OnceLock};

use matryo_base::random;
use matryo_ops::Dropout;

use crate::TokenBatch;

/// Where an encoder drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// After the normalisation of the embeddings.
    Embeddings,
    /// On the attention probabilities.
    Probabilities,
    /// After the attention's output layer.
    AttentionOut,
    /// After the second layer of the feed-forward network.
    FeedForwardOut,
    /// Between the two layers of the feed-forward network.
    FeedForwardInner,
    /// On the last hidden states.
    Last,
    /// In a module of sentence embeddings, by the module's index.
    Sentence,
    /// On the table of distances that a block's scores have terms of.
    Distances,
    /// On the convolution beside a block.
    Convolution,
}

/// Stands for a whole text where a token's place stands otherwise.
const WHOLE_TEXT: u64 = u64::MAX;

/// Stands for all texts where a token's place stands otherwise, and a row where a text stands.
const WHOLE_TABLE: u64 = u64::MAX - 1;

/// Sites that are numbered block by block. Later sites are numbered apart from them, so that the masks of earlier
/// versions, and with them trainings that are resumed, stay what they are.
const SITES: u64 = 4;
const LATER_SITES: u64 = 1 << 32;
const LAST_SITE: u64 = 1 << 33;
const SENTENCE_SITE: u64 = 1 << 34;
const DISTANCES_SITE: u64 = 1 << 35;
const CONVOLUTION_SITE: u64 = 1 << 36;

impl Site {
    /// A number of its own for each site of each block.
    fn place(self, block: usize) -> u64 {
        let block = block as u64;
        match self {
            Self::Embeddings => block * SITES,
            Self::Probabilities => block * SITES + 1,
            Self::AttentionOut => block * SITES + 2,
            Self::FeedForwardOut => block * SITES + 3,
            Self::FeedForwardInner => LATER_SITES + block,
            Self::Last => LAST_SITE + block,
            Self::Sentence => SENTENCE_SITE + block,
            Self::Distances => DISTANCES_SITE + block,
            Self::Convolution => CONVOLUTION_SITE + block,
        }
    }
}

/// The masks of one batch: a function of seed, text, place, block and site.
pub(crate) struct Masks<'a> {
    /// `None` where nothing is dropped: the model is only used.
    training: Option<(&'a TokenBatch, u64)>,
    /// One key per token, computed at the first site that drops.
    rows: OnceLock<Vec<u64>>,
    /// One key per text, likewise.
    texts: OnceLock<Vec<u64>>,
}

impl<'a> Masks<'a> {
    /// No dropout.
    pub(crate) fn none() -> Self {
        Self {
            training: None,
            rows: OnceLock::new(),
            texts: OnceLock::new(),
        }
    }

    /// The dropout of a training pass.
    pub(crate) fn new(batch: &'a TokenBatch, seed: u64) -> Self {
        Self {
            training: Some((batch, seed)),
            rows: OnceLock::new(),
            texts: OnceLock::new(),
        }
    }

    /// The mask of a site that drops at `rate`, `None` where nothing is dropped.
    pub(crate) fn at(&self, rate: f32, block: usize, site: Site) -> Option<Dropout<'_>> {
        let (batch, seed) = self.training.filter(|_| rate > 0.0)?;
        Some(Dropout {
            rate,
            key: mix(seed, site.place(block)),
            rows: self.rows.get_or_init(|| row_keys(batch)),
        })
    }

    /// The mask of a module that drops values of sentence embeddings, by the module's index; a row is a text.
    pub(crate) fn of_texts(&self, rate: f32, module: usize) -> Option<Dropout<'_>> {
        let (batch, seed) = self.training.filter(|_| rate > 0.0)?;
        Some(Dropout {
            rate,
            key: mix(seed, Site::Sentence.place(module)),
            rows: self.texts.get_or_init(|| text_keys(batch)),
        })
    }

    /// The mask of these rows of the table of distances of a block.
    pub(crate) fn of_table(
        &self,
        rate: f32,
        block: usize,
        rows: Range<usize>,
    ) -> Option<TableMask> {
        let (_, seed) = self.training.filter(|_| rate > 0.0)?;
        Some(TableMask {
            rate,
            key: mix(seed, Site::Distances.place(block)),
            rows: rows.map(|row| mix(row as u64, WHOLE_TABLE)).collect(),
        })
    }
}

/// The mask of some rows of a table that all texts read: a function of seed, row, block and site.
pub(crate) struct TableMask {
    rate: f32,
    key: u64,
    rows: Vec<u64>,
}

impl TableMask {
    /// The mask of all of the rows, as one matrix.
    pub(crate) fn dropout(&self) -> Dropout<'_> {
        Dropout {
            rate: self.rate,
            key: self.key,
            rows: &self.rows,
        }
    }
}

fn text_keys(batch: &TokenBatch) -> Vec<u64> {
    batch
        .text_ids
        .iter()
        .map(|text| mix(*text, WHOLE_TEXT))
        .collect()
}

fn row_keys(batch: &TokenBatch) -> Vec<u64> {
    let texts = batch.bounds.windows(2).zip(&batch.text_ids);
    texts
        .flat_map(|(bounds, &text)| (0..bounds[1] - bounds[0]).map(move |p| mix(text, p.into())))
        .collect()
}

/// A pseudo-random function of two numbers: two rounds of SplitMix64 (Steele et al. 2014).
fn mix(a: u64, b: u64) -> u64 {
    random::mix(random::mix(a).wrapping_add(b))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SITES_OF_A_BLOCK: [Site; 9] = [
        Site::Embeddings,
        Site::Probabilities,
        Site::AttentionOut,
        Site::FeedForwardOut,
        Site::FeedForwardInner,
        Site::Last,
        Site::Sentence,
        Site::Distances,
        Site::Convolution,
    ];

    fn batch() -> TokenBatch {
        let mut batch = TokenBatch::new();
        batch.push(&[5, 6, 7], 0, 0);
        batch.push(&[5, 6], 1, 0);
        batch
    }

    #[test]
    fn every_place_and_seed_has_a_key_of_its_own() {
        let (batch, mut keys) = (batch(), HashSet::new());
        for seed in 0..3 {
            let masks = Masks::new(&batch, seed);
            for block in 0..12 {
                for site in SITES_OF_A_BLOCK {
                    let key = masks.at(0.1, block, site).unwrap().key;
                    assert!(keys.insert(key), "{seed} {block} {site:?}");
                }
            }
        }
    }

    #[test]
    fn every_token_has_a_key_of_its_own() {
        let batch = batch();
        let masks = Masks::new(&batch, 0);
        let rows = masks.at(0.1, 0, Site::Embeddings).unwrap().rows;
        assert_eq!(rows.iter().collect::<HashSet<_>>().len(), 5);
    }

    /// Whatever rows the texts of a batch need.
    #[test]
    fn a_row_of_a_table_has_one_mask() {
        let batch = batch();
        let masks = Masks::new(&batch, 3);
        let of = |rows| masks.of_table(0.1, 2, rows).unwrap();
        let (few, many) = (of(5..8), of(0..20));
        assert_eq!(few.dropout().rows, &many.dropout().rows[5..8]);
        assert_eq!(few.dropout().key, many.dropout().key);
        assert!(masks.of_table(0.0, 2, 0..3).is_none());
        assert!(Masks::none().of_table(0.1, 2, 0..3).is_none());
    }

    #[test]
    fn nothing_is_dropped_at_rate_0_or_in_use() {
        let batch = batch();
        assert!(Masks::new(&batch, 0).at(0.0, 0, Site::Embeddings).is_none());
        assert!(Masks::none().at(0.1, 0, Site::Embeddings).is_none());
    }
}
