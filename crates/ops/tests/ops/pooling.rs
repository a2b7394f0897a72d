//! Pooling on small whole numbers, worked out by hand from the semantics of sentence_transformers' `Pooling`.

use matryo_ops::{Cpu, Mat, MatRef, Ops, PoolMode, Spans};

/// Two texts of three and one tokens.
const X: [f32; 8] = [1.0, 8.0, 2.0, 4.0, 6.0, 0.0, 5.0, 7.0];

#[track_caller]
fn pooled(mode: PoolMode, skip: [u32; 2], expected: [f32; 4]) {
    let mut y = Mat::zeros(2, 2);
    Cpu::default().pool(
        y.view_mut(),
        MatRef::new(4, 2, &X),
        Spans { bounds: &[0, 3, 4] },
        &skip,
        mode,
    );
    assert_eq!(y.data(), expected, "{mode:?} after {skip:?}");
}

#[test]
fn all_tokens_count() {
    pooled(PoolMode::Cls, [0, 0], [1.0, 8.0, 5.0, 7.0]);
    pooled(PoolMode::Max, [0, 0], [6.0, 8.0, 5.0, 7.0]);
    pooled(PoolMode::Mean, [0, 0], [3.0, 4.0, 5.0, 7.0]);
    pooled(PoolMode::LastToken, [0, 0], [6.0, 0.0, 5.0, 7.0]);
    let root = 3_f32.sqrt().recip();
    pooled(
        PoolMode::MeanSqrtLen,
        [0, 0],
        [
            root + 2.0 * root + 6.0 * root,
            8.0 * root + 4.0 * root,
            5.0,
            7.0,
        ],
    );
    // (1 + 2 * 2 + 3 * 6) / 6 and (8 + 2 * 4) / 6.
    let sixth = |weight: f32| weight / 6.0;
    let first = sixth(1.0) + sixth(2.0) * 2.0 + sixth(3.0) * 6.0;
    pooled(
        PoolMode::WeightedMean,
        [0, 0],
        [first, sixth(1.0) * 8.0 + sixth(2.0) * 4.0, 5.0, 7.0],
    );
}

/// A skipped prompt leaves positions as they are: the second token still weighs 2.
#[test]
fn a_prompt_does_not_count() {
    pooled(PoolMode::Cls, [1, 0], [2.0, 4.0, 5.0, 7.0]);
    pooled(PoolMode::Max, [1, 0], [6.0, 4.0, 5.0, 7.0]);
    pooled(PoolMode::Mean, [1, 0], [4.0, 2.0, 5.0, 7.0]);
    pooled(PoolMode::LastToken, [1, 0], [6.0, 0.0, 5.0, 7.0]);
    pooled(
        PoolMode::WeightedMean,
        [1, 0],
        [0.4 * 2.0 + 0.6 * 6.0, 0.4 * 4.0, 5.0, 7.0],
    );
}

/// Nothing left: upstream's sums are 0, its maximum minus infinity, and its `argmax` falls back to the first token.
#[test]
fn every_token_is_skipped() {
    let lowest = f32::NEG_INFINITY;
    pooled(PoolMode::Cls, [0, 1], [1.0, 8.0, 5.0, 7.0]);
    pooled(PoolMode::Max, [0, 2], [6.0, 8.0, lowest, lowest]);
    pooled(PoolMode::Mean, [3, 1], [0.0; 4]);
    pooled(PoolMode::MeanSqrtLen, [3, 1], [0.0; 4]);
    pooled(PoolMode::WeightedMean, [3, 9], [0.0; 4]);
    pooled(PoolMode::LastToken, [0, 1], [6.0, 0.0, 0.0, 0.0]);
}
