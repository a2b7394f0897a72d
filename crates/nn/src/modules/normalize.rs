//! Normalize: sentence or token embeddings scaled to length 1.
//!
//! Its backward needs the output and the lengths.

use std::sync::Arc;

use serde_json::json;

use super::{
    BuiltModule, ConfigFile, Module, ModuleClass, ModuleSource, WriteConfig, module_file,
    row_map::{END_KEYS, Mapped, RowEnds, RowMap},
};
use crate::{
    Feature, NnError, Widths,
    arena::Buffer,
    config::Object,
    pass::{Backward, Pass},
    weights::Builder,
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Normalize",
    family: "sentence_transformer",
    reads: &Feature::ALL,
    read,
};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Normalize {
    dim: usize,
    ends: RowEnds,
}

/// Behind a module that writes sentence embeddings of this width.
pub(super) fn of(dim: usize) -> Arc<dyn Module> {
    Arc::new(Normalize {
        dim,
        ends: RowEnds::SENTENCE,
    })
}

/// The old layout writes no config.json.
fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let path = source.dir.join("config.json");
    let config = match Object::read_if_present(&path)? {
        Some(config) => config,
        None => Object::new(&path, json!({}))?,
    };
    config.deny_unknown(&END_KEYS)?;
    let ends = RowEnds::read(&config)?;
    let dim = ends.input_width(&config, source.before)?;
    Ok(Arc::new(Normalize { dim, ends }))
}

impl Module for Normalize {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn summary(&self) -> String {
        match self.ends {
            RowEnds::SENTENCE => CLASS.name.to_owned(),
            ends => format!("Normalize({})", ends.summary().trim_start_matches(", ")),
        }
    }

    fn widths(&self, before: Widths) -> Widths {
        before.with(self.ends.output, self.dim)
    }

    /// A module that normalises sentence embeddings needs no file in either layout. Versions before 6.0 know no other kind, and would pass a file over.
    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        if self.ends == RowEnds::SENTENCE {
            return Vec::new();
        }
        let value = self.ends.written().into_iter();
        let value = value.map(|(key, name)| (key.to_owned(), json!(name)));
        vec![module_file(
            "config.json",
            serde_json::Value::Object(value.collect()),
            options.layout,
        )]
    }

    fn digest_text(&self) -> String {
        self.summary()
    }

    fn build(&self, _: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        Ok(BuiltModule::new(Mapped {
            ends: self.ends,
            map: Lengths { dim: self.dim },
        }))
    }
}

struct Lengths {
    dim: usize,
}

impl RowMap for Lengths {
    /// Output, and the length of each row before.
    type Kept = (Buffer, Buffer);

    fn forward(&self, pass: &Pass<'_>, mut x: Buffer, keep: bool) -> (Buffer, Option<Self::Kept>) {
        let mut norms = pass.arena.zeros(x.rows(), 1);
        pass.ops.normalize(x.view_mut(), norms.data_mut());
        let kept = keep.then(|| (pass.arena.copy(&x), norms));
        (x, kept)
    }

    fn backward(&self, cx: &mut Backward<'_>, (y, norms): Self::Kept, mut dy: Buffer) -> Buffer {
        let ops = cx.pass.ops;
        ops.normalize_bwd(dy.view_mut(), y.view(), norms.data());
        dy
    }

    fn kept_width(&self) -> usize {
        self.dim + 1
    }
}
