//! Speed of the kernels that a step spends its time in: `cargo run --release -p matryo-kernels --example bench`.
//!
//! The best of several runs counts, since other programs only ever make a run slower. Set `RAYON_NUM_THREADS=1` for one
//! thread; the name of an instruction set, and of a precision, may follow as arguments.

use std::{hint::black_box, time::Instant};

use matryo_kernels::{
    Activation, Arithmetic, Attention, AttentionBackward, AttentionMask, AttentionShape, Epilogue,
    Level, LinearBackward, Mat, PackedWeight, Precision, Spans, Weight, attention, attention_bwd,
    linear, linear_bwd,
};

fn main() {
    let name = std::env::args().nth(1);
    let level = name.map_or(Level::best(), |name| {
        Level::named(&name).expect("an instruction set of this processor")
    });
    let name = std::env::args().nth(2).unwrap_or_default();
    let precision = Precision::named(&name).unwrap_or_default();
    println!(
        "{}, {}, {} threads",
        level.name(),
        precision.name(),
        rayon::current_num_threads()
    );
    println!("{:<56}{:>10}{:>12}", "", "ms", "GFLOP/s");
    for (tokens, inner, outer) in [
        (2048, 768, 3072),
        (2048, 3072, 768),
        (2048, 384, 1536),
        (2048, 768, 768),
        (512, 384, 1152),
        (16, 768, 3072),
    ] {
        products(Arithmetic { level, precision }, tokens, inner, outer);
    }
    let arithmetic = Arithmetic { level, precision };
    for head_dim in [32, 64] {
        for (texts, len) in [(256, 16), (85, 48), (32, 128), (8, 512)] {
            heads_in_use(arithmetic, texts, len, AttentionShape::new(12, head_dim));
        }
        heads(level, 32, 128, AttentionShape::new(12, head_dim));
    }
    let full = AttentionShape::new(12, 64);
    for mask in [AttentionMask::FULL, AttentionMask::window(64, 64)] {
        heads_in_use(arithmetic, 4, 1024, AttentionShape { mask, ..full });
        heads(level, 4, 1024, AttentionShape { mask, ..full });
    }
}

fn products(arithmetic: Arithmetic, t: usize, k: usize, n: usize) {
    let (x, w, b) = (mat(t, k), mat(n, k), mat(1, n));
    let mut y = Mat::zeros(t, n);
    let mut pre = Mat::zeros(t, n);
    let packed = PackedWeight::new(arithmetic, w.view());
    let flops = 2.0 * t as f64 * k as f64 * n as f64;
    let bias = || Epilogue {
        bias: Some(b.data()),
        ..Epilogue::default()
    };
    for (what, weight) in [
        ("packed, bias", Weight::Packed(&packed)),
        ("plain, bias", Weight::Plain(w.view())),
    ] {
        report(&format!("{what} {t} x {k} x {n}"), flops, || {
            linear(arithmetic, y.view_mut(), x.view(), weight, bias());
        });
    }
    let what = "packed, bias, GELU, kept";
    report(&format!("{what} {t} x {k} x {n}"), flops, || {
        let epilogue = Epilogue {
            activation: Some(Activation::Gelu),
            pre_activation: Some(pre.view_mut()),
            ..bias()
        };
        let weight = Weight::Packed(&packed);
        linear(arithmetic, y.view_mut(), x.view(), weight, epilogue);
    });
    backward_products(arithmetic, &x, &w, &y);
}

