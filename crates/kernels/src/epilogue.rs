//! What follows a product, done while the sums are in registers.

use crate::{
    Activation, MatMut, MatRef, activation,
    parallel::SharedMut,
    simd::{self, Vector},
    tile::{Next, PANEL},
};

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

/// Where the gradient of a linear layer's input goes, and what follows its product, in this order: the activation that made the input,
/// the gradient of a residual.
pub struct InputGradient<'a> {
    /// Overwritten; `[tokens, in]`.
    pub dx: MatMut<'a>,
    /// That activation, and the values before it, by whose derivative the gradient is multiplied; `[tokens, in]`.
    pub activation: Option<(Activation, MatRef<'a>)>,
    /// Added last; `[tokens, in]`.
    pub residual: Option<MatRef<'a>>,
}

impl<'a> From<MatMut<'a>> for InputGradient<'a> {
    /// The product alone.
    fn from(dx: MatMut<'a>) -> Self {
        Self {
            dx,
            activation: None,
            residual: None,
        }
    }
}

/// Arguments of [`crate::linear_bwd`]; what is `None` is skipped.
pub struct LinearBackward<'a> {
    /// `dx = dy w`, and what follows it.
    pub dx: Option<InputGradient<'a>>,
    /// `dw += dyᵀ x`; `[out, in]`.
    pub dw: Option<MatMut<'a>>,
    /// `db += column sums of dy`; `[out]`.
    pub db: Option<&'a mut [f32]>,
    /// Gradient of the output; `[tokens, out]`.
    pub dy: MatRef<'a>,
    /// Input of the forward; `[tokens, in]`.
    pub x: MatRef<'a>,
    /// Weight; `[out, in]`.
    pub w: MatRef<'a>,
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
    slope: Option<(Activation, MatRef<'a>)>,
    residual: Option<MatRef<'a>>,
}

impl<'a> Finish<'a> {
    /// `out = alpha * sums`.
    pub(crate) fn scaled(out: &'a mut MatMut<'_>, alpha: f32) -> Self {
        let (cols, out) = (out.cols(), SharedMut::new(out.data()));
        let (bias, activation, pre, slope, residual) = (None, None, None, None, None);
        Self {
            out,
            cols,
            accumulate: false,
            alpha,
            bias,
            activation,
            pre,
            slope,
            residual,
        }
    }

    /// `out += sums`.
    pub(crate) fn accumulated(out: &'a mut MatMut<'_>) -> Self {
        Self {
            accumulate: true,
            ..Self::scaled(out, 1.0)
        }
    }

    /// `gradient.dx = sums`, and what follows.
    pub(crate) fn gradient(gradient: &'a mut InputGradient<'_>) -> Self {
        let InputGradient {
            dx,
            activation,
            residual,
        } = gradient;
        let shape = (dx.rows(), dx.cols());
        let fits = |x: &MatRef<'_>| (x.rows(), x.cols()) == shape;
        assert!(
            activation.as_ref().is_none_or(|(_, x)| fits(x)),
            "linear_bwd: activation"
        );
        assert!(residual.as_ref().is_none_or(fits), "linear_bwd: residual");
        Self {
            slope: *activation,
            residual: *residual,
            ..Self::scaled(dx, 1.0)
        }
    }

    /// `out = epilogue(sums)`.
    pub(crate) fn with(out: &'a mut MatMut<'_>, epilogue: &'a mut Epilogue<'_>) -> Self {
        let shape = (out.rows(), out.cols());
        assert!(
            epilogue.bias.is_none_or(|bias| bias.len() == shape.1),
            "linear: bias"
        );
        assert!(
            epilogue
                .residual
                .is_none_or(|x| (x.rows(), x.cols()) == shape),
            "linear: residual"
        );
        let pre = epilogue.pre_activation.as_mut().map(|pre| {
            assert_eq!((pre.rows(), pre.cols()), shape, "linear: pre_activation");
            SharedMut::new(pre.data())
        });
        let (bias, activation, residual) = (epilogue.bias, epilogue.activation, epilogue.residual);
        Self {
            bias,
            activation,
            pre,
            residual,
            ..Self::scaled(out, 1.0)
        }
    }

    /// Where the sums of a tile that begins at this row and column go, and what else is read or written then. No layer has three.
    #[inline(always)]
    pub(crate) fn next(&self, row: usize, column: usize) -> [Next; 2] {
        let at = row * self.cols + column;
        let read = self.residual.or(self.slope.map(|(_, before)| before));
        let other = match (read, self.pre) {
            (Some(read), _) => Next(read.row(row)[column..].as_ptr(), read.stride()),
            (None, pre) => Next(pre.unwrap_or(self.out).address(at), self.cols),
        };
        [Next(self.out.address(at), self.cols), other]
    }

    /// Sums of one slice of `k` of some columns of a row: kept in the result until the last slice, then finished. One pass: what is
    /// loaded stays in registers until it is stored.
    ///
    /// # Safety
    /// Nobody else uses these columns of row `row` of the result and of the kept values meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn slice<V: Vector>(
        &self,
        row: usize,
        col: usize,
        sums: &[f32],
        slice: Slice<'_>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match sums.first_chunk::<PANEL>() {
                // Of a length that the compiler knows: without tails.
                Some(panel) => self.columns::<V>(row, col, panel, slice),
                None => self.columns::<V>(row, col, sums, slice),
            }
        }
    }

    /// [`Finish::slice`].
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn columns<V: Vector>(&self, row: usize, col: usize, sums: &[f32], slice: Slice<'_>) {
        let (at, width) = (row * self.cols + col, sums.len());
        // SAFETY: the caller's promise.
        let out = unsafe { self.out.piece(at, width) };
        // SAFETY: the caller's promise.
        let mut pre = self.pre.map(|pre| unsafe { pre.piece(at, width) });
        let bias = self.bias.map(|bias| &bias[col..col + width]);
        let residual = self
            .residual
            .map(|residual| &residual.row(row)[col..col + width]);
        let slope = self.slope.map(|(f, x)| (f, &x.row(row)[col..col + width]));
        let adds = self.accumulate || !slice.first;
        for i in 0..simd::count::<V>(width) {
            let mut x = V::load_at(sums, i, 0.0);
            if let Some((row, columns)) = slice.scales {
                x = x.mul(V::splat(row)).mul(V::load(&columns[i * V::LANES..]));
            }
            if adds {
                x = x.add(V::load_at(out, i, 0.0));
            }
            if slice.last && !self.accumulate {
                x = x.mul(V::splat(self.alpha));
                if let Some(bias) = bias {
                    x = x.add(V::load_at(bias, i, 0.0));
                }
                if let Some(pre) = &mut pre {
                    x.store_at(pre, i);
                }
                if let Some(f) = self.activation {
                    x = activation::apply(x, f);
                }
                if let Some((f, before)) = slope {
                    x = x.mul(activation::derivative(V::load_at(before, i, 0.0), f));
                }
                if let Some(residual) = residual {
                    x = x.add(V::load_at(residual, i, 0.0));
                }
            }
            x.store_at(out, i);
        }
    }
}

/// Place of a slice of `k` among the slices of a product, and what its sums are multiplied by.
#[derive(Clone, Copy)]
pub(crate) struct Slice<'a> {
    pub first: bool,
    pub last: bool,
    /// Of the row, and of each column.
    pub scales: Option<(f32, &'a [f32; PANEL])>,
}
