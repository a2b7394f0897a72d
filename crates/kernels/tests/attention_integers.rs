//! Attention in 16-bit integers, as `int8` calculates it, against the reference in floats.

mod common;

use common::{Guarded, agree};
use matryo_kernels::{
    Arithmetic, Attention, AttentionMask, AttentionShape, Dropout, Level, Mat, MatRef, Precision,
    RelativeBias, Spans, attention, scalar,
};
use matryo_testkit::pseudo_random;

/// The values reach to 3 and have 2,048 steps to either side; a probability has 32,767, all of a query together a million.
const TOLERANCE: f64 = 2e-3;

/// The shortest text that is calculated with integers.
const SHORTEST: u32 = 160;

/// Texts of even and odd lengths, which fill blocks of queries, tiles and pairs of keys or not.
const BOUNDS: [u32; 7] = [0, 160, 321, 321, 481, 664, 1003];

#[derive(Clone, Copy)]
struct Case<'a> {
    qkv: MatRef<'a>,
    bounds: &'a [u32],
    shape: AttentionShape,
    bias: Option<RelativeBias<'a>>,
}

fn levels() -> impl Iterator<Item = Level> {
    let has_unit = |level: &Level| {
        matches!(
            level,
            Level::Amx | Level::Avx512Bf16 | Level::Avx512Vnni | Level::Avx2Vnni
        )
    };
    Level::available().filter(has_unit)
}

fn at(level: Level, precision: Precision) -> Arithmetic {
    Arithmetic { level, precision }
}

fn run(case: Case<'_>, ops: impl FnOnce(Attention<'_>)) -> Mat {
    let (rows, width) = (case.qkv.rows(), case.shape.width());
    let mut y = Guarded::unset(rows, width);
    ops(Attention {
        y: y.view_mut(),
        lse: None,
        qkv: case.qkv,
        spans: Spans {
            bounds: case.bounds,
        },
        shape: case.shape,
        bias: case.bias,
        distances: None,
        dropout: None,
    });
    Mat::from_vec(rows, width, y.check().to_vec())
}

fn of(case: Case<'_>, arithmetic: Arithmetic) -> Mat {
    run(case, |args| attention(arithmetic, args))
}

fn bits(m: &Mat) -> Vec<u32> {
    m.data().iter().map(|x| x.to_bits()).collect()
}

/// Values up to 3, so that the softmax is far from flat.
fn qkv(tokens: u32, shape: AttentionShape) -> Mat {
    let cols = 3 * shape.width();
    let values = pseudo_random(tokens as usize * cols, 1);
    let values = values.into_iter().map(|x| 3.0 * x).collect();
    Mat::from_vec(tokens as usize, cols, values)
}

/// Compares with the reference at every level.
fn check(case: Case<'_>, what: &str) {
    let expected = run(case, scalar::attention);
    for level in levels() {
        let found = of(case, at(level, Precision::Int8));
        let what = format!("{what}, {}", level.name());
        agree(found.data(), expected.data(), TOLERANCE, &what);
    }
}

#[test]
#[cfg_attr(miri, ignore = "no such level")]
fn agrees_with_floats() {
    for (heads, head_dim) in [(2, 32), (1, 64), (2, 5), (1, 33), (1, 1)] {
        for mask in [
            AttentionMask::FULL,
            AttentionMask::CAUSAL,
            AttentionMask::window(64, 64),
            AttentionMask::window(96, 40),
            AttentionMask::window(3, 140),
        ] {
            let shape = AttentionShape {
                mask,
                ..AttentionShape::new(heads, head_dim)
            };
            let qkv = qkv(1003, shape);
            let reach = 400;
            let values = pseudo_random(heads * (2 * reach + 1), 5);
            let values = Mat::from_vec(heads, 2 * reach + 1, values);
            for bias in [None, Some(values.view())] {
                let case = Case {
                    qkv: qkv.view(),
                    bounds: &BOUNDS,
                    shape,
                    bias: bias.map(|values| RelativeBias { values }),
                };
                check(case, &format!("{shape:?}, bias {}", bias.is_some()));
            }
        }
    }
}

/// The largest integers that the factors let through, all of one sign: no sum leaves 32 bits.
#[test]
#[cfg_attr(miri, ignore = "no such level")]
fn the_largest_sums_fit() {
    for len in [160, 161, 200, 1023, 1024] {
        for head_dim in [1, 2, 63, 64, 1024] {
            for sign in [1.0, -1.0] {
                let shape = AttentionShape::new(1, head_dim);
                let mut values = vec![1.75; len * 3 * head_dim];
                for row in values.chunks_exact_mut(3 * head_dim) {
                    row[..head_dim].fill(sign * 1.75);
                }
                let qkv = Mat::from_vec(len, 3 * head_dim, values);
                let case = Case {
                    qkv: qkv.view(),
                    bounds: &[0, len as u32],
                    shape,
                    bias: None,
                };
                for level in levels() {
                    let found = of(case, at(level, Precision::Int8));
                    let is_mean = |y: &f32| (y - 1.75).abs() < 1e-5;
                    assert!(
                        found.data().iter().all(is_mean),
                        "{len}, {head_dim}, {sign}"
                    );
                }
            }
        }
    }
}

