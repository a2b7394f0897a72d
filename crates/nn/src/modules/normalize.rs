//! Normalize: sentence embeddings scaled to length 1.
//!
//! Its backward needs the output and the lengths.

use std::sync::Arc;

use matryo_ops::Mat;

use super::{
    BatchSize, BuiltModule, ConfigFile, Module, ModuleClass, ModuleLayer, ModuleSource, WriteConfig,
};
use crate::{
    Feature, Features, NnError, Widths,
    config::Object,
    features::FeatureGradients,
    pass::{Backward, Pass},
    weights::Builder,
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Normalize",
    family: "sentence_transformer",
    reads: Some(Feature::Sentence),
    read,
};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Normalize {
    dim: usize,
}

/// Behind a module that writes sentence embeddings of this width.
pub(super) fn of(dim: usize) -> Arc<dyn Module> {
    Arc::new(Normalize { dim })
}

/// The old layout writes no config.json.
fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    if let Some(config) = Object::read_if_present(&source.dir.join("config.json"))? {
        config.deny_unknown(&["module_input_name", "module_output_name"])?;
        for key in ["module_input_name", "module_output_name"] {
            let name = config.text(key)?;
            if name.is_some_and(|name| name != Feature::Sentence.name()) {
                return Err(config.wrong(key, "\"sentence_embedding\""));
            }
        }
    }
    let dim = source.before.of(Feature::Sentence).unwrap_or(0);
    Ok(Arc::new(Normalize { dim }))
}

impl Module for Normalize {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn widths(&self, before: Widths) -> Widths {
        before
    }

    /// It has nothing to say in either layout.
    fn files(&self, _: &WriteConfig<'_>) -> Vec<ConfigFile> {
        Vec::new()
    }

    fn digest_text(&self) -> String {
        CLASS.name.to_owned()
    }

    fn build(&self, _: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        Ok(BuiltModule::new(self.clone()))
    }
}

impl ModuleLayer for Normalize {
    /// Output, and the length of each row before.
    type Kept = (Mat, Vec<f32>);

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<Self::Kept>) {
        let Some(x) = &mut features.sentence else {
            return (features, None);
        };
        let mut norms = vec![0.0; x.rows()];
        pass.ops.normalize(x.view_mut(), &mut norms);
        let kept = keep.then(|| (x.clone(), norms));
        (features, kept)
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        (y, norms): Self::Kept,
        mut d: FeatureGradients,
    ) -> FeatureGradients {
        if let Some(d) = &mut d.sentence {
            cx.pass.ops.normalize_bwd(d.view_mut(), y.view(), &norms);
        }
        d
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        size.texts * (self.dim + 1) * size_of::<f32>()
    }
}
