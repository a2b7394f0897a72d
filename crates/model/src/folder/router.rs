//! router_config.json: modules for each of several routes, and which route a text takes.
//!
//! A Router stands in modules.json like a module. Here its modules stand in one list with the others, each with its route, so
//! that nothing but the choice of a route is special: `query` may be a table and `document` an encoder.

use std::path::{Path, PathBuf};

use matryo_nn::{Feature, FolderLayout, ModuleClass, NnError, Widths, config::Object};
use serde_json::{Map, Value, json};

use super::{
    FolderModule,
    modules::{Place, Reader, class_named, is_inside},
};
use crate::ModelError;

/// Name of the file in earlier versions.
const OLD_FILE: &str = "config.json";

/// What texts are to a Router that tells texts from images.
const MODALITY: &str = "text";

/// The routes of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    /// Names, in the order of the file.
    pub names: Vec<String>,
    /// Place of the Router in modules.json, from 0.
    index: usize,
    /// The route of texts for which no route is asked.
    default: Option<usize>,
    /// `parameters`, as they were read.
    parameters: Map<String, Value>,
    /// Which task and modality lead to which route.
    mappings: Vec<Mapping>,
}

/// A rule: a task and a modality, `None` standing for any, and the route.
#[derive(Clone, Debug, PartialEq)]
struct Mapping {
    task: Option<String>,
    modality: Option<String>,
    route: usize,
}

/// Reads the Router of index `index` in modules.json, whose folder is `place`, and the modules of all its routes.
///
/// # Errors
/// A file or key that is missing or not understood, and routes that do not end in the same features.
pub(super) fn read(reader: &mut Reader<'_>, index: usize, place: &str) -> Result<Routes, NnError> {
    let path = config_file(&reader.folder.join(place))?;
    let config = Object::read(&path)?;
    config.deny_unknown(&["types", "structure", "parameters"])?;
    let structure = structure(&config)?;
    let names: Vec<String> = structure.iter().map(|(name, _)| name.clone()).collect();
    let parameters = match config.object("parameters")? {
        Some(parameters) => parameters,
        None => Object::new(&path, json!({}))?,
    };
    let routes = Routes::new(index, names, &parameters)?;
    let types = config
        .object("types")?
        .ok_or_else(|| config.wrong("types", "the class of each module"))?;
    let (before, mut after) = (reader.widths, None);
    let mut hidden_states = Vec::new();
    for (route, (_, modules)) in structure.iter().enumerate() {
        reader.widths = before;
        for (inner, id) in modules.iter().enumerate() {
            let class = types
                .text(id)?
                .ok_or_else(|| types.wrong(id, "the class of the module"))?;
            if ModuleClass::is_router(class) {
                return Err(types.wrong(id, "no Router: routes of routes are not supported"));
            }
            let at = Place {
                path: &path,
                index: inner,
                route: Some(route),
            };
            reader.read(at, class_named(&path, inner, class)?, inside(place, id))?;
        }
        let widths = *after.get_or_insert(reader.widths);
        check_ends(&config, &routes, route, [widths, reader.widths])?;
        hidden_states.push(reader.widths.hidden_states());
    }
    // What only some routes have, no module behind them can read.
    if hidden_states
        .iter()
        .any(|states| *states != hidden_states[0])
    {
        reader.widths = reader.widths.with_hidden_states(None);
    }
    Ok(routes)
}

/// The folders of the modules of all routes of the Router in `place`, relative to `folder`, the model's.
///
/// # Errors
/// A file that is missing, `types` that is no object, and a folder outside of the Router's.
pub(super) fn module_folders(folder: &Path, place: &str) -> Result<Vec<String>, NnError> {
    let config = Object::read(&config_file(&folder.join(place))?)?;
    let expected = "an object from the folder of each module, inside of the Router's, to its class";
    let wrong = || config.wrong("types", expected);
    let types = config.get("types").and_then(Value::as_object);
    let ids = types.ok_or_else(wrong)?.keys();
    ids.map(|id| {
        let id = is_inside(id).then_some(id).ok_or_else(wrong)?;
        Ok(inside(place, id))
    })
    .collect()
}