/// The two products of a backward whose gradient has the values of `y`.
fn backward_products(arithmetic: Arithmetic, x: &Mat, w: &Mat, y: &Mat) {
    let (t, k, n) = (x.rows(), x.cols(), w.rows());
    let flops = 2.0 * t as f64 * k as f64 * n as f64;
    let (mut dx, mut dw, mut db) = (Mat::zeros(t, k), Mat::zeros(n, k), vec![0.0; n]);
    let (dy, x, w) = (y.view(), x.view(), w.view());
    report(&format!("dx {t} x {k} x {n}"), flops, || {
        let args = LinearBackward {
            dx: Some(dx.view_mut().into()),
            dw: None,
            db: None,
            dy,
            x,
            w,
        };
        linear_bwd(arithmetic, args);
    });
    report(&format!("dw, db {t} x {k} x {n}"), flops, || {
        let args = LinearBackward {
            dx: None,
            dw: Some(dw.view_mut()),
            db: Some(&mut db),
            dy,
            x,
            w,
        };
        linear_bwd(arithmetic, args);
    });
}

/// Attention of a model in use.
fn heads_in_use(arithmetic: Arithmetic, texts: usize, len: usize, shape: AttentionShape) {
    let bounds: Vec<u32> = (0..=texts).map(|i| (i * len) as u32).collect();
    let (tokens, width) = (texts * len, shape.width());
    let (qkv, mut y) = (mat(tokens, 3 * width), Mat::zeros(tokens, width));
    let flops = 4.0 * (tokens * keys(len, shape) * width) as f64;
    report(&name("attention in use", texts, len, shape), flops, || {
        attention(
            arithmetic,
            Attention {
                y: y.view_mut(),
                lse: None,
                qkv: qkv.view(),
                spans: Spans { bounds: &bounds },
                shape,
                bias: None,
                distances: None,
                dropout: None,
            },
        );
    });
}

/// Keys that a query in the middle of a text sees.
fn keys(len: usize, shape: AttentionShape) -> usize {
    let reach = shape.mask.left.saturating_add(shape.mask.right);
    reach.saturating_add(1).min(len)
}

fn name(what: &str, texts: usize, len: usize, shape: AttentionShape) -> String {
    let (keys, heads, dim) = (keys(len, shape), shape.heads, shape.head_dim);
    format!("{what} {texts} x {len}, {keys} keys, {heads} heads of {dim}")
}

fn heads(level: Level, texts: usize, len: usize, shape: AttentionShape) {
    let (t, d) = (texts * len, shape.heads * shape.head_dim);
    let bounds: Vec<u32> = (0..=texts).map(|i| (i * len) as u32).collect();
    let spans = Spans { bounds: &bounds };
    let (qkv, dy) = (mat(t, 3 * d), mat(t, d));
    let (mut y, mut lse, mut dqkv) = (
        Mat::zeros(t, d),
        Mat::zeros(t, shape.heads),
        Mat::zeros(t, 3 * d),
    );
    let flops = 4.0 * t as f64 * keys(len, shape) as f64 * d as f64;
    let name = |what| name(what, texts, len, shape);
    report(&name("attention"), flops, || {
        attention(
            level,
            Attention {
                y: y.view_mut(),
                lse: Some(lse.view_mut()),
                qkv: qkv.view(),
                spans,
                shape,
                bias: None,
                distances: None,
                dropout: None,
            },
        )
    });
    let y = y.view();
    report(&name("attention_bwd"), 2.5 * flops, || {
        attention_bwd(
            level,
            AttentionBackward {
                dqkv: dqkv.view_mut(),
                dy: dy.view(),
                y,
                lse: lse.view(),
                qkv: qkv.view(),
                spans,
                shape,
                bias: None,
                distances: None,
                d_bias: None,
                d_vectors: None,
                dropout: None,
            },
        );
    });
}

/// Numbers of about unit size without a pattern.
fn mat(rows: usize, cols: usize) -> Mat {
    let value = |i: usize| ((i.wrapping_mul(2_654_435_761) >> 7) % 2001) as f32 / 1000.0 - 1.0;
    Mat::from_vec(rows, cols, (0..rows * cols).map(value).collect())
}

fn report(name: &str, flops: f64, mut f: impl FnMut()) {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed().as_secs_f64() < 0.6 {
        let start = Instant::now();
        black_box(&mut f)();
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{name:<56}{:>10.3}{:>12.1}",
        best * 1e3,
        flops / best * 1e-9
    );
}
