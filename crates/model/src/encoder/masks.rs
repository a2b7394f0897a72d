//! Dropout of one pass: masks that depend on seed, text, position, layer and site, and on nothing else.

use matryo_base::random;
use matryo_ops::Dropout;

use crate::{Spec, TokenBatch};

/// Where a layer drops, as BERT does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// After the normalisation of the embeddings.
    Embeddings,
    /// On the attention probabilities.
    Probabilities,
    /// After the attention's output product.
    AttentionOut,
    /// After the feed-forward part's second product.
    FfnOut,
}

/// The masks of one batch; those of a rate of 0 do not exist.
pub(super) struct Masks {
    seed: u64,
    hidden: f32,
    attention: f32,
    /// One key a token.
    rows: Vec<u64>,
}

impl Masks {
    /// No dropout.
    pub(super) fn none() -> Self {
        Self {
            seed: 0,
            hidden: 0.0,
            attention: 0.0,
            rows: Vec::new(),
        }
    }

    /// The dropout of a training pass.
    pub(super) fn new(spec: &Spec, batch: &TokenBatch, seed: u64) -> Self {
        let (hidden, attention) = (spec.hidden_dropout, spec.attention_dropout);
        let rows = if hidden > 0.0 || attention > 0.0 {
            row_keys(batch)
        } else {
            Vec::new()
        };
        Self {
            seed,
            hidden,
            attention,
            rows,
        }
    }

    /// The mask of a site, `None` where nothing is dropped.
    pub(super) fn at(&self, layer: usize, site: Site) -> Option<Dropout<'_>> {
        const SITES: u64 = 4;
        let rate = if site == Site::Probabilities {
            self.attention
        } else {
            self.hidden
        };
        let place = layer as u64 * SITES + site as u64;
        (rate > 0.0).then(|| Dropout {
            rate,
            key: mix(self.seed, place),
            rows: &self.rows,
        })
    }
}

fn row_keys(batch: &TokenBatch) -> Vec<u64> {
    let texts = batch.bounds.windows(2).zip(&batch.text_ids);
    texts
        .flat_map(|(bounds, &text)| (0..bounds[1] - bounds[0]).map(move |p| mix(text, p.into())))
        .collect()
}

/// Two numbers as one that looks random (two rounds of SplitMix64, Steele et al. 2014).
fn mix(a: u64, b: u64) -> u64 {
    random::mix(random::mix(a).wrapping_add(b))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn masks(hidden: f32, attention: f32, seed: u64) -> Masks {
        let mut batch = TokenBatch::new();
        batch.push(&[5, 6, 7], 0, 0);
        batch.push(&[5, 6], 1, 0);
        Masks {
            hidden,
            attention,
            seed,
            rows: row_keys(&batch),
        }
    }

    #[test]
    fn every_place_and_seed_has_a_key_of_its_own() {
        let mut keys = HashSet::new();
        for seed in 0..3 {
            let masks = masks(0.1, 0.1, seed);
            for layer in 0..12 {
                for site in [
                    Site::Embeddings,
                    Site::Probabilities,
                    Site::AttentionOut,
                    Site::FfnOut,
                ] {
                    assert!(
                        keys.insert(masks.at(layer, site).unwrap().key),
                        "{seed} {layer} {site:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_token_has_a_key_of_its_own() {
        let rows = masks(0.1, 0.1, 0).rows;
        assert_eq!(rows.iter().collect::<HashSet<_>>().len(), 5);
    }

    #[test]
    fn each_rate_acts_at_its_sites() {
        let rates = |masks: &Masks| {
            [
                Site::Embeddings,
                Site::Probabilities,
                Site::AttentionOut,
                Site::FfnOut,
            ]
            .map(|s| masks.at(1, s).map(|d| d.rate))
        };
        assert_eq!(
            rates(&masks(0.1, 0.0, 0)),
            [Some(0.1), None, Some(0.1), Some(0.1)]
        );
        assert_eq!(rates(&masks(0.0, 0.2, 0)), [None, Some(0.2), None, None]);
        assert_eq!(rates(&Masks::none()), [None; 4]);
    }
}
