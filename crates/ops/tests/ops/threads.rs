//! No result depends on the number of threads, to the bit.

use matryo_ops::{
    Activation, AdamW, Attention, AttentionBackward, AttentionMask, AttentionShape, Cpu,
    Disentangled, Dropout, Epilogue, LayerNorm, LayerNormBackward, LinearBackward, Mat, Operand,
    Ops, PoolMode, Rotary, Spans, Touched, Weight,
};
use matryo_testkit::pseudo_random;

const BOUNDS: [u32; 8] = [0, 40, 41, 100, 228, 229, 350, 700];
const TOKENS: usize = 700;

fn mat(rows: usize, cols: usize, seed: u64) -> Mat {
    Mat::from_vec(rows, cols, pseudo_random(rows * cols, seed))
}

/// `run` in pools of 1, 2, 3 and 7 threads.
#[track_caller]
fn invariant<T: PartialEq + Send>(run: impl Fn(&dyn Ops) -> T + Sync) {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(|| run(&Cpu::default()))
    };
    let one = with(1);
    for threads in [2, 3, 7] {
        assert!(
            with(threads) == one,
            "{threads} threads give other numbers than one"
        );
    }
}

#[test]
fn products() {
    let (x, w, dy) = (mat(TOKENS, 130, 1), mat(200, 130, 2), mat(TOKENS, 200, 3));
    invariant(|ops| {
        let (mut y, mut pre) = (Mat::zeros(TOKENS, 200), Mat::zeros(TOKENS, 200));
        let activation = Some(Activation::Gelu);
        let epilogue = Epilogue {
            activation,
            pre_activation: Some(pre.view_mut()),
            ..Epilogue::default()
        };
        ops.linear(
            y.view_mut(),
            x.view(),
            Weight::Packed(&ops.pack(w.view())),
            epilogue,
        );
        let (mut dx, mut dw, mut db) = (
            Mat::zeros(TOKENS, 130),
            Mat::zeros(200, 130),
            vec![0.0; 200],
        );
        ops.linear_bwd(LinearBackward {
            dx: Some(dx.view_mut().into()),
            dw: Some(dw.view_mut()),
            db: Some(&mut db),
            dy: dy.view(),
            x: x.view(),
            w: w.view(),
        });
        (y, pre, dx, dw, db)
    });
    let (a, b) = (mat(5, 2500, 1), mat(300, 2500, 2));
    invariant(|ops| {
        let mut out = Mat::zeros(5, 300);
        ops.matmul(
            out.view_mut(),
            Operand::Normal(a.view()),
            Operand::Transposed(b.view()),
            1.0,
        );
        out
    });
}

#[test]
fn attention() {
    for mask in [AttentionMask::FULL, AttentionMask::window(10, 25)] {
        let shape = AttentionShape {
            mask,
            ..AttentionShape::new(3, 32)
        };
        attention_of(shape, None);
    }
    // Far distances share a vector; few vectors make many groups of texts.
    let vectors = mat(9, 2 * 3 * 32, 7);
    let rows: Vec<u32> = (0..2 * TOKENS as u32 - 1)
        .map(|at| (at.saturating_sub(TOKENS as u32 - 5)).min(8))
        .collect();
    let distances = Disentangled {
        vectors: vectors.view(),
        for_queries: Some(3 * 32),
        for_keys: Some(0),
        rows: &rows,
    };
    attention_of(AttentionShape::new(3, 32), Some(distances));
}

