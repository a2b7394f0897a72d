//! Gradients of attention, with and without what is added to its scores.

use matryo_ops::{
    Attention, AttentionBackward, AttentionMask, AttentionShape, Disentangled, Dropout, Mat,
    MatMut, MatRef, RelativeBias, Spans,
};

use super::{BOUNDS, TOKENS, check, devices, mat};

#[test]
pub fn attention() {
    let keys: Vec<u64> = (0..TOKENS as u64).map(|i| 31 * i).collect();
    let dropout = Dropout {
        rate: 0.4,
        key: 9,
        rows: &keys,
    };
    for mask in [
        AttentionMask::FULL,
        AttentionMask::CAUSAL,
        AttentionMask::window(2, 5),
        AttentionMask::window(20, 0),
    ] {
        for (heads, head_dim) in [(2, 8), (1, 40)] {
            let shape = AttentionShape {
                mask,
                ..AttentionShape::new(heads, head_dim)
            };
            one_attention(shape, None);
            one_attention(shape, Some(dropout));
        }
    }
}

fn one_attention(shape: AttentionShape, dropout: Option<Dropout<'_>>) {
    let spans = Spans { bounds: &BOUNDS };
    let qkv = mat(TOKENS, 3 * shape.width(), 1);
    let g = mat(TOKENS, shape.width(), 2);
    let bias = mat(shape.heads, 2 * TOKENS - 1, 3);
    for ops in devices() {
        let run = |y: MatMut<'_>, lse: Option<MatMut<'_>>, qkv: MatRef<'_>, values: MatRef<'_>| {
            ops.attention(Attention {
                y,
                lse,
                qkv,
                spans,
                shape,
                bias: Some(RelativeBias { values }),
                distances: None,
                dropout,
            });
        };
        let forward = |qkv: MatRef<'_>, bias: MatRef<'_>| {
            let mut y = Mat::zeros(TOKENS, shape.width());
            run(y.view_mut(), None, qkv, bias);
            y
        };
        let mut y = Mat::zeros(TOKENS, shape.width());
        let mut lse = Mat::zeros(TOKENS, shape.heads);
        run(y.view_mut(), Some(lse.view_mut()), qkv.view(), bias.view());
        let mut dqkv = Mat::zeros(TOKENS, 3 * shape.width());
        let mut d_bias = Mat::zeros(bias.rows(), bias.cols());
        ops.attention_bwd(AttentionBackward {
            dqkv: dqkv.view_mut(),
            dy: g.view(),
            y: y.view(),
            lse: lse.view(),
            qkv: qkv.view(),
            spans,
            shape,
            bias: Some(RelativeBias {
                values: bias.view(),
            }),
            d_bias: Some(d_bias.view_mut()),
            distances: None,
            d_vectors: None,
            dropout,
        });
        let what = format!("{} {shape:?}", ops.describe());
        let of_qkv = |qkv: MatRef<'_>| forward(qkv, bias.view());
        check(&what, of_qkv, &g, &qkv, dqkv.data());
        let of_bias = |bias: MatRef<'_>| forward(qkv.view(), bias);
        check(&what, of_bias, &g, &bias, d_bias.data());
    }
}

/// With vectors that several distances share, for one side of a pair or both.
#[test]
pub fn disentangled_attention() {
    let shape = AttentionShape::new(2, 8);
    let rows: Vec<u32> = (0..89_u32).map(|at| at / 3).collect();
    for (for_queries, for_keys) in [(Some(16), Some(0)), (None, Some(16)), (Some(0), None)] {
        let vectors = mat(30, 2 * shape.width(), 3);
        one_disentangled_attention(
            shape,
            Disentangled {
                vectors: vectors.view(),
                for_queries,
                for_keys,
                rows: &rows,
            },
        );
    }
}

fn one_disentangled_attention(shape: AttentionShape, distances: Disentangled<'_>) {
    let vectors = distances.vectors.to_mat();
    let spans = Spans { bounds: &BOUNDS };
    let qkv = mat(TOKENS, 3 * shape.width(), 1);
    let g = mat(TOKENS, shape.width(), 2);
    for ops in devices() {
        let run = |y: MatMut<'_>, lse: Option<MatMut<'_>>, qkv: MatRef<'_>, v: MatRef<'_>| {
            ops.attention(Attention {
                y,
                lse,
                qkv,
                spans,
                shape,
                bias: None,
                distances: Some(Disentangled {
                    vectors: v,
                    ..distances
                }),
                dropout: None,
            });
        };
        let forward = |qkv: MatRef<'_>, vectors: MatRef<'_>| {
            let mut y = Mat::zeros(TOKENS, shape.width());
            run(y.view_mut(), None, qkv, vectors);
            y
        };
        let mut y = Mat::zeros(TOKENS, shape.width());
        let mut lse = Mat::zeros(TOKENS, shape.heads);
        let lse_out = Some(lse.view_mut());
        run(y.view_mut(), lse_out, qkv.view(), vectors.view());
        let mut dqkv = Mat::zeros(TOKENS, 3 * shape.width());
        let mut d_vectors = Mat::zeros(vectors.rows(), vectors.cols());
        ops.attention_bwd(AttentionBackward {
            dqkv: dqkv.view_mut(),
            dy: g.view(),
            y: y.view(),
            lse: lse.view(),
            qkv: qkv.view(),
            spans,
            shape,
            bias: None,
            d_bias: None,
            distances: Some(distances),
            d_vectors: Some(d_vectors.view_mut()),
            dropout: None,
        });
        let what = format!("{} {shape:?}", ops.describe());
        let of_qkv = |qkv: MatRef<'_>| forward(qkv, vectors.view());
        check(&what, of_qkv, &g, &qkv, dqkv.data());
        let of_vectors = |vectors: MatRef<'_>| forward(qkv.view(), vectors);
        check(&what, of_vectors, &g, &vectors, d_vectors.data());
    }
}
