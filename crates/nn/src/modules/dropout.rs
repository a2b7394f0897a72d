//! Dropout: values of sentence embeddings dropped in training.
//!
//! Its backward makes the mask anew, which depends on the text and not on its place.

use std::sync::Arc;

use serde_json::json;

use super::{
    BuiltModule, ConfigFile, Module, ModuleClass, ModuleSource, WriteConfig, module_file,
    row_map::{Mapped, RowEnds, RowMap},
};
use crate::{
    Feature, NnError, Widths,
    arena::Buffer,
    config::Object,
    pass::{Backward, Pass},
    weights::Builder,
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Dropout",
    family: "sentence_transformer",
    reads: &[Feature::Sentence],
    read,
};

/// Upstream's.
const DEFAULT_RATE: f64 = 0.2;

#[derive(Debug)]
struct Dropout {
    rate: f32,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let config = Object::read(&source.dir.join("config.json"))?;
    config.deny_unknown(&["dropout"])?;
    let rate = config.rate("dropout", DEFAULT_RATE)?;
    Ok(Arc::new(Dropout { rate }))
}

impl Module for Dropout {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn summary(&self) -> String {
        format!("Dropout({})", self.rate)
    }

    fn widths(&self, before: Widths) -> Widths {
        before
    }

    fn drops(&self) -> bool {
        self.rate > 0.0
    }

    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        // The shortest decimal number that reads as this one: 0.1 and not 0.10000000149.
        let rate: f64 = self.rate.to_string().parse().unwrap_or(self.rate.into());
        let config = json!({"dropout": rate});
        vec![module_file("config.json", config, options.layout)]
    }

    /// It changes no vector.
    fn digest_text(&self) -> String {
        String::new()
    }

    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        Ok(BuiltModule::new(Mapped {
            ends: RowEnds::SENTENCE,
            map: SentenceDropout {
                rate: self.rate,
                module: builder.module_index(),
            },
        }))
    }
}

struct SentenceDropout {
    rate: f32,
    module: usize,
}

impl SentenceDropout {
    /// Drops in place, rows and gradients alike.
    fn drop(&self, pass: &Pass<'_>, mut x: Buffer) -> Buffer {
        pass.drop(&mut x, pass.masks.of_texts(self.rate, self.module));
        x
    }
}

impl RowMap for SentenceDropout {
    type Kept = ();

    fn forward(&self, pass: &Pass<'_>, x: Buffer, keep: bool) -> (Buffer, Option<()>) {
        (self.drop(pass, x), keep.then_some(()))
    }

    fn backward(&self, cx: &mut Backward<'_>, _: (), dy: Buffer) -> Buffer {
        self.drop(&cx.pass, dy)
    }

    fn kept_width(&self) -> usize {
        0
    }
}
