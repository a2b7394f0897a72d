//! Attention with terms of content and distance: every level against the reference, and no text sees another.

mod common;

use common::{Guarded, agree, at_every_level};
use matryo_kernels::{
    Attention, AttentionBackward, AttentionShape, Disentangled, Dropout, Level, Mat, MatMut,
    MatRef, Spans, attention, attention_bwd, scalar,
};
use matryo_testkit::pseudo_random;

/// Lengths around the width of a panel, an empty text, and one of one token.
const BOUNDS: [u32; 9] = [0, 1, 1, 4, 16, 47, 79, 112, 202];
const LONGEST: usize = 90;
const TOKENS: usize = 202;

/// Numbers of rows for all distances up to a reach.
struct Table {
    rows: Vec<u32>,
    /// Rows of the vectors, of which some may belong to no distance.
    vectors: usize,
}

fn tables() -> Vec<Table> {
    let span = 2 * LONGEST - 1;
    let table = |rows: Vec<u32>, vectors| Table { rows, vectors };
    let near = |at: usize| at.clamp(LONGEST - 9, LONGEST + 7) - (LONGEST - 9);
    vec![
        // A vector for each distance.
        table((0..span as u32).collect(), span),
        // A farther reach than that of the longest text, and rows before the first.
        table((0..span as u32 + 40).map(|at| at + 3).collect(), span + 50),
        // One vector for all far distances of each side.
        table((0..span).map(|at| near(at) as u32).collect(), 17),
        // Several distances to a vector, and vectors of no distance.
        table((0..span as u32).map(|at| at / 2 * 3 / 2).collect(), 200),
    ]
}

#[derive(Clone, Copy)]
struct Case<'a> {
    spans: Spans<'a>,
    shape: AttentionShape,
    distances: Disentangled<'a>,
    dropout: Option<Dropout<'a>>,
}

/// Output, log-sum-exp, and gradients of q, k and v and of the vectors, which are added to what is there.
struct Results {
    y: Mat,
    lse: Mat,
    dqkv: Mat,
    d_vectors: Mat,
}

impl Results {
    fn new(case: Case<'_>, tokens: usize) -> Self {
        let width = case.shape.width();
        let (rows, cols) = (case.distances.vectors.rows(), case.distances.vectors.cols());
        Self {
            y: Mat::zeros(tokens, width),
            lse: Mat::zeros(tokens, case.shape.heads),
            dqkv: Mat::zeros(tokens, 3 * width),
            d_vectors: Mat::from_vec(rows, cols, pseudo_random(rows * cols, 8)),
        }
    }
}

fn forward<'a>(case: Case<'a>, y: MatMut<'a>, lse: MatMut<'a>, qkv: MatRef<'a>) -> Attention<'a> {
    Attention {
        y,
        lse: Some(lse),
        qkv,
        spans: case.spans,
        shape: case.shape,
        bias: None,
        distances: Some(case.distances),
        dropout: case.dropout,
    }
}

fn backward<'a>(
    case: Case<'a>,
    (dqkv, d_vectors): (MatMut<'a>, MatMut<'a>),
    (qkv, dy): (MatRef<'a>, MatRef<'a>),
    (y, lse): (&'a Mat, &'a Mat),
) -> AttentionBackward<'a> {
    AttentionBackward {
        dqkv,
        dy,
        y: y.view(),
        lse: lse.view(),
        qkv,
        spans: case.spans,
        shape: case.shape,
        bias: None,
        d_bias: None,
        distances: Some(case.distances),
        d_vectors: Some(d_vectors),
        dropout: case.dropout,
    }
}

fn reference(case: Case<'_>, inputs: (MatRef<'_>, MatRef<'_>)) -> Results {
    let mut results = Results::new(case, inputs.0.rows());
    let Results {
        y,
        lse,
        dqkv,
        d_vectors,
    } = &mut results;
    scalar::attention(forward(case, y.view_mut(), lse.view_mut(), inputs.0));
    let outputs = (dqkv.view_mut(), d_vectors.view_mut());
    scalar::attention_bwd(backward(case, outputs, inputs, (y, lse)));
    results
}

fn of_level(level: Level, case: Case<'_>, inputs: (MatRef<'_>, MatRef<'_>)) -> Results {
    let mut results = Results::new(case, inputs.0.rows());
    let (tokens, width) = (inputs.0.rows(), case.shape.width());
    let mut y = Guarded::unset(tokens, width);
    let mut lse = Guarded::unset(tokens, case.shape.heads);
    attention(level, forward(case, y.view_mut(), lse.view_mut(), inputs.0));
    results.y.data_mut().copy_from_slice(y.check());
    results.lse.data_mut().copy_from_slice(lse.check());
    let mut dqkv = Guarded::unset(tokens, 3 * width);
    let outputs = (dqkv.view_mut(), results.d_vectors.view_mut());
    let kept = (&results.y, &results.lse);
    attention_bwd(level, backward(case, outputs, inputs, kept));
    results.dqkv.data_mut().copy_from_slice(dqkv.check());
    results
}

