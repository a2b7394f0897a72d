//! The encoder: token ids in, one embedding a text out, with an explicit backward.

mod arena;
mod backward;
mod blueprint;
mod forward;
mod frozen;
mod grads;
mod head;
mod masks;
mod size;
mod store;
mod training;

use std::sync::Arc;

use matryo_ops::{Mat, Ops, Spans};

use arena::Arena;
use blueprint::Blueprint;
use masks::Masks;
use store::Store;
pub use training::Activations;

use crate::{Layout, ModelError, ModelFolder, Module, Params, Pooling, Spec, TokenBatch, arch};

/// A model's transformer, pooling and further modules on one device.
pub struct Encoder {
    spec: Spec,
    pooling: Pooling,
    modules: Vec<Module>,
    dim: usize,
    blueprint: Blueprint,
    store: Store,
    /// The first layer that has something to train, at or below it; the number of layers if none has.
    lowest: usize,
    trains_embeddings: bool,
    ops: Arc<dyn Ops>,
    arena: Arena,
}

/// One batch on its way through the layers.
struct Pass<'a> {
    batch: &'a TokenBatch,
    positions: Vec<u32>,
    masks: Masks,
}

impl Encoder {
    /// Opens a model for [`Encoder::embed`] alone: weights are packed once, the word-embedding table stays in its file.
    ///
    /// Fails if config.json describes what matryo cannot compute, or if a tensor is missing or of the wrong shape.
    pub fn for_inference(folder: &ModelFolder, ops: Arc<dyn Ops>) -> Result<Self, ModelError> {
        let (arch, spec) = arch::read(folder)?;
        let checkpoint = folder.checkpoint(0)?;
        let (layout, blueprint) = Blueprint::lay_out(folder, arch, &spec, &checkpoint, &[])?;
        let store = Store::packed(folder, &layout, &blueprint, checkpoint, &*ops)?;
        Ok(Self::new(folder, spec, &layout, blueprint, store, ops))
    }

    /// Opens a model for training; parameters whose name matches one of the patterns `frozen` get no gradient.
    ///
    /// `*` in a pattern stands for anything; names are those of the checkpoint without a leading `bert.`, and
    /// `2.linear.weight` for the module of index 2. Fails as [`Encoder::for_inference`], if a pattern matches nothing,
    /// and if nothing is left to train.
    pub fn for_training(
        folder: &ModelFolder,
        ops: Arc<dyn Ops>,
        frozen: &[String],
    ) -> Result<Self, ModelError> {
        let (arch, spec) = arch::read(folder)?;
        let checkpoint = folder.checkpoint(0)?;
        let (layout, blueprint) = Blueprint::lay_out(folder, arch, &spec, &checkpoint, frozen)?;
        if layout.grad_len() == 0 {
            return Err(ModelError::AllFrozen {
                parameters: layout.entries.len(),
            });
        }
        let store = Store::flat(folder, layout.clone(), &checkpoint)?;
        Ok(Self::new(folder, spec, &layout, blueprint, store, ops))
    }

    fn new(
        folder: &ModelFolder,
        spec: Spec,
        layout: &Layout,
        blueprint: Blueprint,
        store: Store,
        ops: Arc<dyn Ops>,
    ) -> Self {
        let trains_embeddings = layout.trains(blueprint.embedding_entries());
        let first = blueprint
            .blocks
            .iter()
            .position(|block| layout.trains(block.entries()));
        Self {
            lowest: if trains_embeddings {
                0
            } else {
                first.unwrap_or(blueprint.blocks.len())
            },
            trains_embeddings,
            pooling: folder.pooling.clone(),
            modules: folder.modules.clone(),
            dim: folder.dim(),
            spec,
            blueprint,
            store,
            ops,
            arena: Arena::default(),
        }
    }

    /// Width of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What the transformer is made of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The device.
    pub fn ops(&self) -> &Arc<dyn Ops> {
        &self.ops
    }

    /// The parameters; `None` if opened for inference.
    pub fn params(&self) -> Option<&Params> {
        match &self.store {
            Store::Flat(params) => Some(params),
            Store::Packed(_) => None,
        }
    }

    /// The parameters, to be changed; `None` if opened for inference.
    pub fn params_mut(&mut self) -> Option<&mut Params> {
        match &mut self.store {
            Store::Flat(params) => Some(params),
            Store::Packed(_) => None,
        }
    }

    /// Embeddings `[texts, dim]` without dropout, keeping nothing for a backward.
    ///
    /// Panics on a token id beyond the vocabulary or a text longer than the position table.
    pub fn embed(&self, batch: &TokenBatch) -> Mat {
        self.head(
            &self.last_hidden_state(&self.pass(batch, Masks::none())),
            batch,
        )
        .0
    }

    /// The last layer's output `[tokens, width]`, without dropout.
    pub fn token_embeddings(&self, batch: &TokenBatch) -> Mat {
        self.last_hidden_state(&self.pass(batch, Masks::none()))
            .view()
            .to_mat()
    }

    /// Output of the embeddings and then of each layer, each `[tokens, width]`, as `output_hidden_states` of transformers.
    pub fn hidden_states(&self, batch: &TokenBatch) -> Vec<Mat> {
        let pass = self.pass(batch, Masks::none());
        let (mut x, _) = self.embeddings(&pass, false);
        let mut states = vec![x.view().to_mat()];
        for index in 0..self.spec.layers {
            x = self.block(index, x, &pass, false).0;
            states.push(x.view().to_mat());
        }
        states
    }

    fn pass<'a>(&self, batch: &'a TokenBatch, masks: Masks) -> Pass<'a> {
        let positions: Vec<u32> = batch
            .bounds
            .windows(2)
            .flat_map(|b| 0..b[1] - b[0])
            .collect();
        let longest = positions.iter().max().map_or(0, |&p| p as usize + 1);
        assert!(
            longest <= self.spec.positions,
            "a text of {longest} tokens, {} positions",
            self.spec.positions
        );
        Pass {
            batch,
            positions,
            masks,
        }
    }
}

impl Pass<'_> {
    fn spans(&self) -> Spans<'_> {
        Spans {
            bounds: &self.batch.bounds,
        }
    }

    fn tokens(&self) -> usize {
        self.batch.tokens()
    }
}
