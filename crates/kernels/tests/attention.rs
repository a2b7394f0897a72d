//! Attention of every level against the reference: odd lengths, all head widths, windows, with and without dropout.

mod common;

use common::{Guarded, agree, at_every_level};
use matryo_kernels::{
    Attention, AttentionBackward, AttentionMask, AttentionShape, Dropout, Level, Mat, MatRef,
    Spans, attention, attention_bwd, scalar,
};
use matryo_testkit::pseudo_random;

const TOLERANCE: f64 = 3e-6;

/// Lengths around the width of a panel and the height of a tile, an empty text, and one of one token.
const BOUNDS: [u32; 12] = [0, 1, 1, 3, 10, 22, 38, 55, 86, 118, 151, 220];

/// Texts shorter than most windows, and some that are at least six times as long as all of them.
const WINDOW_BOUNDS: [u32; 8] = [0, 1, 1, 3, 10, 48, 151, 650];

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
    .map(|(heads, head_dim)| AttentionShape::new(heads, head_dim))
    .to_vec()
}

/// Windows of both sides, of one side and of different sides, narrower and wider than a block of queries.
fn masks() -> [AttentionMask; 11] {
    [
        AttentionMask::window(0, 0),
        AttentionMask::window(3, 3),
        AttentionMask::window(8, 8),
        AttentionMask::window(40, 40),
        AttentionMask::window(0, 3),
        AttentionMask::window(8, 0),
        AttentionMask::window(3, 40),
        AttentionMask::window(40, 8),
        AttentionMask::window(31, 33),
        AttentionMask::CAUSAL,
        AttentionMask::window(0, usize::MAX),
    ]
}

fn windowed_shapes() -> Vec<AttentionShape> {
    let mut shapes = Vec::new();
    for mask in masks() {
        for (heads, head_dim) in [(2, 8), (1, 33)] {
            shapes.push(AttentionShape {
                mask,
                ..AttentionShape::new(heads, head_dim)
            });
        }
    }
    shapes
}

fn tokens(spans: Spans<'_>) -> usize {
    spans.bounds[spans.bounds.len() - 1] as usize
}

/// Scores of some size, so that the softmax is far from flat.
fn qkv(spans: Spans<'_>, shape: AttentionShape) -> Mat {
    let values = pseudo_random(tokens(spans) * 3 * shape.width(), 1);
    Mat::from_vec(
        tokens(spans),
        3 * shape.width(),
        values.into_iter().map(|x| 3.0 * x).collect(),
    )
}

fn gradient(spans: Spans<'_>, shape: AttentionShape) -> Mat {
    let (rows, cols) = (tokens(spans), shape.width());
    Mat::from_vec(rows, cols, pseudo_random(rows * cols, 2))
}

fn keys() -> Vec<u64> {
    (0..650).map(|i| i * i + 7).collect()
}

fn with_and_without(keys: &[u64]) -> [Option<Dropout<'_>>; 2] {
    let dropout = Dropout {
        rate: 0.3,
        key: 5,
        rows: keys,
    };
    [None, Some(dropout)]
}

fn what(level: Level, shape: AttentionShape, dropout: Option<Dropout<'_>>) -> String {
    format!("{} {shape:?}, dropout {}", level.name(), dropout.is_some())
}

/// Output and log-sum-exp of the reference.
fn reference(
    qkv: MatRef<'_>,
    spans: Spans<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout<'_>>,
) -> (Mat, Mat) {
    let mut y = Mat::zeros(qkv.rows(), shape.width());
    let mut lse = Mat::zeros(qkv.rows(), shape.heads);
    scalar::attention(Attention {
        y: y.view_mut(),
        lse: Some(lse.view_mut()),
        qkv,
        spans,
        shape,
        dropout,
    });
    (y, lse)
}

fn forward_agrees(spans: Spans<'_>, shape: AttentionShape, dropout: Option<Dropout<'_>>) {
    let qkv = qkv(spans, shape);
    let (expected, expected_lse) = reference(qkv.view(), spans, shape, dropout);
    at_every_level(|level| {
        let mut y = Guarded::unset(qkv.rows(), shape.width());
        let mut lse = Guarded::unset(qkv.rows(), shape.heads);
        attention(
            level,
            Attention {
                y: y.view_mut(),
                lse: Some(lse.view_mut()),
                qkv: qkv.view(),
                spans,
                shape,
                dropout,
            },
        );
        let what = what(level, shape, dropout);
        agree(y.check(), expected.data(), TOLERANCE, &what);
        agree(lse.check(), expected_lse.data(), TOLERANCE, &what);
    });
}

fn backward_agrees(spans: Spans<'_>, shape: AttentionShape, dropout: Option<Dropout<'_>>) {
    let (qkv, dy) = (qkv(spans, shape), gradient(spans, shape));
    let (y, lse) = reference(qkv.view(), spans, shape, dropout);
    let mut expected = Mat::zeros(qkv.rows(), 3 * shape.width());
    scalar::attention_bwd(AttentionBackward {
        dqkv: expected.view_mut(),
        dy: dy.view(),
        y: y.view(),
        lse: lse.view(),
        qkv: qkv.view(),
        spans,
        shape,
        dropout,
    });
    at_every_level(|level| {
        let mut dqkv = Guarded::unset(qkv.rows(), 3 * shape.width());
        attention_bwd(
            level,
            AttentionBackward {
                dqkv: dqkv.view_mut(),
                dy: dy.view(),
                y: y.view(),
                lse: lse.view(),
                qkv: qkv.view(),
                spans,
                shape,
                dropout,
            },
        );
        agree(
            dqkv.check(),
            expected.data(),
            1e-5,
            &what(level, shape, dropout),
        );
    });
}

