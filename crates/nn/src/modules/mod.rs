//! The modules of a model as modules.json lists them. What a module's configuration says, how it is written in either layout,
//! and what the module computes, forward and backward, stand in one file each. A new module is a file here and a line in
//! [`CLASSES`].

mod class;
mod dense;
mod digest;
mod dropout;
mod layer;
mod layer_norm;
mod module;
mod normalize;
mod pooling;
mod row_map;
mod static_embedding;
mod transformer;
mod weighted_layer_pooling;

pub use class::ModuleClass;
pub use layer::{BatchSize, BuiltModule};
pub(crate) use layer::{Kept, ModuleLayer};
pub use module::{
    ConfigFile, FolderLayout, Module, ModuleSource, TextInput, TokenRules, WriteConfig,
};
use module::{module_file, parameter};
pub use pooling::pooling_modes;

use std::{path::Path, sync::Arc};

use crate::{NnError, Widths};

/// Every class there is.
static CLASSES: &[&ModuleClass] = &[
    &transformer::CLASS,
    &static_embedding::CLASS,
    &pooling::CLASS,
    &weighted_layer_pooling::CLASS,
    &dense::CLASS,
    &layer_norm::CLASS,
    &dropout::CLASS,
    &normalize::CLASS,
];

/// The modules of a folder without modules.json: an encoder and mean pooling, as sentence-transformers makes them, or a static
/// embedding of model2vec.
///
/// # Errors
/// As reading the first module.
pub fn default_modules(
    dir: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<Arc<dyn Module>>, NnError> {
    let mut source = ModuleSource {
        dir,
        before: Widths::default(),
        notes,
    };
    if let Some(modules) = static_embedding::of_model2vec(&mut source)? {
        return Ok(modules);
    }
    let encoder = transformer::CLASS.read(&mut source)?;
    let pooling = pooling::mean_over(encoder.widths(Widths::default()));
    notes.push("no modules.json: mean pooling over all tokens".into());
    Ok(vec![encoder, pooling])
}
