//! Which tensors an encoder has and which of them one operation reads as one matrix.

use std::ops::Range;

use super::frozen::Frozen;
use crate::{
    Checkpoint, Dense, Layout, ModelError, ModelFolder, Module, Spec,
    arch::{Arch, Slot},
};

/// Consecutive entries of the layout, read as one matrix `[rows, cols]`; a vector has one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor {
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// `x wᵀ + b`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
}

/// Scale and shift of a layer normalisation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    pub(super) gamma: Tensor,
    pub(super) beta: Tensor,
}

/// One layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) qkv: Linear,
    pub(super) attention_out: Linear,
    pub(super) attention_norm: Norm,
    pub(super) ffn_in: Linear,
    pub(super) ffn_out: Linear,
    pub(super) ffn_norm: Norm,
}

/// Every tensor of the model at its place.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    pub(super) words: Tensor,
    pub(super) positions: Tensor,
    pub(super) kinds: Tensor,
    pub(super) embed_norm: Norm,
    pub(super) blocks: Vec<Block>,
    /// One a module after pooling, in order; `None` where it has no parameters.
    pub(super) dense: Vec<Option<Linear>>,
}

/// Index in modules.json of the first module after pooling.
const FIRST_AFTER_POOLING: usize = 2;

impl Tensor {
    /// `count` entries of one shape, matrices one below the other, vectors one behind the other.
    fn new(first: usize, count: usize, shape: &[usize]) -> Self {
        match *shape {
            [rows, cols] => Self {
                first,
                count,
                rows: count * rows,
                cols,
            },
            _ => Self {
                first,
                count,
                rows: 1,
                cols: count * shape[0],
            },
        }
    }

    /// Its entries in the layout.
    pub(super) fn entries(self) -> Range<usize> {
        self.first..self.first + self.count
    }
}

impl Block {
    /// Entries of the whole layer.
    pub(super) fn entries(&self) -> Range<usize> {
        self.qkv.weight.first..self.ffn_norm.beta.entries().end
    }
}

impl Blueprint {
    /// Entries of the embeddings, tables and norm.
    pub(super) fn embedding_entries(&self) -> Range<usize> {
        self.words.first..self.embed_norm.beta.entries().end
    }

    /// Every linear layer.
    pub(super) fn linears(&self) -> impl Iterator<Item = Linear> {
        let of_block = |b: &Block| [b.qkv, b.attention_out, b.ffn_in, b.ffn_out];
        self.blocks
            .iter()
            .flat_map(of_block)
            .chain(self.dense.iter().flatten().copied())
    }

    /// Every tensor that is neither the word table nor the weight of a linear layer: small, and read as it lies.
    pub(super) fn small(&self) -> impl Iterator<Item = Tensor> {
        let of_norm = |n: Norm| [n.gamma, n.beta];
        let norms = self
            .blocks
            .iter()
            .flat_map(|b| [b.attention_norm, b.ffn_norm])
            .chain([self.embed_norm]);
        let biases = self.linears().filter_map(|l| l.bias);
        [self.positions, self.kinds]
            .into_iter()
            .chain(norms.flat_map(of_norm))
            .chain(biases)
    }

    /// Lays out the parameters of a folder whose transformer's weights are `checkpoint`, the frozen ones without gradient.
    pub(super) fn lay_out(
        folder: &ModelFolder,
        arch: &Arch,
        spec: &Spec,
        checkpoint: &Checkpoint,
        frozen: &[String],
    ) -> Result<(Layout, Self), ModelError> {
        let mut builder = Builder::new(arch, spec, checkpoint, frozen);
        let blueprint = Self {
            words: builder.table(Slot::Words)?,
            positions: builder.table(Slot::Positions)?,
            kinds: builder.table(Slot::Kinds)?,
            embed_norm: builder.norm(Slot::EmbedNorm)?,
            blocks: (0..spec.layers)
                .map(|i| builder.block(i))
                .collect::<Result<_, _>>()?,
            dense: folder
                .modules
                .iter()
                .enumerate()
                .map(|(i, m)| builder.module(FIRST_AFTER_POOLING + i, m))
                .collect(),
        };
        builder.frozen.check()?;
        Ok((builder.layout, blueprint))
    }
}

struct Builder<'a> {
    arch: &'a Arch,
    spec: &'a Spec,
    checkpoint: &'a Checkpoint,
    /// The architecture's prefix if the checkpoint uses it.
    prefix: &'static str,
    frozen: Frozen,
    layout: Layout,
}

/// What stands behind a slot's name in the checkpoint, and what TensorFlow called it in old ones.
struct Part {
    suffix: &'static str,
    old_suffix: &'static str,
    /// Whether it has the first length of the slot only.
    vector: bool,
    decay: bool,
}