/// The file that describes the Router in `dir`.
fn config_file(dir: &Path) -> Result<PathBuf, NnError> {
    [Routes::FILE, OLD_FILE]
        .map(|name| dir.join(name))
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| NnError::MissingFile {
            folder: dir.to_owned(),
            file: Routes::FILE.into(),
        })
}

/// Folder of the module `id` of a Router in `place`.
fn inside(place: &str, id: &str) -> String {
    match place {
        "" => id.to_owned(),
        place => format!("{place}/{id}"),
    }
}

/// Names of the routes and folders of their modules.
fn structure(config: &Object) -> Result<Vec<(String, Vec<String>)>, NnError> {
    let wrong = || config.wrong("structure", "a list of module folders for each route");
    let routes = config
        .get("structure")
        .and_then(Value::as_object)
        .filter(|routes| !routes.is_empty())
        .ok_or_else(wrong)?;
    let mut taken: Vec<&str> = Vec::new();
    let mut structure = Vec::with_capacity(routes.len());
    for (name, modules) in routes {
        if !is_plain(name) {
            let expected =
                format!("plain names of routes, without `/`, `\\`, `:` and dots, unlike {name:?}");
            return Err(config.wrong("structure", &expected));
        }
        let modules = modules.as_array().filter(|modules| !modules.is_empty());
        let mut folders = Vec::new();
        for id in modules.ok_or_else(wrong)? {
            let id = id.as_str().filter(|id| is_inside(id)).ok_or_else(wrong)?;
            if taken.contains(&id) {
                let expected = format!(
                    "each module in one route: `{id}` is in two, and modules that routes share are not supported"
                );
                return Err(config.wrong("structure", &expected));
            }
            taken.push(id);
            folders.push(id.to_owned());
        }
        structure.push((name.clone(), folders));
    }
    Ok(structure)
}

/// Whether a route's name can be part of a folder's name, which it is in a saved model, and of parameters' names, which dots divide.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', ':', '.'])
}

/// Fails unless a route ends in the features in which the first one ends: what follows reads them, and embeddings are compared.
fn check_ends(
    config: &Object,
    routes: &Routes,
    route: usize,
    [first, found]: [Widths; 2],
) -> Result<(), NnError> {
    if Feature::ALL.map(|f| first.of(f)) == Feature::ALL.map(|f| found.of(f)) {
        return Ok(());
    }
    let describe = |widths: Widths| {
        let features = Feature::ALL.into_iter();
        let written =
            features.filter_map(|f| Some(format!("{} of width {}", f.name(), widths.of(f)?)));
        written.collect::<Vec<_>>().join(" and ")
    };
    let expected = format!(
        "routes that end alike: `{}` ends in {}, `{}` in {}",
        routes.names[0],
        describe(first),
        routes.names[route],
        describe(found)
    );
    Err(config.wrong("structure", &expected))
}

impl Routes {
    /// Name of the file.
    pub(crate) const FILE: &str = "router_config.json";

