//! Parameters as one flat buffer with a layout.

use std::{ops::Range, sync::Arc};

use matryo_ops::AlignedVec;

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index in modules.json of the module that owns it; 0 is the transformer.
    pub module: usize,
    /// Its name in that module's checkpoint file.
    pub name: String,
    /// Names of other tensors there, of the same shape, that may be tied to it: they are if they hold the same values.
    pub tied: Vec<String>,
    /// Its names in upstream's model, the usual one first: `0.model.encoder.layer.1.output.dense.weight`. What is tied to it has
    /// one as well.
    pub upstream: Vec<String>,
    /// Its shape, `[out, in]` for weights.
    pub shape: Vec<usize>,
    /// Where it lies in [`Params::flat`].
    pub range: Range<usize>,
    /// Where its gradient lies among the [gradients](super::Grads); `None` if it is frozen.
    pub grad: Option<Range<usize>>,
    /// Whether weight decay applies (weights yes; biases and norms no, as in transformers).
    pub decay: bool,
}

/// Where every tensor lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// In the order of the buffer.
    pub entries: Vec<Entry>,
}

/// Consecutive entries of a layout, read as one matrix `[rows, cols]`; a vector has one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Index of the first entry.
    pub first: usize,
    /// Number of entries.
    pub count: usize,
    /// Rows of all entries together.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

impl Tensor {
    /// Its entries in the layout.
    pub fn entries(self) -> Range<usize> {
        self.first..self.first + self.count
    }
}

/// All parameters of a model.
#[derive(Clone, Debug)]
pub struct Params {
    /// Shared with the gradients.
    pub layout: Arc<Layout>,
    /// Every tensor, one after the other.
    pub flat: AlignedVec,
}

impl Layout {
    /// Appends a tensor and returns its index; `trainable` gives it a gradient.
    pub fn push(
        &mut self,
        module: usize,
        name: &str,
        shape: &[usize],
        trainable: bool,
        decay: bool,
    ) -> usize {
        let len: usize = shape.iter().product();
        let (start, grad_start) = (self.len(), self.grad_len());
        self.entries.push(Entry {
            module,
            name: name.to_owned(),
            tied: Vec::new(),
            upstream: Vec::new(),
            shape: shape.to_vec(),
            range: start..start + len,
            grad: trainable.then_some(grad_start..grad_start + len),
            decay,
        });
        self.entries.len() - 1
    }

    /// Number of values of all parameters.
    pub fn len(&self) -> usize {
        self.entries.last().map_or(0, |e| e.range.end)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of a module that was read from the tensor `name`.
    pub(crate) fn find(&self, module: usize, name: &str) -> Option<usize> {
        let is_it = |entry: &Entry| entry.module == module && entry.name == name;
        self.entries.iter().position(is_it)
    }

    /// Whether any of these entries is trainable.
    pub fn trains(&self, entries: Range<usize>) -> bool {
        self.entries[entries].iter().any(|e| e.grad.is_some())
    }

    /// Values of all trainable parameters.
    pub fn grad_len(&self) -> usize {
        self.entries
            .iter()
            .rev()
            .find_map(|e| e.grad.as_ref())
            .map_or(0, |r| r.end)
    }
}

impl Params {
    /// The values of entry `i`.
    pub fn get(&self, i: usize) -> &[f32] {
        &self.flat[self.layout.entries[i].range.clone()]
    }
}
