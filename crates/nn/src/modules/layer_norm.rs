//! LayerNorm: sentence embeddings normalised to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016). The epsilon is that of
//! `torch.nn.LayerNorm`, whatever the encoder's is.
//!
//! Its backward needs its input, and mean and deviation of each row.

use std::sync::Arc;

use serde_json::json;

use super::{
    BuiltModule, ConfigFile, Module, ModuleClass, ModuleSource, WriteConfig, module_file,
    parameter,
    row_map::{Mapped, RowEnds, RowMap, check_width},
};
use crate::{
    Feature, NnError, Widths,
    arena::Buffer,
    config::Object,
    layers::norm::{Norm, STATS},
    pass::{Backward, Pass},
    weights::{Builder, Decay},
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "LayerNorm",
    family: "sentence_transformer",
    reads: &[Feature::Sentence],
    read,
};

const EPS: f32 = 1e-5;

#[derive(Clone, Debug, PartialEq, Eq)]
struct LayerNorm {
    dim: usize,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let config = Object::read(&source.dir.join("config.json"))?;
    config.deny_unknown(&["dimension"])?;
    let dim = config.positive("dimension")?;
    let before = source.before.of(Feature::Sentence).unwrap_or(0);
    check_width(&config, "dimension", dim, before)?;
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
        let norm = Norm {
            gamma: vector("norm.weight")?,
            beta: Some(vector("norm.bias")?),
            eps: EPS,
            centred: true,
        };
        Ok(BuiltModule::new(Mapped {
            ends: RowEnds::SENTENCE,
            map: SentenceNorm {
                norm,
                dim: self.dim,
            },
        }))
    }
}

struct SentenceNorm {
    norm: Norm,
    dim: usize,
}

impl RowMap for SentenceNorm {
    /// Input, and mean and deviation of its rows.
    type Kept = (Buffer, Buffer);

    fn forward(&self, pass: &Pass<'_>, x: Buffer, keep: bool) -> (Buffer, Option<Self::Kept>) {
        let (y, stats) = self.norm.forward_kept(pass, &x, keep);
        (y, stats.map(|stats| (x, stats)))
    }

    fn backward(&self, cx: &mut Backward<'_>, (x, stats): Self::Kept, dy: Buffer) -> Buffer {
        self.norm.backward(cx, &dy, &x, &stats, None)
    }

    fn kept_width(&self) -> usize {
        self.dim + STATS
    }
}