fn attention_of(shape: AttentionShape, distances: Option<Disentangled<'_>>) {
    let qkv = mat(TOKENS, 3 * shape.width(), 1);
    let dy = mat(TOKENS, shape.width(), 2);
    let keys: Vec<u64> = (0..TOKENS as u64).collect();
    let spans = Spans { bounds: &BOUNDS };
    let dropout = Some(Dropout {
        rate: 0.1,
        key: 4,
        rows: &keys,
    });
    invariant(|ops| {
        let mut y = Mat::zeros(TOKENS, shape.width());
        let mut lse = Mat::zeros(TOKENS, shape.heads);
        ops.attention(Attention {
            y: y.view_mut(),
            lse: Some(lse.view_mut()),
            qkv: qkv.view(),
            spans,
            shape,
            bias: None,
            distances,
            dropout,
        });
        let mut dqkv = Mat::zeros(TOKENS, 3 * shape.width());
        let mut d_vectors = Mat::zeros(9, 2 * shape.width());
        ops.attention_bwd(AttentionBackward {
            dqkv: dqkv.view_mut(),
            dy: dy.view(),
            y: y.view(),
            lse: lse.view(),
            qkv: qkv.view(),
            spans,
            shape,
            bias: None,
            d_bias: None,
            distances,
            d_vectors: distances.map(|_| d_vectors.view_mut()),
            dropout,
        });
        (y, lse, dqkv, d_vectors)
    });
}

#[test]
fn gates_and_rotations() {
    let (pre, dy) = (mat(TOKENS, 2 * 77, 1), mat(TOKENS, 77, 2));
    let (x, table) = (mat(TOKENS, 300, 3), mat(TOKENS, 32, 4));
    let positions: Vec<u32> = (0..TOKENS as u32).collect();
    invariant(|ops| {
        let mut y = Mat::zeros(TOKENS, 77);
        let mut d_pre = Mat::zeros(TOKENS, 2 * 77);
        let mut x = x.clone();
        ops.gate(y.view_mut(), pre.view(), Activation::Gelu);
        ops.gate_bwd(d_pre.view_mut(), dy.view(), pre.view(), Activation::Gelu);
        ops.rotary(Rotary {
            x: x.view_mut(),
            heads: 6,
            head_dim: 32,
            positions: &positions,
            table: table.view(),
            inverse: false,
        });
        (y, d_pre, x)
    });
}

#[test]
fn rows_and_columns() {
    let (x, dy, gamma) = (mat(TOKENS, 77, 1), mat(TOKENS, 77, 2), pseudo_random(77, 3));
    let keys: Vec<u64> = (0..TOKENS as u64).collect();
    invariant(|ops| {
        let (mut y, mut stats, mut dx) = (
            Mat::zeros(TOKENS, 77),
            Mat::zeros(TOKENS, 2),
            Mat::zeros(TOKENS, 77),
        );
        let (mut dgamma, mut dbeta) = (vec![0.0; 77], vec![0.0; 77]);
        ops.layer_norm(LayerNorm {
            y: y.view_mut(),
            stats: Some(stats.view_mut()),
            x: x.view(),
            gamma: &gamma,
            beta: Some(&gamma),
            eps: 1e-12,
            centred: true,
        });
        ops.layer_norm_bwd(LayerNormBackward {
            dx: dx.view_mut(),
            dgamma: Some(&mut dgamma),
            dbeta: Some(&mut dbeta),
            dy: dy.view(),
            x: x.view(),
            stats: stats.view(),
            gamma: &gamma,
            centred: true,
            residual: Some(dy.view()),
        });
        ops.dropout(
            y.view_mut(),
            Dropout {
                rate: 0.2,
                key: 1,
                rows: &keys,
            },
        );
        ops.add(y.view_mut(), x.view());
        let mut pooled = Mat::zeros(BOUNDS.len() - 1, 77);
        let skip = [0; BOUNDS.len() - 1];
        ops.pool(
            pooled.view_mut(),
            y.view(),
            Spans { bounds: &BOUNDS },
            &skip,
            PoolMode::Mean,
        );
        (y, dx, dgamma, dbeta, pooled)
    });
}

#[test]
fn the_optimizer() {
    let len = 100_003;
    let (start, grads) = (pseudo_random(len, 1), pseudo_random(len, 2));
    invariant(|ops| {
        let (mut p, mut m, mut v) = (start.clone(), vec![0.0; len], vec![0.0; len]);
        let touched = Touched::all(len);
        let norm = ops.sum_squares(&grads, touched.whole());
        let grad_scale = norm.sqrt().recip() as f32;
        let update = AdamW {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            step: 1,
            grad_scale,
        };
        ops.adamw(&mut p, &grads, &mut m, &mut v, touched.whole(), update);
        (p, m, v, norm.to_bits())
    });
}
