//! A module at work: forward, backward, and the bytes that they take.

use std::any::Any;

use crate::{
    Feature, Features, TokenBatch,
    features::FeatureGradients,
    pass::{Backward, Pass},
};

/// A number of tokens in a number of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// Tokens of all texts.
    pub tokens: usize,
    /// Texts.
    pub texts: usize,
    /// Tokens of the longest text.
    pub longest: usize,
    /// Their route; 0 in a model without routes.
    pub route: usize,
}

impl BatchSize {
    /// The size of a batch.
    pub fn of(batch: &TokenBatch) -> Self {
        Self {
            tokens: batch.tokens(),
            texts: batch.texts(),
            longest: longest(batch),
            route: batch.route,
        }
    }

    /// Rows of a feature.
    pub(crate) fn rows(self, feature: Feature) -> usize {
        if feature.is_per_token() {
            self.tokens
        } else {
            self.texts
        }
    }
}

/// Tokens of the longest text of a batch.
fn longest(batch: &TokenBatch) -> usize {
    let texts = batch.bounds.windows(2);
    let lengths = texts.map(|bounds| (bounds[1] - bounds[0]) as usize);
    lengths.max().unwrap_or(0)
}

/// A module at work. `Kept` is what its backward needs of its forward.
pub(crate) trait ModuleLayer: Send + Sync {
    /// What the backward needs.
    type Kept: Send + 'static;

    /// Writes features. With `keep`, the second value is there.
    fn forward(
        &self,
        pass: &Pass<'_>,
        features: Features,
        keep: bool,
    ) -> (Features, Option<Self::Kept>);

    /// Gradients of the features before the module, given those behind it; gradients of its parameters are added up.
    fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: Self::Kept,
        d: FeatureGradients,
    ) -> FeatureGradients;

    /// Bytes of `Kept`.
    fn kept_bytes(&self, size: BatchSize) -> usize;

    /// Bytes that the backward uses besides what is kept, where they count.
    fn working_bytes(&self, _: BatchSize) -> usize {
        0
    }

    /// Bytes that a forward and backward on this many threads use besides buffers of the network, where they count.
    fn scratch_bytes(&self, _: BatchSize, _threads: usize) -> usize {
        0
    }

    /// Bytes of a forward that keeps nothing, where they count.
    fn forward_bytes(&self, _: BatchSize) -> usize {
        0
    }
}

/// What a module has kept, whatever module it was.
pub(crate) struct Kept(Box<dyn Any + Send>);

/// [`ModuleLayer`] without its associated type, so that modules of different classes stand in one list.
pub(crate) trait AnyLayer: Send + Sync {
    fn forward(&self, pass: &Pass<'_>, features: Features, keep: bool) -> (Features, Option<Kept>);
    fn backward(&self, cx: &mut Backward<'_>, kept: Kept, d: FeatureGradients) -> FeatureGradients;
    fn kept_bytes(&self, size: BatchSize) -> usize;
    fn working_bytes(&self, size: BatchSize) -> usize;
    fn scratch_bytes(&self, size: BatchSize, threads: usize) -> usize;
    fn forward_bytes(&self, size: BatchSize) -> usize;
}

impl<L: ModuleLayer> AnyLayer for L {
    fn forward(&self, pass: &Pass<'_>, features: Features, keep: bool) -> (Features, Option<Kept>) {
        let (features, kept) = ModuleLayer::forward(self, pass, features, keep);
        (features, kept.map(|kept| Kept(Box::new(kept))))
    }

    fn backward(&self, cx: &mut Backward<'_>, kept: Kept, d: FeatureGradients) -> FeatureGradients {
        let kept = kept.0.downcast::<L::Kept>();
        let kept = kept.unwrap_or_else(|_| panic!("what this module's own forward has kept"));
        ModuleLayer::backward(self, cx, *kept, d)
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        ModuleLayer::kept_bytes(self, size)
    }

    fn working_bytes(&self, size: BatchSize) -> usize {
        ModuleLayer::working_bytes(self, size)
    }

    fn scratch_bytes(&self, size: BatchSize, threads: usize) -> usize {
        ModuleLayer::scratch_bytes(self, size, threads)
    }

    fn forward_bytes(&self, size: BatchSize) -> usize {
        ModuleLayer::forward_bytes(self, size)
    }
}

/// A module of any class, built.
pub struct BuiltModule(pub(crate) Box<dyn AnyLayer>);

impl BuiltModule {
    pub(super) fn new(layer: impl ModuleLayer + 'static) -> Self {
        Self(Box::new(layer))
    }
}
