//! How near the matrix product comes to what the processor can do: one JSON object on standard output.
//!
//! `cargo run --release -p matryo-kernels --example roofline`; the seconds that a measurement takes may follow (0.3), and `memory` to measure
//! nothing else.
//!
//! The peak of an instruction is measured in registers alone, on one thread and on all; the product at the shapes of
//! a model 768 wide, with packed weights; memory by reading far more than the caches hold, once, in loops that do nothing else and in a search.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use matryo_kernels::{
    Arithmetic, Epilogue, Level, Mat, MatMut, MatRef, PackedWeight, Precision, Weight, linear,
    scan_f32,
};
use rayon::prelude::*;

/// Rows of the input: a short query, a small batch, and batches of the size that encoding uses.
const ROWS: [usize; 4] = [8, 32, 512, 2048];
/// Input and output widths of the four products of a layer.
const WIDTHS: [(usize, usize); 4] = [(768, 768), (768, 2304), (768, 3072), (3072, 768)];
/// Precisions of the product, each with the instruction whose peak it is held to.
const PRECISIONS: [(Precision, &str); 4] = [
    (Precision::F32, "f32 fma"),
    (Precision::Bf16, "vdpbf16ps"),
    (Precision::Int16, "vpdpwssd"),
    (Precision::Int8, "vpdpbusd"),
];

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .map_or(0.3, |text| text.parse().expect("seconds"));
    let budget = Duration::from_secs_f64(seconds);
    let threads = rayon::current_num_threads();
    let memory: Vec<String> = [1, threads]
        .into_iter()
        .take(threads.min(2))
        .map(|n| memory(n, budget))
        .collect();
    if std::env::args().nth(2).is_some_and(|only| only == "memory") {
        return println!(
            r#"{{"threads": {threads}, "memory": [{}]}}"#,
            memory.join(", ")
        );
    }
    let peaks: Vec<Peak> = peaks::available()
        .into_iter()
        .map(|kernel| Peak::measure(kernel, threads, budget))
        .collect();
    let products: Vec<String> = [1, threads]
        .into_iter()
        .take(threads.min(2))
        .flat_map(|n| products(n, &peaks, budget))
        .collect();
    let peaks: Vec<String> = peaks.iter().map(Peak::json).collect();
    println!(
        r#"{{"threads": {threads}, "level": "{}", "peaks": [{}], "linear": [{}], "memory": [{}]}}"#,
        Level::best().name(),
        peaks.join(", "),
        products.join(", "),
        memory.join(", ")
    );
}

/// Billions of operations a second, a product and a sum being two.
struct Peak {
    instruction: &'static str,
    vector: &'static str,
    one_thread: f64,
    all_threads: f64,
}

impl Peak {
    fn measure(kernel: peaks::Kernel, threads: usize, budget: Duration) -> Self {
        let peaks::Kernel {
            instruction,
            vector,
            operations,
            run,
        } = kernel;
        let rate = |threads| operations * threads as f64 * rounds(threads, budget, run) * 1e-9;
        Self {
            instruction,
            vector,
            one_thread: rate(1),
            all_threads: rate(threads),
        }
    }

    fn json(&self) -> String {
        format!(
            r#"{{"instruction": "{}", "vector": "{}", "one_thread_gops": {:.1}, "all_threads_gops": {:.1}}}"#,
            self.instruction, self.vector, self.one_thread, self.all_threads
        )
    }
}

/// Rounds a second in which every thread runs the loop once. A round ends with its slowest thread, so that threads that
/// share a core are not counted as two.
fn rounds(threads: usize, budget: Duration, run: fn()) -> f64 {
    let pool = pool(threads);
    best_per_second(budget, || {
        pool.broadcast(|_| run());
    })
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a thread pool")
}