    fn new(index: usize, names: Vec<String>, parameters: &Object) -> Result<Self, NnError> {
        parameters.deny_unknown(&["default_route", "allow_empty_key", "route_mappings"])?;
        let place = |name: &str| names.iter().position(|known| known == name);
        let expected = format!("one of {}", names.join(", "));
        let default = match parameters.text("default_route")? {
            Some(name) => {
                Some(place(name).ok_or_else(|| parameters.wrong("default_route", &expected))?)
            }
            None if parameters.flag("allow_empty_key")?.unwrap_or(true) => Some(0),
            None => None,
        };
        let wrong = || {
            let expected = format!("pairs such as \"('query', None)\", each with {expected}");
            parameters.wrong("route_mappings", &expected)
        };
        let mut mappings = Vec::new();
        if let Some(value) = parameters.get("route_mappings") {
            for (pair, route) in value.as_object().ok_or_else(wrong)? {
                let (task, modality) = pair_of(pair).ok_or_else(wrong)?;
                let route = route.as_str().and_then(place).ok_or_else(wrong)?;
                mappings.push(Mapping {
                    task,
                    modality,
                    route,
                });
            }
        }
        let parameters = match parameters.clone().into_value() {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Ok(Self {
            names,
            index,
            default,
            parameters,
            mappings,
        })
    }

    /// The route of texts with a task, such as `query`, or without one, as sentence-transformers finds it.
    ///
    /// # Errors
    /// No route fits.
    pub fn of(&self, task: Option<&str>) -> Result<usize, ModelError> {
        // From the most special rule to the one for everything.
        for (task, modality) in [
            (task, Some(MODALITY)),
            (task, None),
            (None, Some(MODALITY)),
            (None, None),
        ] {
            let fits = |rule: &&Mapping| {
                (rule.task.as_deref(), rule.modality.as_deref()) == (task, modality)
            };
            if let Some(rule) = self.mappings.iter().find(fits) {
                return Ok(rule.route);
            }
        }
        let named = |name: &str| self.names.iter().position(|known| known == name);
        let found = match task {
            Some(task) => named(task).or_else(|| named(MODALITY)),
            None => named(MODALITY).or(self.default),
        };
        found.ok_or_else(|| ModelError::NoRoute {
            task: task.map(str::to_owned),
            routes: self.names.clone(),
        })
    }

    /// The route of texts without a task; the first where there is none.
    pub fn default_or_first(&self) -> usize {
        self.of(None).unwrap_or(0)
    }

    /// What stands before the names of the parameters of a module in a route, as in upstream's state dict.
    pub(crate) fn known_as(&self, route: usize, index: usize) -> String {
        format!("{}.sub_modules.{}.{index}", self.index, self.names[route])
    }

    /// The Router's folder: the model's own if it comes first.
    pub(crate) fn folder(&self) -> String {
        match self.index {
            0 => String::new(),
            index => format!("{index}_Router"),
        }
    }

    /// Name of the folder of a module of a route, inside of the Router's.
    pub(crate) fn inner_folder(&self, route: usize, module: &FolderModule) -> String {
        let (route, class) = (&self.names[route], module.module.class());
        format!("{route}_{}_{class}", module.index)
    }

    /// Place of the Router in modules.json, from 0.
    pub(crate) fn place(&self) -> usize {
        self.index
    }

    /// The entry of modules.json.
    pub(crate) fn entry(&self, layout: FolderLayout) -> Value {
        json!({
            "idx": self.index,
            "name": self.index.to_string(),
            "path": self.folder(),
            "type": ModuleClass::router_path(layout),
        })
    }

    /// router_config.json for modules of these routes.
    pub(crate) fn written(&self, modules: &[FolderModule], layout: FolderLayout) -> Value {
        let (mut types, mut structure) = (Map::new(), Map::new());
        for (route, name) in self.names.iter().enumerate() {
            let mut folders = Vec::new();
            for module in modules.iter().filter(|module| module.route == Some(route)) {
                let folder = self.inner_folder(route, module);
                let class = ModuleClass::of(&*module.module);
                types.insert(folder.clone(), json!(class.path(layout)));
                folders.push(json!(folder));
            }
            structure.insert(name.clone(), Value::Array(folders));
        }
        json!({"types": types, "structure": structure, "parameters": self.parameters})
    }

    /// What the choice of a route depends on, for a model's digest.
    pub(crate) fn digest_text(&self) -> String {
        let Self {
            names,
            index: _,
            default,
            parameters: _,
            mappings,
        } = self;
        format!("Router {{ names: {names:?}, default: {default:?}, mappings: {mappings:?} }}")
    }
}

/// A pair as Python prints it: `('query', 'text')` or `(None, 'image')`. A tuple of modalities is taken as one that no text has.
fn pair_of(text: &str) -> Option<(Option<String>, Option<String>)> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (task, modality) = inner.split_once(',')?;
    let modality = modality.trim();
    let modality = match modality.strip_prefix('(') {
        Some(many) => Some(many.strip_suffix(')')?.to_owned()),
        None => value_of(modality)?,
    };
    Some((value_of(task.trim())?, modality))
}

/// `None`, or a quoted text without quotes in it.
fn value_of(text: &str) -> Option<Option<String>> {
    if text == "None" {
        return Some(None);
    }
    let unquoted = ['\'', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then(|| inner.to_owned())
    });
    Some(Some(unquoted?))
}