/// Inputs of some size, so that the softmax is far from flat.
fn inputs(shape: AttentionShape) -> (Mat, Mat) {
    let mat = |cols, factor: f32, seed| {
        let values = pseudo_random(TOKENS * cols, seed).into_iter();
        Mat::from_vec(TOKENS, cols, values.map(|x| factor * x).collect())
    };
    (mat(3 * shape.width(), 2.0, 1), mat(shape.width(), 1.0, 2))
}

fn vectors(shape: AttentionShape, table: &Table) -> Mat {
    let cols = 3 * shape.width();
    Mat::from_vec(table.vectors, cols, pseudo_random(table.vectors * cols, 5))
}

/// Calls `test` with both terms, and with each alone; of three parts of the columns one is left alone.
fn for_each_case(test: impl Fn(Case<'_>)) {
    let keys: Vec<u64> = (0..TOKENS as u64).map(|i| i * i + 7).collect();
    let dropout = Dropout {
        rate: 0.3,
        key: 5,
        rows: &keys,
    };
    for (heads, head_dim) in [(2, 8), (1, 33), (3, 16)] {
        let shape = AttentionShape {
            scale: 0.2,
            ..AttentionShape::new(heads, head_dim)
        };
        let width = shape.width();
        for table in tables() {
            let vectors = vectors(shape, &table);
            for (for_queries, for_keys) in [
                (Some(width), Some(0)),
                (Some(0), None),
                (None, Some(2 * width)),
            ] {
                for dropout in [None, Some(dropout)] {
                    test(Case {
                        spans: Spans { bounds: &BOUNDS },
                        shape,
                        distances: Disentangled {
                            vectors: vectors.view(),
                            for_queries,
                            for_keys,
                            rows: &table.rows,
                        },
                        dropout,
                    });
                }
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn levels_agree_with_the_reference() {
    for_each_case(|case| {
        let (qkv, dy) = inputs(case.shape);
        let inputs = (qkv.view(), dy.view());
        let expected = reference(case, inputs);
        at_every_level(|level| {
            let found = of_level(level, case, inputs);
            let what = format!("{} {:?}", level.name(), case.shape);
            agree(found.y.data(), expected.y.data(), 3e-6, &what);
            agree(found.lse.data(), expected.lse.data(), 3e-6, &what);
            agree(found.dqkv.data(), expected.dqkv.data(), 1e-5, &what);
            let what = format!("{what}, vectors");
            agree(
                found.d_vectors.data(),
                expected.d_vectors.data(),
                1e-5,
                &what,
            );
        });
    });
}

/// A text of 40 tokens, short enough for an interpreter.
#[test]
fn one_text() {
    let shape = AttentionShape::new(1, 9);
    let rows: Vec<u32> = (0..79).collect();
    let vectors = Mat::from_vec(79, 18, pseudo_random(79 * 18, 5));
    let case = Case {
        spans: Spans { bounds: &[0, 40] },
        shape,
        distances: Disentangled {
            vectors: vectors.view(),
            for_queries: Some(0),
            for_keys: Some(9),
            rows: &rows,
        },
        dropout: None,
    };
    let qkv = Mat::from_vec(40, 27, pseudo_random(40 * 27, 1));
    let dy = Mat::from_vec(40, 9, pseudo_random(40 * 9, 2));
    let inputs = (qkv.view(), dy.view());
    let expected = reference(case, inputs);
    at_every_level(|level| {
        let found = of_level(level, case, inputs);
        agree(found.y.data(), expected.y.data(), 3e-6, level.name());
        agree(found.dqkv.data(), expected.dqkv.data(), 1e-5, level.name());
        let (found, expected) = (found.d_vectors.data(), expected.d_vectors.data());
        agree(found, expected, 1e-5, level.name());
    });
}

/// A text's output and its gradient do not depend on what else is in the batch.
#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn texts_do_not_see_each_other() {
    for_each_case(|case| {
        let (qkv, dy) = inputs(case.shape);
        at_every_level(|level| {
            let all = of_level(level, case, (qkv.view(), dy.view()));
            for text in 0..case.spans.texts() {
                let rows = case.spans.rows(text);
                let part = |m: &Mat| m.view().row_range(rows.start, rows.end).to_mat();
                let bounds = [0, rows.len() as u32];
                let alone = Case {
                    spans: Spans { bounds: &bounds },
                    dropout: case.dropout.map(|dropout| Dropout {
                        rows: &dropout.rows[rows.clone()],
                        ..dropout
                    }),
                    ..case
                };
                let (qkv, dy) = (part(&qkv), part(&dy));
                let alone = of_level(level, alone, (qkv.view(), dy.view()));
                let found = [&alone.y, &alone.lse, &alone.dqkv];
                let among_others = [&all.y, &all.lse, &all.dqkv].map(part);
                assert_eq!(found, among_others.each_ref(), "{}", level.name());
            }
        });
    });
}
