//! A network: the modules of a model, built, with their weights, on one device. Token ids in, features out, with an explicit
//! backward.

use std::{path::PathBuf, sync::Arc};

use matryo_kernels::TOKENS_PACKED;
use matryo_ops::{Mat, MatRef, Ops};

use crate::{
    BatchSize, Checkpoint, Feature, Features, Frozen, Grads, Module, NnError, Params, TablePlace,
    TokenBatch, Trainable, Weights, Widths,
    arena::{self, Arena},
    dropout::Masks,
    features::FeatureGradients,
    modules::{BuiltModule, Kept},
    pass::{self, Backward, Pass},
    weights::{Builder, ModuleContext, Plan, Tensor},
};

/// A module's configuration and the folder that holds its weights.
#[derive(Clone, Debug)]
pub struct ModulePlace {
    /// What the module is.
    pub module: Arc<dyn Module>,
    /// Its folder.
    pub dir: PathBuf,
    /// The route whose texts it reads; `None` if it reads those of all routes.
    pub route: Option<usize>,
    /// What stands before the names of its parameters in freeze patterns: `2`, or `0.sub_modules.query.1`.
    pub known_as: String,
}

impl ModulePlace {
    /// Whether texts of a route go through the module.
    fn is_on(&self, route: usize) -> bool {
        self.route.is_none_or(|own| own == route)
    }
}

/// A module of a network, and the route whose texts it reads if it does not read all.
struct RoutedModule {
    route: Option<usize>,
    module: BuiltModule,
}

/// A model's modules with weights of one kind: [`Frozen`] for use, [`Trainable`] for training.
pub struct Network<W = Frozen> {
    modules: Vec<RoutedModule>,
    dim: usize,
    routes: usize,
    /// Weights of the linear layers.
    products: Vec<Tensor>,
    weights: W,
    ops: Arc<dyn Ops>,
    arena: Arena,
}

/// Everything that one backward needs of its forward. Its memory goes back to the network when it is dropped.
#[must_use = "a forward whose activations are not used should be `Network::embed`"]
pub struct Activations {
    batch: Arc<TokenBatch>,
    seed: u64,
    /// By module.
    kept: Vec<Option<Kept>>,
}

impl Activations {
    /// Number of texts.
    pub fn texts(&self) -> usize {
        self.batch.texts()
    }
}

impl Network<Frozen> {
    /// Builds a network for use alone: weights of products are packed once, large tables are kept where `tables` says.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, or not of a floating type.
    pub fn for_inference(
        places: &[ModulePlace],
        ops: Arc<dyn Ops>,
        tables: TablePlace,
    ) -> Result<Self, NnError> {
        let checkpoints = open_checkpoints(places)?;
        let (modules, plan) = build(places, &checkpoints, &[])?;
        let weights = Frozen::read(&plan, checkpoints, tables, &*ops)?;
        Ok(Self::new(places, modules, plan.products, weights, ops))
    }
}

impl Network<Trainable> {
    /// Builds a network for training; parameters whose name matches one of the patterns `frozen` get no gradient.
    ///
    /// `*` in a pattern stands for anything. Names are those of the checkpoint without the family's prefix, and
    /// `2.linear.weight` for the module of index 2; `0.sub_modules.query.1.linear.weight` for one of a route, and names of an encoder in a route
    /// begin so too. A word table that is tied to another also has its name.
    ///
    /// # Errors
    /// As [`Network::for_inference`]; a pattern that matches nothing; patterns that leave nothing to train.
    pub fn for_training(
        places: &[ModulePlace],
        ops: Arc<dyn Ops>,
        frozen: &[String],
    ) -> Result<Self, NnError> {
        let checkpoints = open_checkpoints(places)?;
        let (modules, plan) = build(places, &checkpoints, frozen)?;
        if plan.layout.grad_len() == 0 {
            return Err(NnError::AllFrozen {
                parameters: plan.layout.entries.len(),
            });
        }
        let products = plan.products.clone();
        let weights = Trainable::read(plan, &checkpoints)?;
        Ok(Self::new(places, modules, products, weights, ops))
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        self.weights.params()
    }

    /// The parameters, to be changed.
    pub fn params_mut(&mut self) -> &mut Params {
        self.weights.params_mut()
    }

