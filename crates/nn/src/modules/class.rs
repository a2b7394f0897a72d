//! Classes of modules by the types of modules.json.

use std::sync::Arc;

use super::{CLASSES, FolderLayout, Module, ModuleSource};
use crate::{Feature, NnError, Widths};

/// A class of modules.
pub struct ModuleClass {
    /// Name of the class, and second part of a module's folder: `2_Dense`.
    pub name: &'static str,
    /// Python package of the class from sentence-transformers 5.4 on: `base` or `sentence_transformer`.
    pub(crate) family: &'static str,
    /// The features of which a module of this class reads one; none of them if it reads texts.
    pub(crate) reads: &'static [Feature],
    pub(crate) read: ReadModule,
}

/// Reads a module's configuration.
pub(crate) type ReadModule = fn(&mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError>;

impl ModuleClass {
    /// The class that a type of modules.json names.
    pub fn named(class: &str) -> Option<&'static Self> {
        let name = class_name(class)?;
        CLASSES.iter().find(|class| class.name == name).copied()
    }

    /// Whether a type of modules.json is that of a Router, under its own name or an earlier one. It is no module: its modules are.
    pub fn is_router(class: &str) -> bool {
        class_name(class).is_some_and(|name| ROUTERS.contains(&name))
    }

    /// The type of a Router to write into modules.json.
    pub fn router_path(layout: FolderLayout) -> &'static str {
        match layout {
            FolderLayout::Old => "sentence_transformers.models.Router",
            FolderLayout::New => "sentence_transformers.base.modules.router.Router",
        }
    }

    /// The type to write into modules.json.
    pub fn path(&self, layout: FolderLayout) -> String {
        let name = self.name;
        match layout {
            FolderLayout::Old => format!("sentence_transformers.models.{name}"),
            FolderLayout::New => format!(
                "sentence_transformers.{}.modules.{}.{name}",
                self.family,
                snake(name)
            ),
        }
    }

    /// Reads a module of this class.
    ///
    /// # Errors
    /// A file or key that is missing or not understood, and a width that does not fit to what comes before.
    pub fn read(&self, source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
        (self.read)(source)
    }

    /// Whether a module of this class can follow modules that have written these features.
    pub fn follows(&self, before: Widths) -> bool {
        match self.reads {
            [] => before == Widths::default(),
            features => features.iter().any(|feature| before.of(*feature).is_some()),
        }
    }

    /// The classes that can follow modules that have written these features, for messages.
    pub fn followers(before: Widths) -> String {
        let classes = CLASSES.iter().filter(|class| class.follows(before));
        let names = classes.map(|class| class.name);
        names.collect::<Vec<_>>().join(" or ")
    }

    /// The class of a module.
    pub fn of(module: &dyn Module) -> &'static Self {
        CLASSES
            .iter()
            .find(|class| class.name == module.class())
            .expect("every module's class is listed")
    }

    /// Names of all classes, and of the Router, for messages.
    pub fn names() -> String {
        let names: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
        format!("{} and {}", names.join(", "), ROUTERS[0])
    }
}

/// Names of a Router, that of today first.
const ROUTERS: [&str; 2] = ["Router", "Asym"];

/// The class in a type of modules.json. Every spelling that sentence-transformers has written is known: `models.X` up to 5.3,
/// longer ones from 5.4 on. Classes were moved between `base` and `sentence_transformer` from version to version, and both places
/// load.
fn class_name(class: &str) -> Option<&str> {
    let path = class.strip_prefix("sentence_transformers.")?;
    let (package, rest) = [
        ("models", path.strip_prefix("models.")),
        ("base", path.strip_prefix("base.modules.")),
        (
            "sentence_transformer",
            path.strip_prefix("sentence_transformer.modules."),
        ),
    ]
    .into_iter()
    .find_map(|(package, rest)| Some((package, rest?)))?;
    let (module, name) = match rest.split_once('.') {
        Some((module, name)) => (Some(module), name),
        None => (None, rest),
    };
    // `models.Pooling.Pooling`, but `base.modules.pooling.Pooling`.
    let is_module = |module: &str| match package {
        "models" => module == name,
        _ => module == snake(name),
    };
    module.is_none_or(is_module).then_some(name)
}

/// `StaticEmbedding` to `static_embedding`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (i, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && i > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_every_version_and_no_others() {
        for class in CLASSES {
            let (name, lower) = (class.name, snake(class.name));
            for path in [
                format!("models.{name}"),
                format!("models.{name}.{name}"),
                format!("base.modules.{name}"),
                format!("base.modules.{lower}.{name}"),
                format!("sentence_transformer.modules.{name}"),
                format!("sentence_transformer.modules.{lower}.{name}"),
            ] {
                let found = ModuleClass::named(&format!("sentence_transformers.{path}"));
                assert_eq!(found.map(|class| class.name), Some(name), "{path}");
            }
            for layout in [FolderLayout::Old, FolderLayout::New] {
                assert!(ModuleClass::named(&class.path(layout)).is_some());
            }
        }
        for layout in [FolderLayout::Old, FolderLayout::New] {
            assert!(ModuleClass::is_router(ModuleClass::router_path(layout)));
        }
        assert!(ModuleClass::is_router(
            "sentence_transformers.models.Asym.Asym"
        ));
        for path in [
            "sentence_transformers.models.Router",
            "sentence_transformers.models.LSTM",
            "sentence_transformers.models.pooling.Pooling",
            "my_code.Normalize",
            "Normalize",
        ] {
            assert!(ModuleClass::named(path).is_none(), "{path}");
        }
    }

    #[test]
    fn what_can_follow_is_known() {
        let tokens = Widths::default().with(Feature::Tokens, 3);
        let sentence = Widths::default().with(Feature::Sentence, 3);
        let followers = [Widths::default(), tokens, sentence].map(ModuleClass::followers);
        assert_eq!(
            followers,
            [
                "Transformer or StaticEmbedding",
                "Pooling or WeightedLayerPooling or Dense or Normalize",
                "Dense or LayerNorm or Dropout or Normalize"
            ]
        );
        assert_eq!(
            ModuleClass::names(),
            "Transformer, StaticEmbedding, Pooling, WeightedLayerPooling, Dense, LayerNorm, Dropout, Normalize and Router"
        );
    }
}