/// By the fastest run, since other programs only ever make one slower.
fn best_per_second(budget: Duration, mut f: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < budget {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    1.0 / best
}

/// Every product on a pool of `threads`, as JSON objects.
fn products(threads: usize, peaks: &[Peak], budget: Duration) -> Vec<String> {
    let pool = pool(threads);
    let shapes = ROWS
        .into_iter()
        .flat_map(|m| WIDTHS.into_iter().map(move |(k, n)| (m, k, n)));
    // Without instructions for bf16 its products are those of floats.
    let has_own =
        |precision: Precision| precision != Precision::Bf16 || Level::best() == Level::Avx512Bf16;
    let precisions = || {
        PRECISIONS
            .into_iter()
            .filter(|(precision, _)| has_own(*precision))
    };
    let all = shapes.flat_map(|shape| precisions().map(move |precision| (shape, precision)));
    all.map(|((m, k, n), (precision, instruction))| {
        let gops = 2.0 * (m * k * n) as f64 * pool.install(|| product(precision, m, k, n, budget)) * 1e-9;
        let percent = of_peak(gops, peaks, instruction, threads);
        format!(
            r#"{{"threads": {threads}, "precision": "{}", "m": {m}, "k": {k}, "n": {n}, "gops": {gops:.1}, "percent_of_peak": {percent}}}"#,
            precision.name()
        )
    })
    .collect()
}

/// `null` where the peak was not measured.
fn of_peak(gops: f64, peaks: &[Peak], instruction: &str, threads: usize) -> String {
    let peak = peaks.iter().find(|peak| peak.instruction == instruction);
    let percent = peak.map(|peak| {
        100.0 * gops
            / if threads == 1 {
                peak.one_thread
            } else {
                peak.all_threads
            }
    });
    percent.map_or("null".into(), |percent| format!("{percent:.1}"))
}

/// Products a second at their fastest. The one place that knows how the product is called.
fn product(precision: Precision, m: usize, k: usize, n: usize, budget: Duration) -> f64 {
    let (arithmetic, x, w, bias) = (
        Arithmetic {
            level: Level::best(),
            precision,
        },
        mat(m, k),
        mat(n, k),
        vec![0.5; n],
    );
    let (packed, mut y) = (PackedWeight::new(arithmetic, w.view()), Mat::zeros(m, n));
    let run = || {
        let epilogue = Epilogue {
            bias: Some(&bias),
            ..Epilogue::default()
        };
        linear(
            arithmetic,
            black_box(y.view_mut()),
            black_box(x.view()),
            Weight::Packed(&packed),
            epilogue,
        );
    };
    best_per_second(budget, run)
}

/// Floats that are read from memory: 1 GiB, more than caches hold.
const READ: usize = 1 << 28;
/// Width of the rows of a search.
const WIDTH: usize = 256;
/// Rows of a task.
const READ_ROWS: usize = 4096;

/// Billions of bytes a second that are read, by a plain loop and by scanning rows for one query, as a JSON object.
fn memory(threads: usize, budget: Duration) -> String {
    let (pool, rows, query) = (pool(threads), mat(READ / WIDTH, WIDTH), mat(1, WIDTH));
    let gigabytes = (READ * size_of::<f32>()) as f64 * 1e-9;
    let tasks = || rows.data().par_chunks(READ_ROWS * WIDTH);
    let rate = |f: &(dyn Fn() + Sync)| gigabytes * pool.install(|| best_per_second(budget, f));
    let read = rate(&|| tasks().for_each(|part| _ = black_box(bits::<0>(part))));
    let asked = rate(&|| tasks().for_each(|part| _ = black_box(bits::<8192>(part))));
    let scan = rate(&|| tasks().for_each(|part| _ = black_box(scanned(query.data(), part))));
    format!(
        r#"{{"threads": {threads}, "read_gbytes": {read:.1}, "read_ahead_gbytes": {asked:.1}, "scan_gbytes": {scan:.1}}}"#
    )
}

/// As cheap as a loop can be that needs every value; lines are asked for `AHEAD` bytes early, if any.
fn bits<const AHEAD: usize>(values: &[f32]) -> u32 {
    let mut lanes = [0; 16];
    for line in values.as_chunks::<16>().0 {
        #[cfg(target_arch = "x86_64")]
        if AHEAD > 0 {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a hint, which no address makes fail; SSE is part of the architecture.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast::<i8>().wrapping_add(AHEAD)) };
        }
        lanes
            .iter_mut()
            .zip(line)
            .for_each(|(lane, value)| *lane ^= value.to_bits());
    }
    lanes.iter().fold(0, |all, lane| all ^ lane)
}

fn scanned(query: &[f32], rows: &[f32]) -> f32 {
    let (query, rows) = (
        MatRef::new(1, WIDTH, query),
        MatRef::new(rows.len() / WIDTH, WIDTH, rows),
    );
    let mut scores = [0.0; READ_ROWS];
    scan_f32(
        Level::best(),
        MatMut::new(1, rows.rows(), &mut scores[..rows.rows()]),
        query,
        rows,
    );
    scores[0]
}

/// Numbers of about unit size without a pattern.
fn mat(rows: usize, cols: usize) -> Mat {
    let value = |i: usize| ((i.wrapping_mul(2_654_435_761) >> 7) % 2001) as f32 / 1000.0 - 1.0;
    Mat::from_vec(rows, cols, (0..rows * cols).map(value).collect())
}

/// Instructions whose peak can be measured here: loops that touch no memory.
mod peaks {
    /// A loop and the operations that one run of it does.
    pub struct Kernel {
        /// What is multiplied and summed.
        pub instruction: &'static str,
        /// The instruction set.
        pub vector: &'static str,
        /// Products and sums of a run.
        pub operations: f64,
        /// Runs the loop.
        pub run: fn(),
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn available() -> Vec<Kernel> {
        Vec::new()
    }

    #[cfg(target_arch = "x86_64")]
    pub use x86::available;

    #[cfg(target_arch = "x86_64")]
    mod x86 {
        use std::{arch::x86_64::*, hint::black_box};

        use super::Kernel;