    /// The tables whose rows are tokens, `[rows, cols]`, without those that are frozen, each with the route whose tokens they are if
    /// not those of all. Only rows of tokens that were read have gradients.
    pub fn word_tables(&self) -> Vec<(Option<usize>, Tensor)> {
        let mut tables: Vec<(Option<usize>, Tensor)> = Vec::new();
        for (index, RoutedModule { route, .. }) in self.modules.iter().enumerate() {
            // An encoder's later tables have other rows, and later modules have none.
            if let Some(table) = self.weights.first_table_of(index) {
                tables.push((*route, table));
            }
        }
        tables
    }

    /// Zero gradients for all trainable parameters.
    pub fn zero_grads(&self) -> Grads {
        self.weights.zero_grads()
    }

    /// Embeddings `[texts, dim]` with dropout, and what [`Network::backward`] needs. The masks depend on `seed`, on each
    /// text's id and on the place in the model, so a second call gives the same bits.
    ///
    /// Panics as [`Network::embed`].
    pub fn forward(&self, batch: Arc<TokenBatch>, seed: u64) -> (Mat, Activations) {
        let pass = self.pass(&batch, Masks::new(&batch, seed), false);
        let (features, kept) = self.run(&pass, true);
        drop(pass);
        (sentence(features), Activations { batch, seed, kept })
    }

    /// The embeddings of [`Network::forward`], bit for bit, keeping nothing for a backward.
    ///
    /// Panics as [`Network::embed`].
    pub fn embed_in_training(&self, batch: &TokenBatch, seed: u64) -> Mat {
        let pass = self.pass(batch, Masks::new(batch, seed), false);
        sentence(self.run(&pass, false).0)
    }

    /// Adds the gradients of all trainable parameters to `grads`, given that of the embeddings, `[texts, dim]`.
    pub fn backward(&self, activations: Activations, d_embeddings: MatRef<'_>, grads: &mut Grads) {
        let Activations { batch, seed, kept } = activations;
        assert_eq!(
            (d_embeddings.rows(), d_embeddings.cols()),
            (batch.texts(), self.dim),
            "gradient of the embeddings"
        );
        let mut cx = Backward {
            pass: self.pass(&batch, Masks::new(&batch, seed), false),
            weights: &self.weights,
            grads,
        };
        let mut d = FeatureGradients::default();
        d.rows.put(Feature::Sentence, self.arena.of(d_embeddings));
        for (routed, kept) in self.modules.iter().zip(kept).rev() {
            if let Some(kept) = kept {
                d = routed.module.0.backward(&mut cx, kept, d);
            }
        }
    }
}

impl<W: Weights> Network<W> {
    fn new(
        places: &[ModulePlace],
        modules: Vec<RoutedModule>,
        products: Vec<Tensor>,
        weights: W,
        ops: Arc<dyn Ops>,
    ) -> Self {
        let of_route = places.iter().filter(|place| place.is_on(0));
        let widths = widths(of_route.map(|place| &*place.module));
        let last = places.iter().filter_map(|place| place.route).max();
        Self {
            modules,
            dim: widths.of(Feature::Sentence).unwrap_or(0),
            routes: last.map_or(1, |last| last + 1),
            products,
            weights,
            ops,
            arena: Arena::default(),
        }
    }

    /// Width of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The device.
    pub fn ops(&self) -> &Arc<dyn Ops> {
        &self.ops
    }

    /// The weights.
    pub fn weights(&self) -> &W {
        &self.weights
    }

    /// Embeddings `[texts, dim]` without dropout, keeping nothing for a backward.
    ///
    /// A text's embedding has the same bits whatever else is in the batch, on any number of threads.
    ///
    /// Panics on a token id beyond the vocabulary and on a text of more tokens than the model can take.
    pub fn embed(&self, batch: &TokenBatch) -> Mat {
        sentence(self.run(&self.pass(batch, Masks::none(), false), false).0)
    }

    /// All features without dropout; with `taps` also the hidden states between the blocks.
    ///
    /// Panics as [`Network::embed`].
    pub fn features(&self, batch: &TokenBatch, taps: bool) -> Features {
        self.run(&self.pass(batch, Masks::none(), taps), false).0
    }

    /// Number of routes; 1 where all texts go through all modules.
    pub fn routes(&self) -> usize {
        self.routes
    }

    /// Bytes of the [`Activations`] of a batch of this size.
    pub fn kept_bytes(&self, size: BatchSize) -> usize {
        let bytes = |module: &BuiltModule| module.0.kept_bytes(size);
        self.on_route(size.route).map(bytes).sum()
    }

    /// Bytes that a forward and backward use besides what is kept.
    pub fn working_bytes(&self, size: BatchSize) -> usize {
        let bytes = |module: &BuiltModule| module.0.working_bytes(size);
        self.on_route(size.route).map(bytes).max().unwrap_or(0)
    }

