//! Where the values of the parameters are: packed for inference, or flat for training.

use matryo_ops::{AlignedVec, MatRef, Ops, PackedWeight, Weight};

use super::{
    arena::{Arena, Buffer},
    blueprint::{Blueprint, Tensor},
};
use crate::{Checkpoint, Layout, ModelError, ModelFolder, Params};

/// Values of all parameters.
pub(super) enum Store {
    /// For inference: every linear layer packed once, small tensors owned, the word table left in the file.
    Packed(Packed),
    /// For training: one buffer. Weights are packed for the product at each use.
    Flat(Params),
}

/// See [`Store::Packed`].
pub(super) struct Packed {
    /// By index of the first entry of a tensor.
    held: Vec<Held>,
    checkpoint: Checkpoint,
    /// Name of the word table in the checkpoint.
    words: String,
}

enum Held {
    /// The word table, or a later entry of a tensor of several.
    Nothing,
    Weight(PackedWeight),
    Values(Vec<f32>),
}

impl Store {
    /// Reads everything into one buffer.
    pub(super) fn flat(
        folder: &ModelFolder,
        layout: Layout,
        checkpoint: &Checkpoint,
    ) -> Result<Self, ModelError> {
        let mut flat = AlignedVec::zeros(layout.len());
        let mut source = Source::new(folder, &layout, checkpoint);
        for entry in 0..layout.entries.len() {
            let range = layout.entries[entry].range.clone();
            source.read(entry, &mut flat[range])?;
            // Else the file's pages count as ours until the end, which doubles the peak.
            checkpoint.release();
        }
        Ok(Self::Flat(Params {
            layout: layout.into(),
            flat,
        }))
    }

    /// Packs the linear layers and copies the small tensors, one after the other.
    pub(super) fn packed(
        folder: &ModelFolder,
        layout: &Layout,
        blueprint: &Blueprint,
        checkpoint: Checkpoint,
        ops: &dyn Ops,
    ) -> Result<Self, ModelError> {
        let mut held: Vec<Held> = layout.entries.iter().map(|_| Held::Nothing).collect();
        let mut source = Source::new(folder, layout, &checkpoint);
        let mut values = Vec::new();
        for Tensor {
            first, rows, cols, ..
        } in blueprint.linears().map(|linear| linear.weight)
        {
            source.read_all(first, rows * cols, &mut values)?;
            held[first] = Held::Weight(ops.pack(MatRef::new(rows, cols, &values)));
            checkpoint.release();
        }
        for Tensor {
            first, rows, cols, ..
        } in blueprint.small()
        {
            let mut values = Vec::new();
            source.read_all(first, rows * cols, &mut values)?;
            held[first] = Held::Values(values);
        }
        let words = layout.entries[blueprint.words.first].name.clone();
        // Fails now, not at the first text, if the table is missing or not of a floating type.
        checkpoint.read_rows(&words, &[0], &mut vec![0.0; blueprint.words.cols])?;
        checkpoint.release();
        Ok(Self::Packed(Packed {
            held,
            checkpoint,
            words,
        }))
    }

    /// A weight for a product.
    pub(super) fn weight(&self, tensor: Tensor) -> Weight<'_> {
        match self {
            Self::Packed(packed) => match &packed.held[tensor.first] {
                Held::Weight(weight) => Weight::Packed(weight),
                _ => unreachable!("every weight of a linear layer is packed"),
            },
            Self::Flat(_) => Weight::Plain(self.matrix(tensor)),
        }
    }

    /// A small tensor, or any of a flat store.
    pub(super) fn matrix(&self, tensor: Tensor) -> MatRef<'_> {
        MatRef::new(tensor.rows, tensor.cols, self.values(tensor))
    }

    /// The values of a small tensor, or of any of a flat store.
    pub(super) fn values(&self, tensor: Tensor) -> &[f32] {
        match self {
            Self::Packed(packed) => match &packed.held[tensor.first] {
                Held::Values(values) => values,
                _ => unreachable!("only small tensors are read as they lie"),
            },
            Self::Flat(params) => {
                let entries = &params.layout.entries[tensor.entries()];
                &params.flat[entries[0].range.start..entries[entries.len() - 1].range.end]
            }
        }
    }

    /// Sum of word, position and type embedding of each token.
    pub(super) fn embed(
        &self,
        ops: &dyn Ops,
        arena: &Arena,
        blueprint: &Blueprint,
        ids: &[u32],
        positions: &[u32],
    ) -> Buffer {
        let mut sum = arena.take(ids.len(), blueprint.words.cols);
        let position = Some(self.matrix(blueprint.positions));
        let kind = Some(self.matrix(blueprint.kinds)).filter(|table| table.rows() > 0);
        match self {
            Self::Flat(_) => {
                ops.embed(
                    sum.view_mut(),
                    ids,
                    positions,
                    self.matrix(blueprint.words),
                    position,
                    kind,
                );
            }
            Self::Packed(packed) => {
                let words = packed.gather(arena, ids, blueprint.words.cols);
                let rows: Vec<u32> = (0..ids.len() as u32).collect();
                ops.embed(
                    sum.view_mut(),
                    &rows,
                    positions,
                    words.view(),
                    position,
                    kind,
                );
            }
        }
        sum
    }
}

impl Packed {
    /// The word embeddings of these tokens, from the file: only the pages that hold them are ever loaded.
    fn gather(&self, arena: &Arena, ids: &[u32], width: usize) -> Buffer {
        let mut rows = arena.take(ids.len(), width);
        let read = self.checkpoint.read_rows(&self.words, ids, rows.data_mut());
        read.unwrap_or_else(|error| panic!("token ids are rows of the table: {error}"));
        rows
    }
}

/// Reads entries of the layout, each from its module's weights.
struct Source<'a> {
    folder: &'a ModelFolder,
    layout: &'a Layout,
    transformer: &'a Checkpoint,
}

impl<'a> Source<'a> {
    fn new(folder: &'a ModelFolder, layout: &'a Layout, transformer: &'a Checkpoint) -> Self {
        Self {
            folder,
            layout,
            transformer,
        }
    }

    /// Reads one entry.
    fn read(&mut self, entry: usize, out: &mut [f32]) -> Result<(), ModelError> {
        let entry = &self.layout.entries[entry];
        match entry.module {
            0 => self.transformer.read(&entry.name, &entry.shape, out),
            module => self
                .folder
                .checkpoint(module)?
                .read(&entry.name, &entry.shape, out),
        }
    }

    /// Reads as many entries from `first` on as hold `len` values.
    fn read_all(&mut self, first: usize, len: usize, out: &mut Vec<f32>) -> Result<(), ModelError> {
        out.resize(len, 0.0);
        let start = self.layout.entries[first].range.start;
        for entry in first..self.layout.entries.len() {
            let range = &self.layout.entries[entry].range;
            let Some(part) = out.get_mut(range.start - start..range.end - start) else {
                break;
            };
            self.read(entry, part)?;
        }
        Ok(())
    }
}
