//! Matrix products on packed panels, with what follows them done while the sums are in registers.
//!
//! ```text
//! out[i, j] = epilogue(alpha * sum over l of a[i, l] * b[l, j])
//! ```
//!
//! 1. The result is cut into tasks of [`row_block`] rows by a group of panels. A task reads its rows of `A` again for every panel, so
//!    they should stay in the second-level cache; a panel of `B` is read again for every tile of rows.
//! 2. With few rows the panels are cut into more groups, so that all threads have work.
//! 3. A transposed `A` is packed per task into tiles `[k][rows]`, since its columns lie far apart.
//! 4. The weight gradient sums over tokens, of which there are many: it goes in chunks of [`TOKENS`], added up in their order.

use rayon::prelude::*;

use crate::{
    Activation, MatMut, MatRef, PackedWeight, activation,
    cpu::{self, Kernel},
    pack,
    parallel::SharedMut,
    scratch,
    simd::Vector,
    tile::{Finish, PANEL, PanelProduct, Strided},
};

/// Tokens of one chunk of the weight gradient.
const TOKENS: usize = 512;

/// Tasks wanted at least, for up to about 16 threads.
const TASKS: usize = 32;

/// A weight `[out, in]`: as stored, or packed once.
#[derive(Clone, Copy)]
pub enum Weight<'a> {
    /// As in the checkpoint; packed on the fly, which costs about `1 / tokens` of the product.
    Plain(MatRef<'a>),
    /// Packed; forward only.
    Packed(&'a PackedWeight),
}

/// What follows a matrix product, in this order: bias, activation, residual.
#[derive(Default)]
pub struct Epilogue<'a> {
    /// Added to every row; `[out]`.
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Option<Activation>,
    /// Receives the value before the activation, for its backward; `[tokens, out]`.
    pub pre_activation: Option<MatMut<'a>>,
    /// Added last; `[tokens, out]`.
    pub residual: Option<MatRef<'a>>,
}

/// An operand of [`matmul`], read as it lies or transposed.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// `a`.
    Normal(MatRef<'a>),
    /// `a` transposed.
    Transposed(MatRef<'a>),
}

impl Operand<'_> {
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Normal(m) => (m.rows(), m.cols()),
            Self::Transposed(m) => (m.cols(), m.rows()),
        }
    }
}

/// `y = epilogue(x wᵀ)`: `y` `[t, out]`, `x` `[t, in]`, `w` `[out, in]`.
pub fn linear(mut y: MatMut<'_>, x: MatRef<'_>, w: Weight<'_>, mut epilogue: Epilogue<'_>) {
    let (n, k) = match w {
        Weight::Plain(w) => (w.rows(), w.cols()),
        Weight::Packed(w) => (w.n, w.k),
    };
    assert_eq!((y.rows(), y.cols(), x.cols()), (x.rows(), n, k), "linear: y, x and w");
    let finish = EpilogueRows::new(&mut y, &mut epilogue);
    match w {
        Weight::Packed(w) => product(Operand::Normal(x), &w.panels, n, finish),
        Weight::Plain(w) => scratch::shared(pack::packed_len(n, k), |panels| {
            pack::pack_transposed(panels, w);
            product(Operand::Normal(x), panels, n, finish);
        }),
    }
}

/// Backward of `y = x wᵀ + b`: `dx = dy w`, `dw += dyᵀ x`, `db += column sums of dy`; what is `None` is skipped.
pub fn linear_bwd(
    dx: Option<MatMut<'_>>,
    dw: Option<MatMut<'_>>,
    db: Option<&mut [f32]>,
    dy: MatRef<'_>,
    x: MatRef<'_>,
    w: MatRef<'_>,
) {
    assert_eq!((dy.cols(), x.cols(), x.rows()), (w.rows(), w.cols(), dy.rows()), "linear_bwd: dy, x and w");
    if let Some(dx) = dx {
        matmul(dx, Operand::Normal(dy), Operand::Normal(w), 1.0);
    }
    if let Some(mut dw) = dw {
        assert_eq!((dw.rows(), dw.cols()), (w.rows(), w.cols()));
        for start in (0..dy.rows()).step_by(TOKENS) {
            let end = (start + TOKENS).min(dy.rows());
            let (dy, x) = (dy.row_range(start, end), x.row_range(start, end));
            scaled_product(dw.reborrow(), Operand::Transposed(dy), Operand::Normal(x), 1.0, true);
        }
    }
    if let Some(db) = db {
        crate::reduce::add_column_sums(db, dy);
    }
}

