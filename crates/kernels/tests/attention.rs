//! Attention of every level against the reference: odd lengths, all head widths, windows, with and without dropout.

mod common;

use common::{Guarded, agree, at_every_level};
use matryo_kernels::{
    Attention, AttentionBackward, AttentionMask, AttentionShape, Dropout, Level, Mat, MatMut,
    MatRef, RelativeBias, Spans, attention, attention_bwd, scalar,
};
use matryo_testkit::pseudo_random;

const TOLERANCE: f64 = 3e-6;

/// What an attention is computed with besides its values.
#[derive(Clone, Copy)]
struct Case<'a> {
    spans: Spans<'a>,
    shape: AttentionShape,
    bias: Option<RelativeBias<'a>>,
    dropout: Option<Dropout<'a>>,
}

impl<'a> Case<'a> {
    fn new(bounds: &'a [u32], shape: AttentionShape, dropout: Option<Dropout<'a>>) -> Self {
        Self {
            spans: Spans { bounds },
            shape,
            bias: None,
            dropout,
        }
    }

    fn forward(self, ops: impl Fn(Attention<'_>), qkv: MatRef<'_>, y: &mut Mat, lse: &mut Mat) {
        ops(Attention {
            y: y.view_mut(),
            lse: Some(lse.view_mut()),
            qkv,
            spans: self.spans,
            shape: self.shape,
            bias: self.bias,
            distances: None,
            dropout: self.dropout,
        });
    }
}

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

fn what(level: Level, case: Case<'_>) -> String {
    let (bias, dropout) = (case.bias.is_some(), case.dropout.is_some());
    format!(
        "{} {:?}, bias {bias}, dropout {dropout}",
        level.name(),
        case.shape
    )
}

/// Output and log-sum-exp of the reference.
fn reference(qkv: MatRef<'_>, case: Case<'_>) -> (Mat, Mat) {
    let mut y = Mat::zeros(qkv.rows(), case.shape.width());
    let mut lse = Mat::zeros(qkv.rows(), case.shape.heads);
    case.forward(scalar::attention, qkv, &mut y, &mut lse);
    (y, lse)
}

fn forward_agrees(case: Case<'_>) {
    let Case {
        spans,
        shape,
        bias,
        dropout,
    } = case;
    let qkv = qkv(spans, shape);
    let (expected, expected_lse) = reference(qkv.view(), case);
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
                bias,
                distances: None,
                dropout,
            },
        );
        let what = what(level, case);
        agree(y.check(), expected.data(), TOLERANCE, &what);
        agree(lse.check(), expected_lse.data(), TOLERANCE, &what);
    });
}

/// Arguments of a backward, whose results go to `dqkv` and `d_bias`.
fn backward_of<'a>(
    case: Case<'a>,
    (qkv, dy): (MatRef<'a>, MatRef<'a>),
    (y, lse): (&'a Mat, &'a Mat),
    dqkv: MatMut<'a>,
    d_bias: Option<MatMut<'a>>,
) -> AttentionBackward<'a> {
    AttentionBackward {
        dqkv,
        dy,
        y: y.view(),
        lse: lse.view(),
        qkv,
        spans: case.spans,
        shape: case.shape,
        bias: case.bias,
        d_bias,
        distances: None,
        d_vectors: None,
        dropout: case.dropout,
    }
}

fn backward_agrees(case: Case<'_>) {
    let (qkv, dy) = (
        qkv(case.spans, case.shape),
        gradient(case.spans, case.shape),
    );
    let inputs = (qkv.view(), dy.view());
    let (y, lse) = reference(qkv.view(), case);
    let mut expected = Mat::zeros(qkv.rows(), 3 * case.shape.width());
    // Gradients of parameters are added to what is there.
    let start = case.bias.map(|bias| {
        let (rows, cols) = (bias.values.rows(), bias.values.cols());
        Mat::from_vec(rows, cols, pseudo_random(rows * cols, 8))
    });
    let mut expected_bias = start.clone();
    let d_bias = expected_bias.as_mut().map(Mat::view_mut);
    let kept = (&y, &lse);
    scalar::attention_bwd(backward_of(case, inputs, kept, expected.view_mut(), d_bias));
    at_every_level(|level| {
        let mut dqkv = Guarded::unset(qkv.rows(), 3 * case.shape.width());
        let mut found_bias = start.clone();
        let d_bias = found_bias.as_mut().map(Mat::view_mut);
        attention_bwd(
            level,
            backward_of(case, inputs, kept, dqkv.view_mut(), d_bias),
        );
        let what = what(level, case);
        agree(dqkv.check(), expected.data(), 1e-5, &what);
        if let (Some(found), Some(expected)) = (&found_bias, &expected_bias) {
            agree(found.data(), expected.data(), 1e-5, &what);
        }
    });
}

