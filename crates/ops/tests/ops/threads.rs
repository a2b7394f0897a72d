//! No result depends on the number of threads, to the bit.

use matryo_ops::{
    Activation, AdamW, AttentionShape, Cpu, Dropout, Epilogue, Mat, Operand, Ops, PoolMode, Spans,
    Weight,
};
use matryo_testkit::pseudo_random;

const BOUNDS: [u32; 8] = [0, 40, 41, 100, 228, 229, 350, 700];
const TOKENS: usize = 700;
const SHAPE: AttentionShape = AttentionShape {
    heads: 3,
    head_dim: 32,
};

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
        let (dx_out, dw_out) = (Some(dx.view_mut().into()), Some(dw.view_mut()));
        ops.linear_bwd(dx_out, dw_out, Some(&mut db), dy.view(), x.view(), w.view());
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
    let (qkv, dy) = (
        mat(TOKENS, 3 * SHAPE.width(), 1),
        mat(TOKENS, SHAPE.width(), 2),
    );
    let keys: Vec<u64> = (0..TOKENS as u64).collect();
    let (spans, dropout) = (
        Spans { bounds: &BOUNDS },
        Some(Dropout {
            rate: 0.1,
            key: 4,
            rows: &keys,
        }),
    );
    invariant(|ops| {
        let (mut y, mut lse) = (
            Mat::zeros(TOKENS, SHAPE.width()),
            Mat::zeros(TOKENS, SHAPE.heads),
        );
        ops.attention(
            y.view_mut(),
            Some(lse.view_mut()),
            qkv.view(),
            spans,
            SHAPE,
            dropout,
        );
        let mut dqkv = Mat::zeros(TOKENS, 3 * SHAPE.width());
        ops.attention_bwd(
            dqkv.view_mut(),
            dy.view(),
            y.view(),
            lse.view(),
            qkv.view(),
            spans,
            SHAPE,
            dropout,
        );
        (y, lse, dqkv)
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
        ops.layer_norm(
            y.view_mut(),
            Some(stats.view_mut()),
            x.view(),
            &gamma,
            &gamma,
            1e-12,
        );
        let (dgamma_out, dbeta_out) = (Some(dgamma.as_mut_slice()), Some(dbeta.as_mut_slice()));
        ops.layer_norm_bwd(
            dx.view_mut(),
            dgamma_out,
            dbeta_out,
            dy.view(),
            x.view(),
            stats.view(),
            &gamma,
        );
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
        let norm = ops.sum_squares(&grads);
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
        ops.adamw(&mut p, &grads, &mut m, &mut v, update);
        (p, m, v, norm.to_bits())
    });
}