        /// Steps of a run, about a millisecond: long against waking a thread, short against a measurement.
        const STEPS: usize = 200_000;
        /// Sums that do not wait for each other: more than latency times ports, fewer than the registers (16 and 32).
        const SUMS_AVX2: usize = 12;
        const SUMS_AVX512: usize = 24;

        pub fn available() -> Vec<Kernel> {
            let mut found = Vec::new();
            if is_x86_feature_detected!("avx512f") {
                found.push(kernel("f32 fma", "avx512f", SUMS_AVX512, 16, fma512));
            } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(kernel("f32 fma", "avx2", SUMS_AVX2, 8, fma256));
            }
            if is_x86_feature_detected!("avx512bf16") {
                found.push(kernel("vdpbf16ps", "avx512_bf16", SUMS_AVX512, 32, bf16));
            }
            if is_x86_feature_detected!("avx512vnni") {
                found.push(kernel("vpdpwssd", "avx512_vnni", SUMS_AVX512, 32, int16));
                found.push(kernel("vpdpbusd", "avx512_vnni", SUMS_AVX512, 64, int8));
            }
            found
        }

        fn kernel(
            instruction: &'static str,
            vector: &'static str,
            sums: usize,
            products: usize,
            run: fn(),
        ) -> Kernel {
            Kernel {
                instruction,
                vector,
                operations: (2 * STEPS * sums * products) as f64,
                run,
            }
        }

        fn fma512() {
            #[target_feature(enable = "avx512f")]
            fn run() {
                let (a, b) = (
                    _mm512_set1_ps(black_box(0.5)),
                    _mm512_set1_ps(black_box(0.25)),
                );
                let mut sums = black_box([_mm512_set1_ps(1.0); SUMS_AVX512]);
                for _ in 0..STEPS {
                    for sum in &mut sums {
                        *sum = _mm512_fmadd_ps(a, b, *sum);
                    }
                }
                black_box(sums.map(|sum| _mm512_reduce_add_ps(sum)));
            }
            // SAFETY: `available` lists this only where the processor has avx512f.
            unsafe { run() }
        }

        fn fma256() {
            #[target_feature(enable = "avx2,fma")]
            fn run() {
                let (a, b) = (
                    _mm256_set1_ps(black_box(0.5)),
                    _mm256_set1_ps(black_box(0.25)),
                );
                let mut sums = black_box([_mm256_set1_ps(1.0); SUMS_AVX2]);
                for _ in 0..STEPS {
                    for sum in &mut sums {
                        *sum = _mm256_fmadd_ps(a, b, *sum);
                    }
                }
                black_box(sums);
            }
            // SAFETY: `available` lists this only where the processor has avx2 and fma.
            unsafe { run() }
        }

        fn bf16() {
            #[target_feature(enable = "avx512f,avx512bf16")]
            fn run() {
                let (one, half) = (
                    _mm512_set1_ps(black_box(1.0)),
                    _mm512_set1_ps(black_box(0.5)),
                );
                let (a, b) = (
                    _mm512_cvtne2ps_pbh(one, half),
                    _mm512_cvtne2ps_pbh(half, one),
                );
                let mut sums = black_box([one; SUMS_AVX512]);
                for _ in 0..STEPS {
                    for sum in &mut sums {
                        *sum = _mm512_dpbf16_ps(*sum, a, b);
                    }
                }
                black_box(sums.map(|sum| _mm512_reduce_add_ps(sum)));
            }
            // SAFETY: `available` lists this only where the processor has avx512_bf16, and with it avx512f.
            unsafe { run() }
        }

        fn int16() {
            #[target_feature(enable = "avx512f,avx512vnni")]
            fn run() {
                let (a, b) = (
                    _mm512_set1_epi16(black_box(3)),
                    _mm512_set1_epi16(black_box(5)),
                );
                let mut sums = black_box([_mm512_set1_epi32(1); SUMS_AVX512]);
                for _ in 0..STEPS {
                    for sum in &mut sums {
                        *sum = _mm512_dpwssd_epi32(*sum, a, b);
                    }
                }
                black_box(sums.map(|sum| _mm512_reduce_add_epi32(sum)));
            }
            // SAFETY: `available` lists this only where the processor has avx512_vnni, and with it avx512f.
            unsafe { run() }
        }

        fn int8() {
            #[target_feature(enable = "avx512f,avx512vnni")]
            fn run() {
                let (a, b) = (
                    _mm512_set1_epi8(black_box(3)),
                    _mm512_set1_epi8(black_box(5)),
                );
                let mut sums = black_box([_mm512_set1_epi32(1); SUMS_AVX512]);
                for _ in 0..STEPS {
                    for sum in &mut sums {
                        *sum = _mm512_dpbusd_epi32(*sum, a, b);
                    }
                }
                black_box(sums.map(|sum| _mm512_reduce_add_epi32(sum)));
            }
            // SAFETY: as above.
            unsafe { run() }
        }
    }
}
