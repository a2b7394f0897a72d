//! What follows a product, done row by row while the sums are in the first-level cache.

use crate::{Activation, MatMut, MatRef, activation, parallel::SharedMut, rows, simd::Vector};

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

/// Where the sums of a product go. Every shape was checked against the result.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    out: SharedMut,
    cols: usize,
    /// `out += sums`, and nothing else.
    accumulate: bool,
    alpha: f32,
    bias: Option<&'a [f32]>,
    activation: Option<Activation>,
    pre: Option<SharedMut>,
    residual: Option<MatRef<'a>>,
}

impl<'a> Finish<'a> {
    /// `out = alpha * sums`.
    pub(crate) fn scaled(out: &'a mut MatMut<'_>, alpha: f32) -> Self {
        let (cols, out) = (out.cols(), SharedMut::new(out.data()));
        Self { out, cols, accumulate: false, alpha, bias: None, activation: None, pre: None, residual: None }
    }

    /// `out += sums`.
    pub(crate) fn accumulated(out: &'a mut MatMut<'_>) -> Self {
        Self { accumulate: true, ..Self::scaled(out, 1.0) }
    }

    /// `out = epilogue(sums)`.
    pub(crate) fn with(out: &'a mut MatMut<'_>, epilogue: &'a mut Epilogue<'_>) -> Self {
        let shape = (out.rows(), out.cols());
        assert!(epilogue.bias.is_none_or(|bias| bias.len() == shape.1), "linear: bias");
        assert!(epilogue.residual.is_none_or(|x| (x.rows(), x.cols()) == shape), "linear: residual");
        let pre = epilogue.pre_activation.as_mut().map(|pre| {
            assert_eq!((pre.rows(), pre.cols()), shape, "linear: pre_activation");
            SharedMut::new(pre.data())
        });
        let (bias, activation, residual) = (epilogue.bias, epilogue.activation, epilogue.residual);
        Self { bias, activation, pre, residual, ..Self::scaled(out, 1.0) }
    }

    /// Sums of one slice of `k`: kept in the result until the last slice, then finished.
    ///
    /// # Safety
    /// Nobody else uses these columns of row `row` of the result and of the kept values meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn slice<V: Vector>(&self, row: usize, col: usize, sums: &mut [f32], slice: Slice) {
        // SAFETY: the caller's promise.
        let out = unsafe { self.out.piece(row * self.cols + col, sums.len()) };
        if self.accumulate || !slice.first {
            rows::add::<V>(sums, out);
        }
        if slice.last && !self.accumulate {
            // SAFETY: the caller's promise.
            unsafe { self.finish::<V>(row, col, sums) };
        }
        rows::copy::<V>(out, sums);
    }

    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, row: usize, col: usize, sums: &mut [f32]) {
        if self.alpha != 1.0 {
            rows::scale::<V>(sums, self.alpha);
        }
        if let Some(bias) = self.bias {
            rows::add::<V>(sums, &bias[col..col + sums.len()]);
        }
        if let Some(pre) = self.pre {
            // SAFETY: the caller's promise.
            rows::copy::<V>(unsafe { pre.piece(row * self.cols + col, sums.len()) }, sums);
        }
        if let Some(f) = self.activation {
            activation::activate::<V>(sums, f);
        }
        if let Some(residual) = self.residual {
            rows::add::<V>(sums, &residual.row(row)[col..col + sums.len()]);
        }
    }
}

/// Place of a slice of `k` among the slices of a product.
#[derive(Clone, Copy)]
pub(crate) struct Slice {
    pub first: bool,
    pub last: bool,
}
