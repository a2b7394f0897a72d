//! WeightedLayerPooling: token embeddings as the weighted mean of the hidden states of several layers, `Σ wᵢ hᵢ / Σ wᵢ`, with a
//! trained weight for each layer (ELMo, Peters et al. 2018, without its softmax).
//!
//! The hidden states are those of `output_hidden_states` in transformers: of the embeddings, of each block, and last the encoder's
//! output. Its backward needs them only if the weights are trained: the gradient of a hidden state is a multiple of the output's.

use std::sync::Arc;

use serde_json::json;

use super::{
    BatchSize, BuiltModule, ConfigFile, FolderLayout, Module, ModuleClass, ModuleLayer,
    ModuleSource, WriteConfig, module_file, parameter, row_map::check_width,
};
use crate::{
    Feature, Features, NnError, Widths,
    arena::{self, Buffer},
    config::Object,
    features::{FeatureGradients, LayerGradients, LayerStates},
    pass::{Backward, Pass},
    weights::{Builder, Decay, VectorParam, accumulate},
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "WeightedLayerPooling",
    family: "sentence_transformer",
    reads: &[Feature::Tokens],
    read,
};

/// Upstream's values of keys that are not there.
const DEFAULT_BLOCKS: usize = 12;
const DEFAULT_START: usize = 4;

/// Name of the width in the new layout, and in the old one.
const WIDTH_KEYS: [&str; 2] = ["embedding_dimension", "word_embedding_dimension"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct WeightedLayerPooling {
    dim: usize,
    /// Blocks of the encoder; there is one hidden state more.
    blocks: usize,
    /// The first hidden state that counts.
    start: usize,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let config = Object::read(&source.dir.join("config.json"))?;
    let [new_key, old_key] = WIDTH_KEYS;
    config.deny_unknown(&[new_key, old_key, "num_hidden_layers", "layer_start"])?;
    let Some((states, width)) = source.before.hidden_states() else {
        return Err(NnError::NoHiddenStates {
            path: config.path().to_owned(),
        });
    };
    let key = if config.has(new_key) || !config.has(old_key) {
        new_key
    } else {
        old_key
    };
    let dim = config.positive(key)?;
    check_width(&config, key, dim, width)?;
    let blocks = config.count("num_hidden_layers")?.unwrap_or(DEFAULT_BLOCKS);
    check_width(&config, "num_hidden_layers", blocks, states - 1)?;
    let start = config.count("layer_start")?.unwrap_or(DEFAULT_START);
    if start > blocks {
        let expected = format!("at most {blocks}, the number of layers");
        return Err(config.wrong("layer_start", &expected));
    }
    Ok(Arc::new(WeightedLayerPooling { dim, blocks, start }))
}

impl WeightedLayerPooling {
    /// Number of hidden states that count.
    fn states(&self) -> usize {
        self.blocks + 1 - self.start
    }
}

impl Module for WeightedLayerPooling {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn summary(&self) -> String {
        format!("WeightedLayerPooling({} to {})", self.start, self.blocks)
    }

    /// The hidden states go no further, for the backward takes them.
    fn widths(&self, before: Widths) -> Widths {
        let before = before.with(Feature::Tokens, self.dim);
        before.with_hidden_states(None)
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn hidden_states_from(&self) -> Option<usize> {
        Some(self.start)
    }

    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        let width = match options.layout {
            FolderLayout::New => WIDTH_KEYS[0],
            FolderLayout::Old => WIDTH_KEYS[1],
        };
        let config = json!({
            width: self.dim,
            "layer_start": self.start,
            "num_hidden_layers": self.blocks,
        });
        vec![module_file("config.json", config, options.layout)]
    }

    fn digest_text(&self) -> String {
        self.summary()
    }

    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        let spec = parameter(builder, "layer_weights", &[self.states()], Decay::Yes);
        let weights = builder.vector(&spec)?;
        Ok(BuiltModule::new(LayerMean {
            weights,
            trained: builder.layout().trains(weights.tensor.entries()),
            config: self.clone(),
        }))
    }
}

struct LayerMean {
    weights: VectorParam,
    trained: bool,
    config: WeightedLayerPooling,
}

impl ModuleLayer for LayerMean {
    /// The hidden states that count, if the weights are trained.
    type Kept = Option<Vec<Buffer>>;

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<Self::Kept>) {
        let Some(LayerStates { first, mut states }) = features.layers.take() else {
            return (features, None);
        };
        let states = states.split_off(self.config.start - first);
        let weights = pass.weights.vector(self.weights);
        let mut y = pass.arena.zeros(pass.tokens(), self.config.dim);
        for (state, weight) in states.iter().zip(weights) {
            y.add_multiple(state, *weight);
        }
        let sum: f32 = weights.iter().sum();
        y.data_mut().iter_mut().for_each(|value| *value /= sum);
        features.rows.put(Feature::Tokens, y);
        let kept = keep.then(|| self.trained.then_some(states));
        (features, kept)
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        states: Self::Kept,
        mut d: FeatureGradients,
    ) -> FeatureGradients {
        let Some(dy) = d.rows.take(Feature::Tokens) else {
            return d;
        };
        let weights = cx.pass.weights.vector(self.weights);
        let sum: f32 = weights.iter().sum();
        if let Some(states) = states {
            let d_weights = weight_gradients(weights, &states, &dy);
            accumulate(cx.grads, [Some(self.weights.tensor)], |[into]| {
                let into = into.into_iter().flatten();
                into.zip(&d_weights).for_each(|(sum, d)| *sum += d);
            });
        }
        d.layers = Some(LayerGradients {
            first: self.config.start,
            factors: weights.iter().map(|weight| weight / sum).collect(),
            d: dy,
        });
        d
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        if self.trained {
            self.state_bytes(size)
        } else {
            0
        }
    }

    fn working_bytes(&self, size: BatchSize) -> usize {
        if self.trained {
            0
        } else {
            self.state_bytes(size)
        }
    }
}

impl LayerMean {
    fn state_bytes(&self, size: BatchSize) -> usize {
        self.config.states() * arena::bytes(size.tokens, &[self.config.dim])
    }
}

/// Gradients of the weights: with `y = Σ wᵢ hᵢ / s` and `s = Σ wᵢ` they are `(dy·hᵢ - dy·y) / s`.
fn weight_gradients(weights: &[f32], states: &[Buffer], dy: &Buffer) -> Vec<f32> {
    let products: Vec<f64> = states.iter().map(|state| product(dy, state)).collect();
    let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let pairs = weights.iter().zip(&products);
    let mean = pairs.map(|(w, p)| f64::from(*w) * p).sum::<f64>() / sum;
    let gradient = |product: &f64| ((product - mean) / sum) as f32;
    products.iter().map(gradient).collect()
}

/// Sum of the products of all values, row by row, so that it depends on nothing but the values.
fn product(a: &Buffer, b: &Buffer) -> f64 {
    let width = a.cols().max(1);
    let rows = a.data().chunks(width).zip(b.data().chunks(width));
    rows.map(|(a, b)| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    })
    .sum()
}