/// One key has most of the weight of many queries; errors of scores grow with their size.
#[test]
#[cfg_attr(miri, ignore = "no such level")]
fn a_sharp_softmax() {
    let shape = AttentionShape::new(2, 32);
    let qkv = qkv(1003, shape);
    for factor in [4.0, 16.0] {
        let scale = factor * shape.scale;
        let case = Case {
            qkv: qkv.view(),
            bounds: &BOUNDS,
            shape: AttentionShape { scale, ..shape },
            bias: None,
        };
        let expected = run(case, scalar::attention);
        for level in levels() {
            let found = of(case, at(level, Precision::Int8));
            let tolerance = TOLERANCE * f64::from(factor);
            agree(found.data(), expected.data(), tolerance, level.name());
        }
    }
}

/// One key has all the weight of every query, with scores so large that their rounding shows in the exponential.
#[test]
#[cfg_attr(miri, ignore = "no such level")]
fn scores_of_any_size() {
    let (shape, len) = (AttentionShape::new(1, 32), 161);
    for size in (0..60).map(|i| 2.9 + 13.7 * i as f32) {
        let mut qkv = qkv(len, shape);
        for row in 0..len as usize {
            let mut view = qkv.view_mut();
            let (q, k) = view.row(row)[..64].split_at_mut(32);
            q.fill(size);
            k.fill(if row == 77 { size } else { -size });
        }
        let case = Case {
            qkv: qkv.view(),
            bounds: &[0, len],
            shape,
            bias: None,
        };
        check(case, &format!("size {size}"));
    }
}

/// What is left to floats has their bits: short texts, gradients, dropout, other precisions, and values that no factor fits.
#[test]
#[cfg_attr(miri, ignore = "no such level")]
fn floats_where_integers_do_not_serve() {
    let shape = AttentionShape::new(2, 16);
    let keys: Vec<u64> = (0..1003).collect();
    let all = qkv(1003, shape);
    for level in Level::available() {
        let equal = |case: Case<'_>, what: &str| {
            let floats = of(case, at(level, Precision::F32));
            let found = of(case, at(level, Precision::Int8));
            assert_eq!(bits(&found), bits(&floats), "{what}, {}", level.name());
        };
        let short = Case {
            qkv: all.view().row_range(0, 2 * SHORTEST as usize - 1),
            bounds: &[
                0,
                SHORTEST - 1,
                SHORTEST - 1,
                2 * SHORTEST - 2,
                2 * SHORTEST - 1,
            ],
            shape,
            bias: None,
        };
        equal(short, "short texts");
        for value in [f32::NAN, f32::INFINITY, 1e18, 0.0] {
            for part in 0..3 {
                let mut qkv = all.clone();
                let columns = part * shape.width()..(part + 1) * shape.width();
                if value == 0.0 {
                    (0..1003).for_each(|row| qkv.view_mut().row(row)[columns.clone()].fill(0.0));
                } else {
                    let start = columns.start;
                    (0..1003).for_each(|row| qkv.view_mut().row(row)[start..][..32].fill(value));
                }
                let case = Case {
                    qkv: qkv.view(),
                    bounds: &BOUNDS,
                    shape,
                    bias: None,
                };
                equal(case, &format!("{value} in part {part}"));
            }
        }
        for (lse, rate) in [(true, 0.0), (false, 0.2)] {
            let with = |precision| {
                let (mut y, mut kept) = (Mat::zeros(1003, 32), Mat::zeros(1003, 2));
                attention(
                    at(level, precision),
                    Attention {
                        y: y.view_mut(),
                        lse: lse.then(|| kept.view_mut()),
                        qkv: all.view(),
                        spans: Spans { bounds: &BOUNDS },
                        shape,
                        bias: None,
                        distances: None,
                        dropout: (rate > 0.0).then_some(Dropout {
                            rate,
                            key: 3,
                            rows: &keys,
                        }),
                    },
                );
                bits(&y)
            };
            assert_eq!(with(Precision::Int8), with(Precision::F32));
        }
        let case = Case {
            qkv: all.view(),
            bounds: &BOUNDS,
            shape,
            bias: None,
        };
        for precision in [Precision::F32x3, Precision::Bf16, Precision::Int16] {
            let found = of(case, at(level, precision));
            assert_eq!(bits(&found), bits(&of(case, at(level, Precision::F32))));
        }
        let floats = bits(&of(case, at(level, Precision::F32)));
        let integers = bits(&of(case, at(level, Precision::Int8)));
        assert_eq!(integers == floats, levels().all(|other| other != level));
    }
}

/// A text's vectors do not depend on what else is in the batch.
#[test]
#[cfg_attr(miri, ignore = "no such level")]
fn texts_do_not_see_each_other() {
    let shape = AttentionShape::new(2, 32);
    let all = qkv(1003, shape);
    let spans = Spans { bounds: &BOUNDS };
    for level in levels() {
        let with = |qkv: MatRef<'_>, bounds: &[u32]| {
            let bias = None;
            let case = Case {
                qkv,
                bounds,
                shape,
                bias,
            };
            of(case, at(level, Precision::Int8))
        };
        let together = with(all.view(), &BOUNDS);
        for text in 0..spans.texts() {
            let rows = spans.rows(text);
            let qkv = all.view().row_range(rows.start, rows.end);
            let bounds = [0, rows.len() as u32];
            let alone = with(qkv, &bounds);
            let among_others = together.view().row_range(rows.start, rows.end).to_mat();
            assert_eq!(bits(&alone), bits(&among_others), "{}", level.name());
        }
    }
}