/// `out = alpha * a b`; `out` is `[m, n]`.
pub fn matmul(out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32) {
    scaled_product(out, a, b, alpha, false);
}

fn scaled_product(mut out: MatMut<'_>, a: Operand<'_>, b: Operand<'_>, alpha: f32, accumulate: bool) {
    let ((m, k), (kb, n)) = (a.shape(), b.shape());
    assert_eq!((out.rows(), out.cols(), k), (m, n, kb), "matmul: out, a and b");
    let finish = ScaledRows { out: SharedMut(out.data().as_mut_ptr()), stride: n, alpha, accumulate };
    scratch::shared(pack::packed_len(n, k), |panels| {
        match b {
            Operand::Normal(b) => pack::pack_rows(panels, b),
            Operand::Transposed(b) => pack::pack_transposed(panels, b),
        }
        product(a, panels, n, finish);
    });
}

/// Rows of a task, in whole tiles of 12. 96 KiB of `A` leave room in the second-level cache for a panel of `B` (`128 k` bytes) and keep
/// the pages of both in the translation buffer: 384 KiB took up to 40 % longer at `k` = 3072 on a Zen 4.
fn row_block(k: usize) -> usize {
    (96 * 1024 / 4 / k.max(1) / 12 * 12).clamp(24, 240)
}

/// All tasks of one product.
fn product<F: Finish + Send + Sync>(a: Operand<'_>, panels: &[f32], n: usize, finish: F) {
    let (m, k) = a.shape();
    let rows = row_block(k);
    let (row_blocks, panel_count) = (m.div_ceil(rows), n.div_ceil(PANEL));
    if row_blocks == 0 || panel_count == 0 {
        return;
    }
    let group = panel_count.div_ceil(TASKS.div_ceil(row_blocks));
    let groups = panel_count.div_ceil(group);
    (0..row_blocks * groups).into_par_iter().for_each(|task| {
        let (block, first) = (task / groups, task % groups * group);
        let rows = block * rows..((block + 1) * rows).min(m);
        let panels = Panels { data: panels, k, n, first, last: (first + group).min(panel_count) };
        run_task(a, rows, panels, finish);
    });
}

/// A group of panels of `B`.
#[derive(Clone, Copy)]
struct Panels<'a> {
    data: &'a [f32],
    k: usize,
    n: usize,
    first: usize,
    last: usize,
}

fn run_task<F: Finish>(a: Operand<'_>, rows: std::ops::Range<usize>, panels: Panels<'_>, finish: F) {
    match a {
        Operand::Normal(a) => {
            let first = a.row_range(rows.start, rows.end);
            let a = Strided { ptr: first.data().as_ptr(), rows: a.stride(), cols: 1 };
            cpu::run(Task { a, rows, panels, finish });
        }
        Operand::Transposed(a) => scratch::local(rows.len() * panels.k, |packed| {
            for l in 0..panels.k {
                packed[l * rows.len()..(l + 1) * rows.len()].copy_from_slice(&a.row(l)[rows.clone()]);
            }
            let a = Strided { ptr: packed.as_ptr(), rows: 1, cols: rows.len() };
            cpu::run(Task { a, rows, panels, finish });
        }),
    }
}

struct Task<'a, F> {
    /// Starts at the first of `rows`.
    a: Strided,
    rows: std::ops::Range<usize>,
    panels: Panels<'a>,
    finish: F,
}

impl<F: Finish> Kernel for Task<'_, F> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Panels { data, k, n, first, last } = self.panels;
        assert!(data.len() >= pack::packed_len(n, k));
        for i in first..last {
            let col = i * PANEL;
            let valid = PANEL.min(n - col);
            let panel = &data[i * PANEL * k..(i + 1) * PANEL * k];
            let product = PanelProduct {
                a: self.a,
                rows: self.rows.clone(),
                panel: panel.as_ptr(),
                k,
                col,
                valid,
                finish: &self.finish,
            };
            // SAFETY: `product` cut rows and panels to the shapes its callers asserted; tasks write disjoint parts of the result.
            unsafe { product.run::<V>() };
        }
    }
}

/// Writes the first `valid` floats of two vectors.
///
/// # Safety
/// `valid` floats are writable at `p`.
#[inline(always)]
pub(crate) unsafe fn store_pair<V: Vector>(p: *mut f32, valid: usize, x: [V; 2]) {
    if valid == 2 * V::LANES {
        // SAFETY: the caller's promise.
        unsafe {
            x[0].store_ptr(p);
            x[1].store_ptr(p.add(V::LANES));
        }
    } else {
        let mut lanes = [0.0; 32];
        x[0].store(&mut lanes);
        x[1].store(&mut lanes[V::LANES..]);
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, valid) };
    }
}

