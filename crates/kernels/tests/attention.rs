//! Attention of every level against the reference: odd lengths, all head widths, with and without dropout.

mod common;

use common::{Guarded, agree, at_every_level};
use matryo_kernels::{
    AttentionShape, Dropout, Level, Mat, MatRef, Spans, attention, attention_bwd, scalar,
};
use matryo_testkit::pseudo_random;

const TOLERANCE: f64 = 3e-6;

/// Lengths around the width of a panel and the height of a tile, an empty text, and one of one token.
const BOUNDS: [u32; 12] = [0, 1, 1, 3, 10, 22, 38, 55, 86, 118, 151, 220];

fn shapes() -> Vec<AttentionShape> {
    [
        (2, 8),
        (3, 16),
        (2, 32),
        (1, 48),
        (2, 64),
        (1, 96),
        (1, 128),
        (2, 5),
        (1, 33),
    ]
    .map(|(heads, head_dim)| AttentionShape { heads, head_dim })
    .to_vec()
}

/// Scores of some size, so that the softmax is far from flat.
fn qkv(shape: AttentionShape, seed: u64) -> Mat {
    let tokens = BOUNDS[BOUNDS.len() - 1] as usize;
    let values = pseudo_random(tokens * 3 * shape.width(), seed);
    Mat::from_vec(
        tokens,
        3 * shape.width(),
        values.into_iter().map(|x| 3.0 * x).collect(),
    )
}

fn keys() -> Vec<u64> {
    (0..220).map(|i| i * i + 7).collect()
}

#[test]
fn forward() {
    let (spans, keys) = (Spans { bounds: &BOUNDS }, keys());
    for shape in shapes() {
        let qkv = qkv(shape, 1);
        for dropout in [
            None,
            Some(Dropout {
                rate: 0.3,
                key: 5,
                rows: &keys,
            }),
        ] {
            let (mut expected, mut expected_lse) =
                (Mat::zeros(220, shape.width()), Mat::zeros(220, shape.heads));
            let lse_out = Some(expected_lse.view_mut());
            scalar::attention(
                expected.view_mut(),
                lse_out,
                qkv.view(),
                spans,
                shape,
                dropout,
            );
            at_every_level(|level| {
                let (mut y, mut lse) = (
                    Guarded::unset(220, shape.width()),
                    Guarded::unset(220, shape.heads),
                );
                attention(
                    level,
                    y.view_mut(),
                    Some(lse.view_mut()),
                    qkv.view(),
                    spans,
                    shape,
                    dropout,
                );
                let what = format!("{} {shape:?}, dropout {}", level.name(), dropout.is_some());
                agree(y.check(), expected.data(), TOLERANCE, &what);
                agree(lse.check(), expected_lse.data(), TOLERANCE, &what);
            });
        }
    }
}

#[test]
fn backward() {
    let (spans, keys) = (Spans { bounds: &BOUNDS }, keys());
    for shape in shapes() {
        let (qkv, dy) = (
            qkv(shape, 1),
            Mat::from_vec(220, shape.width(), pseudo_random(220 * shape.width(), 2)),
        );
        for dropout in [
            None,
            Some(Dropout {
                rate: 0.3,
                key: 5,
                rows: &keys,
            }),
        ] {
            let (mut y, mut lse) = (Mat::zeros(220, shape.width()), Mat::zeros(220, shape.heads));
            scalar::attention(
                y.view_mut(),
                Some(lse.view_mut()),
                qkv.view(),
                spans,
                shape,
                dropout,
            );
            let kept = (dy.view(), y.view(), lse.view(), qkv.view());
            let mut expected = Mat::zeros(220, 3 * shape.width());
            scalar::attention_bwd(
                expected.view_mut(),
                kept.0,
                kept.1,
                kept.2,
                kept.3,
                spans,
                shape,
                dropout,
            );
            at_every_level(|level| one_backward(level, kept, spans, shape, dropout, &expected));
        }
    }
}

fn one_backward(
    level: Level,
    (dy, y, lse, qkv): (MatRef<'_>, MatRef<'_>, MatRef<'_>, MatRef<'_>),
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'_>>,
    expected: &Mat,
) {
    let mut dqkv = Guarded::unset(220, 3 * shape.width());
    attention_bwd(
        level,
        dqkv.view_mut(),
        dy,
        y,
        lse,
        qkv,
        spans,
        shape,
        dropout,
    );
    let what = format!("{} {shape:?}, dropout {}", level.name(), dropout.is_some());
    agree(dqkv.check(), expected.data(), 1e-5, &what);
}

/// A text's output does not depend on what else is in the batch.
#[test]
fn texts_do_not_see_each_other() {
    let shape = AttentionShape {
        heads: 2,
        head_dim: 16,
    };
    let qkv = qkv(shape, 1);
    let run = |rows: MatRef<'_>, bounds: &[u32]| {
        let mut y = Mat::zeros(rows.rows(), shape.width());
        attention(
            Level::best(),
            y.view_mut(),
            None,
            rows,
            Spans { bounds },
            shape,
            None,
        );
        y
    };
    let (all, alone) = (
        run(qkv.view(), &BOUNDS),
        run(qkv.view().row_range(55, 86), &[0, 31]),
    );
    assert_eq!(all.view().row_range(55, 86).to_mat(), alone);
}

/// Scores of +-3,000 overflow every exponential that is not shifted.
#[test]
fn large_scores_stay_finite() {
    let shape = AttentionShape {
        heads: 1,
        head_dim: 4,
    };
    let qkv = Mat::from_vec(
        40,
        12,
        pseudo_random(480, 3)
            .into_iter()
            .map(|x| 50.0 * x)
            .collect(),
    );
    let (mut y, mut expected) = (Mat::zeros(40, 4), Mat::zeros(40, 4));
    scalar::attention(
        expected.view_mut(),
        None,
        qkv.view(),
        Spans { bounds: &[0, 40] },
        shape,
        None,
    );
    at_every_level(|level| {
        attention(
            level,
            y.view_mut(),
            None,
            qkv.view(),
            Spans { bounds: &[0, 40] },
            shape,
            None,
        );
        agree(y.data(), expected.data(), 1e-4, level.name());
    });
}
