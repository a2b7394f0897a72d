//! A linear layer: `y = x wᵀ + b`.
//!
//! Backward: `dx = dy w`, `dw += dyᵀ x`, `db +=` column sums of `dy`. It keeps nothing: the layers around it keep its input.

use matryo_ops::{Dropout, Epilogue, InputGradient, LinearBackward, MatMut, MatRef};

use crate::{
    arena::Buffer,
    pass::{Backward, Pass},
    weights::{ProductParam, VectorParam, accumulate},
};

/// Weight `[out, in]` and bias `[out]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: ProductParam,
    pub(crate) bias: Option<VectorParam>,
}

impl Linear {
    /// Width of the output.
    pub(crate) fn out(&self) -> usize {
        self.weight.tensor.rows
    }

    /// `epilogue(x wᵀ + b)`.
    pub(crate) fn forward(&self, pass: &Pass<'_>, x: &Buffer, epilogue: Epilogue<'_>) -> Buffer {
        let mut y = pass.arena.take(x.rows(), self.out());
        self.forward_into(pass, y.view_mut(), x.view(), epilogue);
        y
    }

    /// [`Linear::forward`] into a matrix that is there.
    pub(crate) fn forward_into(
        &self,
        pass: &Pass<'_>,
        y: MatMut<'_>,
        x: MatRef<'_>,
        epilogue: Epilogue<'_>,
    ) {
        let bias = self.bias.map(|bias| pass.weights.vector(bias));
        let weight = pass.weights.product(self.weight);
        pass.ops.linear(y, x, weight, Epilogue { bias, ..epilogue });
    }

    /// `residual + drop(x wᵀ + b)`.
    pub(crate) fn forward_onto(
        &self,
        pass: &Pass<'_>,
        x: &Buffer,
        residual: &Buffer,
        dropout: Option<Dropout<'_>>,
    ) -> Buffer {
        if dropout.is_none() {
            let epilogue = Epilogue {
                residual: Some(residual.view()),
                ..Epilogue::default()
            };
            return self.forward(pass, x, epilogue);
        }
        let mut y = self.forward(pass, x, Epilogue::default());
        pass.drop(&mut y, dropout);
        pass.ops.add(y.view_mut(), residual.view());
        y
    }

    /// Adds the gradients of weight and bias, and writes that of the input where it is wanted. Without any of them it does
    /// nothing.
    pub(crate) fn backward(
        &self,
        cx: &mut Backward<'_>,
        dx: Option<InputGradient<'_>>,
        dy: MatRef<'_>,
        x: MatRef<'_>,
    ) {
        let tensor = self.weight.tensor;
        let w = cx.weights.matrix(tensor);
        let tensors = [Some(tensor), self.bias.map(|bias| bias.tensor)];
        let ops = cx.pass.ops;
        accumulate(cx.grads, tensors, |[dw, db]| {
            if dx.is_some() || dw.is_some() || db.is_some() {
                ops.linear_bwd(LinearBackward {
                    dx,
                    dw: dw.map(|dw| MatMut::new(tensor.rows, tensor.cols, dw)),
                    db,
                    dy,
                    x,
                    w,
                });
            }
        });
    }
}