/// The first `valid` floats at `p`, zeros after them.
///
/// # Safety
/// `valid` floats are readable at `p`.
#[inline(always)]
unsafe fn load_pair<V: Vector>(p: *const f32, valid: usize) -> [V; 2] {
    if valid == 2 * V::LANES {
        // SAFETY: the caller's promise.
        unsafe { [V::load_ptr(p), V::load_ptr(p.add(V::LANES))] }
    } else {
        let mut lanes = [0.0; 32];
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), valid) };
        [V::load(&lanes), V::load(&lanes[V::LANES..])]
    }
}

/// `out = alpha * sums`, or `out += alpha * sums`.
#[derive(Clone, Copy)]
pub(crate) struct ScaledRows {
    out: SharedMut,
    stride: usize,
    alpha: f32,
    accumulate: bool,
}

impl ScaledRows {
    /// `out = alpha * sums` for rows `stride` apart.
    pub(crate) fn assign(out: *mut f32, stride: usize, alpha: f32) -> Self {
        Self { out: SharedMut(out), stride, alpha, accumulate: false }
    }
}

impl Finish for ScaledRows {
    #[inline(always)]
    unsafe fn row<V: Vector>(&self, r: usize, col: usize, valid: usize, sums: [V; 2]) {
        let alpha = V::splat(self.alpha);
        // SAFETY: the caller's promise.
        unsafe {
            let p = self.out.0.add(r * self.stride + col);
            let mut x = [sums[0].mul(alpha), sums[1].mul(alpha)];
            if self.accumulate {
                let old = load_pair::<V>(p, valid);
                x = [x[0].add(old[0]), x[1].add(old[1])];
            }
            store_pair(p, valid, x);
        }
    }
}

/// Bias, activation and residual. Null pointers stand for what is absent.
#[derive(Clone, Copy)]
struct EpilogueRows {
    out: SharedMut,
    pre: SharedMut,
    bias: Strided,
    residual: Strided,
    stride: usize,
    activation: Option<Activation>,
}

impl EpilogueRows {
    /// Checks all shapes against `y`.
    fn new(y: &mut MatMut<'_>, e: &mut Epilogue<'_>) -> Self {
        let shape = (y.rows(), y.cols());
        let absent = Strided { ptr: std::ptr::null(), rows: 0, cols: 1 };
        let bias = e.bias.map_or(absent, |b| {
            assert_eq!(b.len(), shape.1, "linear: bias");
            Strided { ptr: b.as_ptr(), rows: 0, cols: 1 }
        });
        let residual = e.residual.map_or(absent, |x| {
            assert_eq!((x.rows(), x.cols()), shape, "linear: residual");
            Strided { ptr: x.data().as_ptr(), rows: x.stride(), cols: 1 }
        });
        let pre = e.pre_activation.as_mut().map_or(std::ptr::null_mut(), |p| {
            assert_eq!((p.rows(), p.cols()), shape, "linear: pre_activation");
            p.data().as_mut_ptr()
        });
        let out = SharedMut(y.data().as_mut_ptr());
        Self { out, pre: SharedMut(pre), bias, residual, stride: shape.1, activation: e.activation }
    }
}

impl Finish for EpilogueRows {
    #[inline(always)]
    unsafe fn row<V: Vector>(&self, r: usize, col: usize, valid: usize, mut x: [V; 2]) {
        let at = r * self.stride + col;
        // SAFETY: the caller's promise; `new` checked that everything present has the shape of the result.
        unsafe {
            if !self.bias.ptr.is_null() {
                let bias = load_pair::<V>(self.bias.ptr.add(col), valid);
                x = [x[0].add(bias[0]), x[1].add(bias[1])];
            }
            if !self.pre.0.is_null() {
                store_pair(self.pre.0.add(at), valid, x);
            }
            if let Some(activation) = self.activation {
                x = [activation::apply(x[0], activation), activation::apply(x[1], activation)];
            }
            if !self.residual.ptr.is_null() {
                let residual = load_pair::<V>(self.residual.ptr.add(r * self.residual.rows + col), valid);
                x = [x[0].add(residual[0]), x[1].add(residual[1])];
            }
            store_pair(self.out.0.add(at), valid, x);
        }
    }
}