    /// Bytes that a forward and backward on this many threads use besides buffers that the network keeps: what each thread has for itself,
    /// and sums that they share.
    pub fn scratch_bytes(&self, size: BatchSize, threads: usize) -> usize {
        let bytes = |module: &BuiltModule| module.0.scratch_bytes(size, threads);
        self.on_route(size.route).map(bytes).max().unwrap_or(0)
    }

    /// Bytes of [`Network::embed`].
    pub fn embed_bytes(&self, size: BatchSize) -> usize {
        let bytes = |module: &BuiltModule| module.0.forward_bytes(size);
        self.on_route(size.route).map(bytes).max().unwrap_or(0)
    }

    /// The modules that texts of a route go through.
    fn on_route(&self, route: usize) -> impl Iterator<Item = &BuiltModule> {
        let modules = self.modules.iter();
        let on_route = modules.filter(move |routed| routed.route.is_none_or(|own| own == route));
        on_route.map(|routed| &routed.module)
    }

    /// Bytes of the largest operand that is packed for a product, in training on batches of `tokens` tokens.
    pub fn packed_bytes(&self, tokens: usize) -> usize {
        let bytes = |weight: &Tensor| {
            let rows = weight.rows.max(tokens.min(TOKENS_PACKED));
            arena::bytes(rows, &[weight.cols])
        };
        self.products.iter().map(bytes).max().unwrap_or(0)
    }

    fn pass<'a>(&'a self, batch: &'a TokenBatch, masks: Masks<'a>, taps: bool) -> Pass<'a> {
        Pass {
            ops: &*self.ops,
            weights: &self.weights,
            arena: &self.arena,
            batch,
            places: pass::places(batch),
            masks,
            taps,
        }
    }

    /// All modules in order, and what each has kept.
    fn run(&self, pass: &Pass<'_>, keep: bool) -> (Features, Vec<Option<Kept>>) {
        let route = pass.batch.route;
        assert!(route < self.routes, "a batch of a route of the model");
        let mut features = Features::default();
        let mut all = Vec::with_capacity(self.modules.len());
        for routed in &self.modules {
            if routed.route.is_some_and(|own| own != route) {
                all.push(None);
                continue;
            }
            let (written, kept) = routed.module.0.forward(pass, features, keep);
            features = written;
            all.push(kept);
        }
        (features, all)
    }

    /// Place and length of every free buffer, and the bytes of all of them.
    #[doc(hidden)]
    pub fn free_buffers(&self) -> (Vec<(usize, usize)>, usize) {
        self.arena.free_buffers()
    }
}

/// Widths of all features behind the last of these modules.
pub fn widths<'a>(modules: impl IntoIterator<Item = &'a dyn Module>) -> Widths {
    modules
        .into_iter()
        .fold(Widths::default(), |widths, module| module.widths(widths))
}

/// The sentence embeddings. That some module writes them is checked when a folder is opened.
fn sentence(features: Features) -> Mat {
    features
        .into_sentence()
        .expect("a model whose modules write sentence embeddings")
}

/// The weights of each module that has some.
fn open_checkpoints(places: &[ModulePlace]) -> Result<Vec<Option<Checkpoint>>, NnError> {
    let open = |place: &ModulePlace| {
        place
            .module
            .has_weights()
            .then(|| place.module.checkpoint(&place.dir))
            .transpose()
    };
    places.iter().map(open).collect()
}

fn build(
    places: &[ModulePlace],
    checkpoints: &[Option<Checkpoint>],
    frozen: &[String],
) -> Result<(Vec<RoutedModule>, Plan), NnError> {
    let mut builder = Builder::new(frozen);
    let mut modules = Vec::with_capacity(places.len());
    for (index, (place, checkpoint)) in places.iter().zip(checkpoints).enumerate() {
        let later = places[index + 1..].iter();
        let on_route = later.filter(|later| match place.route {
            Some(route) => later.is_on(route),
            None => true,
        });
        let states_from = on_route.filter_map(|place| place.module.hidden_states_from());
        builder.module(ModuleContext {
            index,
            known_as: place.known_as.clone(),
            is_routed: place.route.is_some(),
            checkpoint: checkpoint.as_ref(),
            states_from: states_from.min(),
        });
        modules.push(RoutedModule {
            route: place.route,
            module: place.module.build(&mut builder)?,
        });
    }
    Ok((modules, builder.finish()?))
}
