//! A convolution along the tokens of a text beside a block: `norm(block(x) + f(drop(conv(x))))`.
//!
//! Beyond the ends of a text lie zeros, so a text has the same vectors alone and in any batch. The convolution is a product with the
//! neighbours of each token side by side, which are not kept; the backward needs what the activation gets, and the normalisation's input.

use std::ops::Range;

use matryo_ops::{Dropout, Epilogue};

use super::{
    block::BlockPlace,
    linear::Linear,
    norm::{Norm, STATS},
    params::EncoderBuilder,
};
use crate::{
    ConvolutionSpec, DropoutSpec, NnError,
    arena::{self, Buffer},
    dropout::Site,
    pass::{Backward, Pass},
};

/// The convolution beside a block.
#[derive(Debug)]
pub(crate) struct Convolution {
    block: usize,
    dim: usize,
    /// `[dim, dim / groups * taps]`: rows of one group after those of another.
    linear: Linear,
    norm: Norm,
    spec: ConvolutionSpec,
    dropout: f32,
}

/// What the backward needs; `[t, d]`.
pub(crate) struct KeptConvolution {
    /// What the activation gets.
    pre: Buffer,
    /// Input of the normalisation.
    sum: Buffer,
    /// `[t, 2]`.
    stats: Buffer,
}

impl Convolution {
    pub(crate) fn build(
        builder: &mut EncoderBuilder<'_, '_>,
        place: BlockPlace,
        spec: ConvolutionSpec,
        dim: usize,
        dropout: &DropoutSpec,
    ) -> Result<Self, NnError> {
        let (linear, norm) = builder.convolution(place.weights, spec, dim)?;
        Ok(Self {
            block: place.index,
            dim,
            linear,
            norm,
            spec,
            dropout: dropout.convolution,
        })
    }

    /// What the activation gets for the block's input `x`.
    pub(crate) fn forward(&self, pass: &Pass<'_>, x: &Buffer) -> Buffer {
        let mut pre = pass.arena.take(x.rows(), self.dim);
        for group in 0..self.spec.groups {
            let neighbours = self.unfold(pass, x, group);
            if self.spec.groups == 1 {
                let y = pre.view_mut();
                let epilogue = Epilogue::default();
                self.linear
                    .forward_into(pass, y, neighbours.view(), epilogue);
                break;
            }
            // All rows of the weight, of which the group's are wanted: as many operations as without groups.
            let all = self.linear.forward(pass, &neighbours, Epilogue::default());
            let columns = self.columns(group);
            let rows = pre.data_mut().chunks_exact_mut(self.dim);
            for (i, row) in rows.enumerate() {
                row[columns.clone()].copy_from_slice(&all.view().row(i)[columns.clone()]);
            }
        }
        pass.drop(&mut pre, self.mask(pass));
        pre
    }

    /// The output, given what [`Self::forward`] made and the block's output.
    pub(crate) fn finish(
        &self,
        pass: &Pass<'_>,
        pre: Buffer,
        block: &Buffer,
        keep: bool,
    ) -> (Buffer, Option<KeptConvolution>) {
        let mut sum = pass.arena.take(pre.rows(), self.dim);
        let activation = self.spec.activation;
        pass.ops.activation(sum.view_mut(), pre.view(), activation);
        pass.ops.add(sum.view_mut(), block.view());
        let (y, stats) = self.norm.forward_kept(pass, &sum, keep);
        (y, stats.map(|stats| KeptConvolution { pre, sum, stats }))
    }

    /// The output, recomputed.
    pub(crate) fn output(&self, pass: &Pass<'_>, kept: &KeptConvolution) -> Buffer {
        self.norm.forward(pass, &kept.sum)
    }

