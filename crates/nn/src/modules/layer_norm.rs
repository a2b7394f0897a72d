//! LayerNorm: sentence embeddings normalised to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016). The epsilon is that of
//! `torch.nn.LayerNorm`, whatever the encoder's is.
//!
//! Its backward needs its input, and mean and deviation of each row.

use std::sync::Arc;

use matryo_ops::{LayerNorm as Arguments, LayerNormBackward, Mat};
use serde_json::json;

use super::{
    BatchSize, BuiltModule, ConfigFile, Module, ModuleClass, ModuleLayer, ModuleSource,
    WriteConfig, module_file, parameter,
};
use crate::{
    Feature, Features, NnError, Widths,
    config::Object,
    features::FeatureGradients,
    layers::norm::STATS,
    pass::{Backward, Pass},
    weights::{Builder, Decay, VectorParam, accumulate},
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "LayerNorm",
    family: "sentence_transformer",
    reads: Some(Feature::Sentence),
    read,
};

const EPS: f32 = 1e-5;

#[derive(Clone, Debug, PartialEq, Eq)]
struct LayerNorm {
    dim: usize,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let path = source.dir.join("config.json");
    let config = Object::read(&path)?;
    config.deny_unknown(&["dimension"])?;
    let dim = config.positive("dimension")?;
    let before = source.before.of(Feature::Sentence).unwrap_or(0);
    if dim != before {
        return Err(NnError::WidthMismatch {
            path,
            key: "dimension",
            found: dim,
            origin: "the module before".into(),
            expected: before,
        });
    }
    Ok(Arc::new(LayerNorm { dim }))
}

impl Module for LayerNorm {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn widths(&self, before: Widths) -> Widths {
        before
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        let config = json!({"dimension": self.dim});
        vec![module_file("config.json", config, options.layout)]
    }

    fn digest_text(&self) -> String {
        CLASS.name.to_owned()
    }

    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        let mut vector = |name| {
            let spec = parameter(builder, name, &[self.dim], Decay::No);
            builder.vector(&spec)
        };
        Ok(BuiltModule::new(Built {
            gamma: vector("norm.weight")?,
            beta: vector("norm.bias")?,
            dim: self.dim,
        }))
    }
}

struct Built {
    gamma: VectorParam,
    beta: VectorParam,
    dim: usize,
}

impl ModuleLayer for Built {
    /// Input, and mean and deviation of its rows.
    type Kept = (Mat, Mat);

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<Self::Kept>) {
        let Some(x) = features.sentence.take() else {
            return (features, None);
        };
        let (mut y, mut stats) = (Mat::zeros(x.rows(), self.dim), Mat::zeros(x.rows(), STATS));
        pass.ops.layer_norm(Arguments {
            y: y.view_mut(),
            stats: Some(stats.view_mut()),
            x: x.view(),
            gamma: pass.weights.vector(self.gamma),
            beta: Some(pass.weights.vector(self.beta)),
            eps: EPS,
            centred: true,
        });
        features.sentence = Some(y);
        (features, keep.then_some((x, stats)))
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        (x, stats): Self::Kept,
        mut d: FeatureGradients,
    ) -> FeatureGradients {
        let Some(dy) = d.sentence.take() else {
            return d;
        };
        let mut dx = Mat::zeros(x.rows(), self.dim);
        let (ops, gamma) = (cx.pass.ops, cx.pass.weights.vector(self.gamma));
        let tensors = [Some(self.gamma.tensor), Some(self.beta.tensor)];
        accumulate(cx.grads, tensors, |[dgamma, dbeta]| {
            ops.layer_norm_bwd(LayerNormBackward {
                dx: dx.view_mut(),
                dgamma,
                dbeta,
                dy: dy.view(),
                x: x.view(),
                stats: stats.view(),
                gamma,
                centred: true,
                residual: None,
            });
        });
        d.sentence = Some(dx);
        d
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        size.texts * (self.dim + STATS) * size_of::<f32>()
    }
}
