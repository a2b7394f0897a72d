//! Weights in training: one flat buffer, so that optimizer, norm and checkpoints are a pass each. Weights of products are packed
//! at each use, which costs about 1 % of a step and saves half a copy of the model.

use matryo_ops::{AlignedVec, MatRef, Weight};

use super::{
    Grads, Params, ProductParam, TableParam, TableRows, Tensor, VectorParam, Weights, builder::Plan,
};
use crate::{Checkpoint, NnError, arena::Arena};

/// Parameters that can be changed.
#[derive(Debug)]
pub struct Trainable {
    params: Params,
    /// Parameters that are read by row; of each module the word table is the first.
    tables: Vec<Tensor>,
}

impl Trainable {
    /// Reads all parameters of `plan`; `checkpoints` are those of the modules, by index.
    pub(crate) fn read(plan: Plan, checkpoints: &[Option<Checkpoint>]) -> Result<Self, NnError> {
        let layout = plan.layout;
        let mut flat = AlignedVec::zeros(layout.len());
        for entry in &layout.entries {
            let checkpoint = of_module(checkpoints, entry.module);
            checkpoint.read(&entry.name, &entry.shape, &mut flat[entry.range.clone()])?;
            // Otherwise the file's pages count as ours until the end, which doubles the peak.
            checkpoint.release();
        }
        Ok(Self {
            params: Params {
                layout: layout.into(),
                flat,
            },
            tables: plan.tables,
        })
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The parameters, to be changed.
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    /// Zero gradients for the trainable parameters.
    pub fn zero_grads(&self) -> Grads {
        Grads::zeros(self.params.layout.clone())
    }

    /// The first table of a module, if it is trained: that of the words, where the module reads texts.
    pub(crate) fn first_table_of(&self, module: usize) -> Option<Tensor> {
        let entries = &self.params.layout.entries;
        let mut tables = self.tables.iter();
        let first = *tables.find(|table| entries[table.first].module == module)?;
        let trained = self.params.layout.trains(first.entries());
        trained.then_some(first)
    }

    /// The values of a tensor as a matrix.
    pub(crate) fn matrix(&self, tensor: Tensor) -> MatRef<'_> {
        MatRef::new(tensor.rows, tensor.cols, self.values(tensor))
    }

    fn values(&self, tensor: Tensor) -> &[f32] {
        let entries = &self.params.layout.entries[tensor.entries()];
        &self.params.flat[entries[0].range.start..entries[entries.len() - 1].range.end]
    }
}

impl Weights for Trainable {
    fn are_constant(&self) -> bool {
        false
    }

    fn product(&self, param: ProductParam) -> Weight<'_> {
        Weight::Plain(self.matrix(param.tensor))
    }

    fn vector(&self, param: VectorParam) -> &[f32] {
        self.values(param.tensor)
    }

    fn rows(&self, param: TableParam, _: &[u32], _: &Arena) -> TableRows<'_> {
        TableRows::Whole(self.matrix(param.tensor))
    }
}

/// The weights of a module. Panics if it has none: only modules with weights have entries in a layout.
pub(super) fn of_module(checkpoints: &[Option<Checkpoint>], module: usize) -> &Checkpoint {
    checkpoints[module]
        .as_ref()
        .expect("entries of a module with weights")
}