const WEIGHT: Part = Part {
    suffix: "weight",
    old_suffix: "weight",
    vector: false,
    decay: true,
};
const BIAS: Part = Part {
    suffix: "bias",
    old_suffix: "bias",
    vector: true,
    decay: false,
};
const GAMMA: Part = Part {
    suffix: "weight",
    old_suffix: "gamma",
    vector: true,
    decay: false,
};
const BETA: Part = Part {
    suffix: "bias",
    old_suffix: "beta",
    vector: true,
    decay: false,
};

impl<'a> Builder<'a> {
    fn new(arch: &'a Arch, spec: &'a Spec, checkpoint: &'a Checkpoint, frozen: &[String]) -> Self {
        let words = (arch.tensors)(Slot::Words).remove(0);
        let prefixed = checkpoint.has(&format!("{}{words}.weight", arch.prefix));
        let prefix = if prefixed { arch.prefix } else { "" };
        Self {
            arch,
            spec,
            checkpoint,
            prefix,
            frozen: Frozen::new(frozen),
            layout: Layout::default(),
        }
    }

    fn table(&mut self, slot: Slot) -> Result<Tensor, ModelError> {
        self.tensor(slot, &WEIGHT)
    }

    fn norm(&mut self, slot: Slot) -> Result<Norm, ModelError> {
        Ok(Norm {
            gamma: self.tensor(slot, &GAMMA)?,
            beta: self.tensor(slot, &BETA)?,
        })
    }

    fn linear(&mut self, slot: Slot) -> Result<Linear, ModelError> {
        Ok(Linear {
            weight: self.tensor(slot, &WEIGHT)?,
            bias: Some(self.tensor(slot, &BIAS)?),
        })
    }

    fn block(&mut self, index: usize) -> Result<Block, ModelError> {
        Ok(Block {
            qkv: self.linear(Slot::Qkv(index))?,
            attention_out: self.linear(Slot::AttentionOut(index))?,
            attention_norm: self.norm(Slot::AttentionNorm(index))?,
            ffn_in: self.linear(Slot::FfnIn(index))?,
            ffn_out: self.linear(Slot::FfnOut(index))?,
            ffn_norm: self.norm(Slot::FfnNorm(index))?,
        })
    }

    /// Parameters of a module after pooling; patterns know them as `2.linear.weight`, as in upstream's state dict.
    fn module(&mut self, index: usize, module: &Module) -> Option<Linear> {
        let Module::Dense(Dense {
            in_features,
            out_features,
            bias,
            ..
        }) = *module
        else {
            return None;
        };
        let mut push = |name: &str, shape: &[usize], decay| {
            let first = self.push(index, name, &format!("{index}.{name}"), shape, decay);
            Tensor::new(first, 1, shape)
        };
        let weight = push("linear.weight", &[out_features, in_features], true);
        Some(Linear {
            weight,
            bias: bias.then(|| push("linear.bias", &[out_features], false)),
        })
    }

    /// One part of a slot: all its tensors, one below the other.
    fn tensor(&mut self, slot: Slot, part: &Part) -> Result<Tensor, ModelError> {
        let axes = if part.vector {
            &slot.axes()[..1]
        } else {
            slot.axes()
        };
        let shape: Vec<usize> = axes.iter().map(|&axis| self.spec.size(axis)).collect();
        let (first, names) = (self.layout.entries.len(), (self.arch.tensors)(slot));
        for name in &names {
            let stored = self.stored_name(name, part);
            self.check_shape(&stored, slot, &shape)?;
            self.push(
                0,
                &stored,
                &format!("{name}.{}", part.suffix),
                &shape,
                part.decay,
            );
        }
        Ok(Tensor::new(first, names.len(), &shape))
    }

    /// The name in the checkpoint, which may have the prefix and may be old.
    fn stored_name(&self, name: &str, part: &Part) -> String {
        let old = format!("{}{name}.{}", self.prefix, part.old_suffix);
        if self.checkpoint.has(&old) {
            old
        } else {
            format!("{}{name}.{}", self.prefix, part.suffix)
        }
    }

    /// Names the key of config.json that disagrees; that the tensor exists at all is checked when it is read.
    fn check_shape(&self, name: &str, slot: Slot, expected: &[usize]) -> Result<(), ModelError> {
        let Some(found) = self
            .checkpoint
            .shape(name)
            .filter(|found| *found != expected)
        else {
            return Ok(());
        };
        let differs = |i: &usize| found.get(*i) != expected.get(*i);
        let axis = slot.axes()[(0..expected.len()).find(differs).unwrap_or(0)];
        Err(ModelError::WeightShape {
            path: self.checkpoint.path().to_owned(),
            name: name.to_owned(),
            found: found.to_vec(),
            expected: expected.to_vec(),
            key: (self.arch.key)(axis),
            value: self.spec.size(axis),
        })
    }

    fn push(
        &mut self,
        module: usize,
        name: &str,
        known_as: &str,
        shape: &[usize],
        decay: bool,
    ) -> usize {
        let frozen = self.frozen.covers(known_as);
        self.layout.push(module, name, shape, !frozen, decay)
    }
}