/// Output, log-sum-exp and gradient of a level.
fn results(
    level: Level,
    (qkv, dy): (MatRef<'_>, MatRef<'_>),
    bounds: &[u32],
    shape: AttentionShape,
    dropout: Option<Dropout<'_>>,
) -> [Mat; 3] {
    let mut y = Mat::zeros(qkv.rows(), shape.width());
    let mut lse = Mat::zeros(qkv.rows(), shape.heads);
    let mut dqkv = Mat::zeros(qkv.rows(), 3 * shape.width());
    let spans = Spans { bounds };
    attention(
        level,
        Attention {
            y: y.view_mut(),
            lse: Some(lse.view_mut()),
            qkv,
            spans,
            shape,
            dropout,
        },
    );
    attention_bwd(
        level,
        AttentionBackward {
            dqkv: dqkv.view_mut(),
            dy,
            y: y.view(),
            lse: lse.view(),
            qkv,
            spans,
            shape,
            dropout,
        },
    );
    [y, lse, dqkv]
}

#[test]
fn forward() {
    let keys = keys();
    for shape in shapes() {
        for dropout in with_and_without(&keys[..220]) {
            forward_agrees(Spans { bounds: &BOUNDS }, shape, dropout);
        }
    }
}

#[test]
fn backward() {
    let keys = keys();
    for shape in shapes() {
        for dropout in with_and_without(&keys[..220]) {
            backward_agrees(Spans { bounds: &BOUNDS }, shape, dropout);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn windows_forward() {
    let (keys, bounds) = (keys(), &WINDOW_BOUNDS);
    for shape in windowed_shapes() {
        for dropout in with_and_without(&keys) {
            forward_agrees(Spans { bounds }, shape, dropout);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn windows_backward() {
    let (keys, bounds) = (keys(), &WINDOW_BOUNDS);
    for shape in windowed_shapes() {
        for dropout in with_and_without(&keys) {
            backward_agrees(Spans { bounds }, shape, dropout);
        }
    }
}

#[test]
fn another_scale() {
    let shape = AttentionShape {
        scale: 0.05,
        mask: AttentionMask::window(5, 9),
        ..AttentionShape::new(2, 16)
    };
    forward_agrees(Spans { bounds: &BOUNDS }, shape, None);
    backward_agrees(Spans { bounds: &BOUNDS }, shape, None);
}

/// A window as wide as the text computes what no window computes, to the bit.
#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn a_window_that_covers_the_text_is_full_attention() {
    let keys = keys();
    let full = AttentionShape::new(2, 24);
    let spans = Spans {
        bounds: &WINDOW_BOUNDS,
    };
    let (qkv, dy) = (qkv(spans, full), gradient(spans, full));
    for mask in [
        AttentionMask::window(498, 498),
        AttentionMask::window(498, usize::MAX),
        AttentionMask::window(2000, 500),
    ] {
        let windowed = AttentionShape { mask, ..full };
        for dropout in with_and_without(&keys) {
            at_every_level(|level| {
                let of = |shape| {
                    let inputs = (qkv.view(), dy.view());
                    results(level, inputs, &WINDOW_BOUNDS, shape, dropout)
                };
                assert_eq!(of(windowed), of(full), "{} {mask:?}", level.name());
            });
        }
    }
}

/// A text's output and gradient do not depend on what else is in the batch.
#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn texts_do_not_see_each_other() {
    let keys = keys();
    let spans = Spans {
        bounds: &WINDOW_BOUNDS,
    };
    for mask in masks().into_iter().chain([AttentionMask::FULL]) {
        let shape = AttentionShape {
            mask,
            ..AttentionShape::new(2, 16)
        };
        let (qkv, dy) = (qkv(spans, shape), gradient(spans, shape));
        for dropout in with_and_without(&keys) {
            at_every_level(|level| {
                let inputs = (qkv.view(), dy.view());
                let all = results(level, inputs, &WINDOW_BOUNDS, shape, dropout);
                for text in 0..spans.texts() {
                    let rows = spans.rows(text);
                    let part = |m: &Mat| m.view().row_range(rows.start, rows.end).to_mat();
                    let (qkv, dy) = (part(&qkv), part(&dy));
                    let bounds = [0, rows.len() as u32];
                    let dropout = dropout.map(|dropout| Dropout {
                        rows: &keys[rows.clone()],
                        ..dropout
                    });
                    let inputs = (qkv.view(), dy.view());
                    let alone = results(level, inputs, &bounds, shape, dropout);
                    let among_others = all.each_ref().map(part);
                    assert_eq!(alone, among_others, "{} {mask:?}", level.name());
                }
            });
        }
    }
}

/// Scores of +-3,000 overflow every exponential that is not shifted.
#[test]
fn large_scores_stay_finite() {
    let qkv = Mat::from_vec(
        40,
        12,
        pseudo_random(480, 3)
            .into_iter()
            .map(|x| 50.0 * x)
            .collect(),
    );
    let spans = Spans { bounds: &[0, 40] };
    for mask in [AttentionMask::FULL, AttentionMask::window(2, 3)] {
        let shape = AttentionShape {
            mask,
            ..AttentionShape::new(1, 4)
        };
        let (expected, _) = reference(qkv.view(), spans, shape, None);
        at_every_level(|level| {
            let mut y = Mat::zeros(40, 4);
            attention(
                level,
                Attention {
                    y: y.view_mut(),
                    lse: None,
                    qkv: qkv.view(),
                    spans,
                    shape,
                    dropout: None,
                },
            );
            agree(y.data(), expected.data(), 1e-4, level.name());
        });
    }
}