    /// Gradients of the block's output and of the convolution's, given that of the output.
    pub(crate) fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptConvolution,
        dy: &Buffer,
    ) -> (Buffer, Buffer) {
        let KeptConvolution { pre, sum, stats } = kept;
        let d_block = self.norm.backward(cx, dy, &sum, &stats, None);
        let mut d_pre = cx.pass.arena.copy(&d_block);
        let activation = self.spec.activation;
        cx.pass
            .ops
            .activation_bwd(d_pre.view_mut(), pre.view(), activation);
        cx.pass.drop(&mut d_pre, self.mask(&cx.pass));
        (d_block, d_pre)
    }

    /// Adds the gradients of weight and bias, and that of the block's input `x` to `dx` if it is wanted, given that of the convolution.
    pub(crate) fn input_backward(
        &self,
        cx: &mut Backward<'_>,
        d_pre: &Buffer,
        x: &Buffer,
        dx: Option<&mut Buffer>,
    ) {
        let mut d_x = dx.as_ref().map(|_| cx.pass.arena.take(x.rows(), self.dim));
        for group in 0..self.spec.groups {
            let neighbours = self.unfold(&cx.pass, x, group);
            let d_group = (self.spec.groups > 1).then(|| self.group_alone(&cx.pass, d_pre, group));
            let d_pre = d_group.as_ref().unwrap_or(d_pre);
            let (rows, cols) = (neighbours.rows(), neighbours.cols());
            let mut d_neighbours = d_x.as_ref().map(|_| cx.pass.arena.take(rows, cols));
            let wanted = d_neighbours.as_mut().map(|d| d.view_mut().into());
            self.linear
                .backward(cx, wanted, d_pre.view(), neighbours.view());
            if let (Some(d_x), Some(d)) = (&mut d_x, &d_neighbours) {
                let first = self.columns(group).start;
                let (ops, spans) = (cx.pass.ops, cx.pass.spans());
                ops.unfold_bwd(d_x.view_mut(), first, d.view(), spans, self.spec.taps);
            }
        }
        if let (Some(dx), Some(d_x)) = (dx, &d_x) {
            cx.pass.ops.add(dx.view_mut(), d_x.view());
        }
    }

    /// The neighbours of each token, of the columns of a group.
    fn unfold(&self, pass: &Pass<'_>, x: &Buffer, group: usize) -> Buffer {
        let (columns, taps) = (self.columns(group), self.spec.taps);
        let mut neighbours = pass.arena.take(x.rows(), columns.len() * taps);
        let x = x.view().col_range(columns.start, columns.end);
        pass.ops
            .unfold(neighbours.view_mut(), x, pass.spans(), taps);
        neighbours
    }

    /// A gradient of which only the columns of a group are not 0.
    fn group_alone(&self, pass: &Pass<'_>, d: &Buffer, group: usize) -> Buffer {
        let mut alone = pass.arena.zeros(d.rows(), self.dim);
        let columns = self.columns(group);
        let rows = alone.data_mut().chunks_exact_mut(self.dim);
        for (i, row) in rows.enumerate() {
            row[columns.clone()].copy_from_slice(&d.view().row(i)[columns.clone()]);
        }
        alone
    }

    fn columns(&self, group: usize) -> Range<usize> {
        let width = self.dim / self.spec.groups;
        group * width..(group + 1) * width
    }

    fn mask<'p>(&self, pass: &'p Pass<'_>) -> Option<Dropout<'p>> {
        pass.masks.at(self.dropout, self.block, Site::Convolution)
    }

    /// Bytes of [`KeptConvolution`] for so many tokens.
    pub(crate) fn kept_bytes(&self, tokens: usize) -> usize {
        arena::bytes(tokens, &[2 * self.dim, STATS])
    }

    /// Bytes that the backward uses besides those of its block: the gradient before the activation, which waits for the block's.
    pub(crate) fn working_bytes(&self, tokens: usize) -> usize {
        arena::bytes(tokens, &[self.dim])
    }

    /// Bytes that the backward uses of a width of their own: neighbours with their gradient.
    pub(crate) fn unshared_bytes(&self, tokens: usize) -> usize {
        arena::bytes(tokens, &[2 * self.unfolded()])
    }

    /// Bytes that the forward uses besides those of its block.
    pub(crate) fn forward_bytes(&self, tokens: usize) -> usize {
        arena::bytes(tokens, &[self.dim, self.unfolded()])
    }

    fn unfolded(&self) -> usize {
        self.dim / self.spec.groups * self.spec.taps
    }
}
