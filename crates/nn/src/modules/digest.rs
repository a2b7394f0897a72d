//! What a specification says of the arithmetic of a block and the weights do not show.

use matryo_ops::{AttentionMask, AttentionShape};

use crate::{
    AttentionSpec, BlockSpec, ConvolutionSpec, DisentangledSpec, RelativeSpec, RotarySpec,
};

/// Its attention, and the activation of a convolution beside it.
pub(super) fn block_digest(block: &BlockSpec) -> String {
    let mut text = attention_digest(&block.attention);
    if let Some(ConvolutionSpec { activation, .. }) = block.convolution {
        text += &format!("convolution {activation:?};");
    }
    text
}

/// Rotations and windows. Every field is named, so that a new one is thought of here: where what is left out does not follow from
/// the weights, two models whose vectors differ have one digest. So it is with the heads of models without rotations, whose
/// digests collections have stored.
fn attention_digest(spec: &AttentionSpec) -> String {
    let AttentionSpec {
        shape,
        bias: _,
        rotary,
        relative,
        disentangled,
    } = spec;
    let AttentionShape {
        heads,
        head_dim: _,
        scale: _,
        mask,
    } = shape;
    let AttentionMask { left, right } = mask;
    let mut text = String::new();
    if let Some(RotarySpec { theta }) = rotary {
        text += &format!("{heads} heads, theta {theta};");
    }
    if let Some(RelativeSpec {
        rows: _,
        buckets,
        max_distance,
    }) = relative
    {
        text += &format!("{heads} heads, {buckets} buckets up to {max_distance};");
    }
    if let Some(DisentangledSpec {
        buckets,
        max_distance,
        for_queries,
        for_keys,
        shared,
        norm,
    }) = disentangled
    {
        let buckets = buckets.unwrap_or(0);
        let terms = [("c2p", for_queries), ("p2c", for_keys)];
        let terms = terms.into_iter().filter(|(_, there)| **there);
        let terms: Vec<&str> = terms.map(|(term, _)| term).collect();
        let terms = terms.join(" ");
        // Weights of either kind may lie in a file unread.
        let shared = if *shared { " shared" } else { "" };
        let norm = if norm.is_some() { " normed" } else { "" };
        text += &format!(
            "{heads} heads, {terms}{shared}{norm}, {buckets} buckets up to {max_distance};"
        );
    }
    if *mask != AttentionMask::FULL {
        text += &format!("window {left} {right};");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(heads: usize, disentangled: DisentangledSpec) -> String {
        attention_digest(&AttentionSpec {
            shape: AttentionShape::new(heads, 8),
            bias: true,
            rotary: None,
            relative: None,
            disentangled: Some(disentangled),
        })
    }

    /// All tables have 32 rows, so weights of one shape fit them all.
    #[test]
    fn distances_and_their_terms_show() {
        let spec = DisentangledSpec {
            buckets: Some(16),
            max_distance: 64,
            for_queries: true,
            for_keys: true,
            shared: true,
            norm: None,
        };
        let mut digests = vec![
            digest(4, spec),
            digest(2, spec),
            digest(
                4,
                DisentangledSpec {
                    max_distance: 128,
                    ..spec
                },
            ),
            digest(
                4,
                DisentangledSpec {
                    buckets: None,
                    max_distance: 16,
                    ..spec
                },
            ),
            digest(
                4,
                DisentangledSpec {
                    for_keys: false,
                    ..spec
                },
            ),
            digest(
                4,
                DisentangledSpec {
                    for_queries: false,
                    ..spec
                },
            ),
            digest(
                4,
                DisentangledSpec {
                    shared: false,
                    ..spec
                },
            ),
        ];
        assert_eq!(digests[0], "4 heads, c2p p2c shared, 16 buckets up to 64;");
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 7);
    }
}
