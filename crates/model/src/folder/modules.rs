//! modules.json: which modules a model is made of, in both spellings of their types.

use std::{path::Path, sync::Arc};

use matryo_nn::{
    Feature, Module, ModuleClass, ModuleSource, NnError, Widths,
    config::{Object, read_json},
    default_modules,
};
use serde_json::Value;

use super::{
    FolderModule,
    router::{self, Routes},
};

/// The modules of a folder in order, and the routes that divide them.
pub(super) struct ModuleList {
    pub(super) modules: Vec<FolderModule>,
    pub(super) routes: Option<Routes>,
}

/// Reads the modules of a folder, each with its own configuration. Fails unless the first reads texts, each finds what it reads,
/// and one writes sentence embeddings.
pub(super) fn read(folder: &Path, notes: &mut Vec<String>) -> Result<ModuleList, NnError> {
    let path = folder.join("modules.json");
    if !path.exists() {
        let modules = default_modules(folder, notes)?.into_iter();
        return Ok(ModuleList {
            modules: modules.enumerate().map(in_root).collect(),
            routes: None,
        });
    }
    let items = items(&path)?;
    let mut reader = Reader {
        folder,
        notes,
        widths: Widths::default(),
        modules: Vec::new(),
    };
    let mut routes = None;
    for (index, item) in items.into_iter().enumerate() {
        let (class, place) = entry(&path, index, item, routes.is_none())?;
        match class {
            Listed::Module(class) => {
                let at = Place {
                    path: &path,
                    index,
                    route: None,
                };
                reader.read(at, class, place)?;
            }
            Listed::Router => routes = Some(router::read(&mut reader, index, &place)?),
        }
    }
    match reader.widths.of(Feature::Sentence) {
        Some(_) => Ok(ModuleList {
            modules: reader.modules,
            routes,
        }),
        None => Err(out_of_order(
            &path,
            reader.modules.len(),
            "missing",
            reader.widths,
        )),
    }
}

/// The folders of all modules, relative to the model's, those of a Router's routes as well. Their classes are not looked at, so
/// the modules need not be ones that can be opened.
///
/// # Errors
/// A modules.json or router_config.json that is no list of modules, or names a folder outside of the model's.
pub(crate) fn module_folders(folder: &Path) -> Result<Vec<String>, NnError> {
    let path = folder.join("modules.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut folders = Vec::new();
    for item in items(&path)? {
        let (_, name, place) = described(&path, item)?;
        if ModuleClass::is_router(&name) {
            folders.extend(router::module_folders(folder, &place)?);
        }
        folders.push(place);
    }
    Ok(folders)
}

/// The entries of modules.json.
fn items(path: &Path) -> Result<Vec<Value>, NnError> {
    match read_json(path)? {
        Value::Array(items) => Ok(items),
        _ => Err(NnError::ConfigValue {
            path: path.to_owned(),
            key: "(top level)".into(),
            found: "no list".into(),
            expected: "a list of modules".into(),
        }),
    }
}

/// Reads one module after the other.
pub(super) struct Reader<'a> {
    pub(super) folder: &'a Path,
    notes: &'a mut Vec<String>,
    /// What the modules so far have written.
    pub(super) widths: Widths,
    modules: Vec<FolderModule>,
}

/// Where a module is listed.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The file.
    pub(super) path: &'a Path,
    /// Index in it, or in its route, from 0.
    pub(super) index: usize,
    /// The route, if it is one's.
    pub(super) route: Option<usize>,
}

impl Reader<'_> {
    /// Reads the next module, whose folder is `place`.
    pub(super) fn read(
        &mut self,
        at: Place<'_>,
        class: &ModuleClass,
        place: String,
    ) -> Result<(), NnError> {
        if !class.follows(self.widths) {
            return Err(out_of_order(at.path, at.index, class.name, self.widths));
        }
        let module = class.read(&mut ModuleSource {
            dir: &self.folder.join(&place),
            before: self.widths,
            notes: self.notes,
        })?;
        self.widths = module.widths(self.widths);
        self.modules.push(FolderModule {
            module,
            path: place,
            route: at.route,
            index: at.index,
        });
        Ok(())
    }
}

fn in_root((index, module): (usize, Arc<dyn Module>)) -> FolderModule {
    FolderModule {
        module,
        path: String::new(),
        route: None,
        index,
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

/// What an entry of modules.json is.
enum Listed {
    Module(&'static ModuleClass),
    /// Modules for each route, which a file of its own lists.
    Router,
}

/// Class and folder of one entry.
fn entry(
    path: &Path,
    index: usize,
    item: Value,
    may_route: bool,
) -> Result<(Listed, String), NnError> {
    let (object, name, folder) = described(path, item)?;
    if ModuleClass::is_router(&name) {
        return if may_route {
            Ok((Listed::Router, folder))
        } else {
            Err(object.wrong(
                "type",
                "no second Router: routes of routes are not supported",
            ))
        };
    }
    let class = class_named(path, index, &name)?;
    Ok((Listed::Module(class), folder))
}

/// One entry of modules.json as written, its type and its folder.
fn described(path: &Path, item: Value) -> Result<(Object, String, String), NnError> {
    let object = Object::new(path, item)?;
    object.deny_unknown(&["idx", "name", "path", "type", "kwargs"])?;
    object.deny_set(&["kwargs"], "no extra arguments")?;
    let name = object
        .text("type")?
        .ok_or_else(|| object.wrong("type", "the class of the module"))?
        .to_owned();
    let folder = object.text("path")?.unwrap_or_default();
    if !is_inside(folder) {
        return Err(object.wrong("path", "a folder inside the model's folder"));
    }
    let folder = folder.to_owned();
    Ok((object, name, folder))
}

/// The class that a type names.
pub(super) fn class_named(
    path: &Path,
    index: usize,
    name: &str,
) -> Result<&'static ModuleClass, NnError> {
    ModuleClass::named(name).ok_or_else(|| NnError::UnknownModule {
        path: path.to_owned(),
        index,
        found: name.to_owned(),
        supported: ModuleClass::names(),
    })
}

/// Whether a path leads to a folder inside of the one that it starts from.
pub(super) fn is_inside(path: &str) -> bool {
    !Path::new(path).is_absolute() && path.split(['/', '\\']).all(|part| part != "..")
}
