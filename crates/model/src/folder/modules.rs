//! modules.json: which modules a model is made of, in both spellings of their types.

use std::{path::Path, sync::Arc};

use matryo_nn::{
    Feature, Module, ModuleClass, ModuleSource, NnError, Widths,
    config::{Object, read_json},
    default_modules,
};
use serde_json::Value;

use super::FolderModule;

/// Reads the modules of a folder, each with its own configuration. Fails unless the first reads texts, each finds what it reads,
/// and one writes sentence embeddings.
pub(super) fn read(folder: &Path, notes: &mut Vec<String>) -> Result<Vec<FolderModule>, NnError> {
    let path = folder.join("modules.json");
    if !path.exists() {
        let modules = default_modules(folder, notes)?.into_iter();
        return Ok(modules.map(in_root).collect());
    }
    let Value::Array(items) = read_json(&path)? else {
        return Err(NnError::ConfigValue {
            path,
            key: "(top level)".into(),
            found: "no list".into(),
            expected: "a list of modules".into(),
        });
    };
    let mut widths = Widths::default();
    let mut modules = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let (class, place) = entry(&path, index, item)?;
        if !class.follows(widths) {
            return Err(out_of_order(&path, index, class.name, widths));
        }
        let module = class.read(&mut ModuleSource {
            dir: &folder.join(&place),
            before: widths,
            notes,
        })?;
        widths = module.widths(widths);
        modules.push(FolderModule {
            module,
            path: place,
        });
    }
    match widths.of(Feature::Sentence) {
        Some(_) => Ok(modules),
        None => Err(out_of_order(&path, modules.len(), "missing", widths)),
    }
}

fn in_root(module: Arc<dyn Module>) -> FolderModule {
    FolderModule {
        module,
        path: String::new(),
    }
}

fn out_of_order(path: &Path, index: usize, found: &str, widths: Widths) -> NnError {
    NnError::ModuleOrder {
        path: path.to_owned(),
        index,
        found: found.to_owned(),
        expected: ModuleClass::followers(widths),
    }
}

/// Class and folder of one entry.
fn entry(
    path: &Path,
    index: usize,
    item: Value,
) -> Result<(&'static ModuleClass, String), NnError> {
    let object = Object::new(path, item)?;
    object.deny_unknown(&["idx", "name", "path", "type", "kwargs"])?;
    object.deny_set(&["kwargs"], "no extra arguments")?;
    let name = object
        .text("type")?
        .ok_or_else(|| object.wrong("type", "the class of the module"))?;
    let class = ModuleClass::named(name).ok_or_else(|| NnError::UnknownModule {
        path: path.to_owned(),
        index,
        found: name.to_owned(),
        supported: ModuleClass::names(),
    })?;
    let folder = object.text("path")?.unwrap_or_default();
    if Path::new(folder).is_absolute() || folder.split(['/', '\\']).any(|part| part == "..") {
        return Err(object.wrong("path", "a folder inside the model's folder"));
    }
    Ok((class, folder.to_owned()))
}