/// Output, log-sum-exp and gradient of a level.
fn results(level: Level, inputs: (MatRef<'_>, MatRef<'_>), case: Case<'_>) -> [Mat; 3] {
    let qkv = inputs.0;
    let mut y = Mat::zeros(qkv.rows(), case.shape.width());
    let mut lse = Mat::zeros(qkv.rows(), case.shape.heads);
    let mut dqkv = Mat::zeros(qkv.rows(), 3 * case.shape.width());
    case.forward(|args| attention(level, args), qkv, &mut y, &mut lse);
    let kept = (&y, &lse);
    attention_bwd(
        level,
        backward_of(case, inputs, kept, dqkv.view_mut(), None),
    );
    [y, lse, dqkv]
}

#[test]
fn forward() {
    let keys = keys();
    for shape in shapes() {
        for dropout in with_and_without(&keys[..220]) {
            forward_agrees(Case::new(&BOUNDS, shape, dropout));
        }
    }
}

#[test]
fn backward() {
    let keys = keys();
    for shape in shapes() {
        for dropout in with_and_without(&keys[..220]) {
            backward_agrees(Case::new(&BOUNDS, shape, dropout));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn windows_forward() {
    let (keys, bounds) = (keys(), &WINDOW_BOUNDS);
    for shape in windowed_shapes() {
        for dropout in with_and_without(&keys) {
            forward_agrees(Case::new(bounds, shape, dropout));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn windows_backward() {
    let (keys, bounds) = (keys(), &WINDOW_BOUNDS);
    for shape in windowed_shapes() {
        for dropout in with_and_without(&keys) {
            backward_agrees(Case::new(bounds, shape, dropout));
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
    forward_agrees(Case::new(&BOUNDS, shape, None));
    backward_agrees(Case::new(&BOUNDS, shape, None));
}

/// Distances farther than the longest text's are left alone.
#[test]
fn a_bias_by_distance() {
    let keys = keys();
    for (heads, head_dim, mask) in [
        (2, 8, AttentionMask::FULL),
        (1, 33, AttentionMask::FULL),
        (3, 16, AttentionMask::window(8, 3)),
    ] {
        for scale in [0.1, 0.25] {
            for reach in [68, 100] {
                let columns = 2 * reach + 1;
                let values = Mat::from_vec(heads, columns, pseudo_random(heads * columns, 5));
                let shape = AttentionShape {
                    scale,
                    mask,
                    ..AttentionShape::new(heads, head_dim)
                };
                for dropout in with_and_without(&keys[..220]) {
                    let case = Case {
                        bias: Some(RelativeBias {
                            values: values.view(),
                        }),
                        ..Case::new(&BOUNDS, shape, dropout)
                    };
                    forward_agrees(case);
                    backward_agrees(case);
                }
            }
        }
    }
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
                    results(level, inputs, Case::new(&WINDOW_BOUNDS, shape, dropout))
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
                let all = results(level, inputs, Case::new(&WINDOW_BOUNDS, shape, dropout));
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
                    let alone = results(level, inputs, Case::new(&bounds, shape, dropout));
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
        let (expected, _) = reference(qkv.view(), Case::new(spans.bounds, shape, None));
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
                    bias: None,
                    distances: None,
                    dropout: None,
                },
            );
            agree(y.data(), expected.data(), 1e-4, level.name());
        });
    }
}
