//! The modules of a model as modules.json lists them. What a module's configuration says, how it is written in either layout,
//! and what the module computes, forward and backward, stand in one file each. A new module is a file here and a line in
//! [`CLASSES`].

mod dense;
mod digest;
mod dropout;
mod layer_norm;
mod normalize;
mod pooling;
mod static_embedding;
mod transformer;

pub use pooling::pooling_modes;

use std::{any::Any, fmt, path::Path, sync::Arc};

use serde_json::Value;

use crate::{
    Checkpoint, Feature, Features, NnError, TokenBatch, Widths,
    features::FeatureGradients,
    pass::{Backward, Pass},
    weights::{Builder, Decay, Extent, ParamName, ParamSpec},
};

/// Every class there is.
static CLASSES: &[&ModuleClass] = &[
    &transformer::CLASS,
    &static_embedding::CLASS,
    &pooling::CLASS,
    &dense::CLASS,
    &layer_norm::CLASS,
    &dropout::CLASS,
    &normalize::CLASS,
];

/// Which generation of readers a folder is written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FolderLayout {
    /// As sentence-transformers 2 to 5.3 write it; loads in all of them and in every other reader known.
    #[default]
    Old,
    /// As sentence-transformers 5.4 and later write it; earlier versions and some servers cannot read it.
    New,
}

/// A class of modules.
pub struct ModuleClass {
    /// Name of the class, and second part of a module's folder: `2_Dense`.
    pub name: &'static str,
    /// Python package of the class from sentence-transformers 5.4 on: `base` or `sentence_transformer`.
    pub(crate) family: &'static str,
    /// The feature that a module of this class reads; `None` if it reads texts.
    pub(crate) reads: Option<Feature>,
    pub(crate) read: ReadModule,
}

/// Reads a module's configuration.
pub(crate) type ReadModule = fn(&mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError>;

/// What a module's configuration is read from.
pub struct ModuleSource<'a> {
    /// The module's folder.
    pub dir: &'a Path,
    /// Features that the modules before have written.
    pub before: Widths,
    /// Receives what was assumed, for the user to read.
    pub notes: &'a mut Vec<String>,
}

/// What the module that reads texts says about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextInput {
    /// Tokens of the longest input, special tokens included; what is longer is cut.
    pub max_seq_length: usize,
    /// Most tokens that the weights allow.
    pub max_tokens: usize,
    /// Rows of the word table: token ids are smaller.
    pub vocab: usize,
    /// Rows of the token-type table; with fewer than 2 no type is read.
    pub token_types: usize,
    /// Whether texts are lower-cased before the tokenizer.
    pub do_lower_case: bool,
    /// Whether equal texts can have different embeddings in training.
    pub drops: bool,
    /// Which tokens of a text count.
    pub rules: TokenRules,
}

/// Which tokens of a text a module reads, and what cuts the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRules {
    /// An encoder's: the tokenizer's template with its special tokens, cut to a length of the model's; what tokenizer.json says
    /// of a length is passed over.
    Encoder,
    /// A static embedding's in sentence-transformers: no special tokens, cut as tokenizer.json says, the unknown token counts.
    Bag,
    /// As model2vec has it: no special tokens, cut to a length in tokens, and before that to as many characters as so many tokens of median
    /// length have; the unknown token does not count.
    KnownBag,
}

/// A file that says what a module is.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigFile {
    /// Name in the module's folder.
    pub name: &'static str,
    /// Its contents.
    pub value: Value,
    /// Spaces per level.
    pub indent: usize,
}

/// How modules are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteConfig<'a> {
    /// The layout.
    pub layout: FolderLayout,
    /// Longest input, instead of the module's own.
    pub max_seq_length: Option<usize>,
    /// Widths that the embeddings were trained to be cut to, for readers that ask config.json: none of them if
    /// empty; `None` leaves what it says.
    pub matryoshka: Option<&'a [usize]>,
}

/// One module of a model: its configuration, from which the module itself is built.
pub trait Module: fmt::Debug + Send + Sync {
    /// Name of the class: `Dense`.
    fn class(&self) -> &'static str;

    /// The class and what distinguishes this module: `Dense(384 to 256)`.
    fn summary(&self) -> String {
        self.class().to_owned()
    }

    /// Widths of the features behind it, given those before it.
    fn widths(&self, before: Widths) -> Widths;

    /// Whether its folder holds weights.
    fn has_weights(&self) -> bool {
        false
    }

    /// Opens its weights in its folder; only for a module that has some.
    ///
    /// # Errors
    /// Weights that are missing, or not of the form that they should have.
    fn checkpoint(&self, dir: &Path) -> Result<Checkpoint, NnError> {
        Checkpoint::open(dir)
    }

    /// Whether it leaves the tokens of a prompt out.
    fn skips_prompt(&self) -> bool {
        false
    }

    /// Whether, besides what [`TextInput`] says, equal texts can have different embeddings in training.
    fn drops(&self) -> bool {
        false
    }

    /// Lengths and vocabulary of the texts that the module reads; `None` if it reads features of other modules.
    fn text_input(&self) -> Option<TextInput> {
        None
    }

    /// config.json of the encoder in it, if there is one.
    fn encoder_config(&self) -> Option<&Value> {
        None
    }

    /// The files that describe it, as they are written.
    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile>;

    /// Text of the settings that change the model's vectors; it goes into the model's digest beside the weights.
    fn digest_text(&self) -> String;

    /// Builds the module; its parameters are added to `builder`.
    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError>;
}

/// A number of tokens in a number of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// Tokens of all texts.
    pub tokens: usize,
    /// Texts.
    pub texts: usize,
}

impl BatchSize {
    /// The size of a batch.
    pub fn of(batch: &TokenBatch) -> Self {
        Self {
            tokens: batch.tokens(),
            texts: batch.texts(),
        }
    }
}

/// A module at work. `Kept` is what its backward needs of its forward.
pub(crate) trait ModuleLayer: Send + Sync {
    /// What the backward needs.
    type Kept: Send + 'static;

    /// Writes features. With `keep`, the second value is there.
    fn forward(
        &self,
        pass: &Pass<'_>,
        features: Features,
        keep: bool,
    ) -> (Features, Option<Self::Kept>);

    /// Gradients of the features before the module, given those behind it; gradients of its parameters are added up.
    fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: Self::Kept,
        d: FeatureGradients,
    ) -> FeatureGradients;

    /// Bytes of `Kept`.
    fn kept_bytes(&self, size: BatchSize) -> usize;

    /// Bytes that the backward uses besides what is kept, where they count.
    fn working_bytes(&self, _: BatchSize) -> usize {
        0
    }

    /// Bytes of a forward that keeps nothing, where they count.
    fn forward_bytes(&self, _: BatchSize) -> usize {
        0
    }
}

/// What a module has kept, whatever module it was.
pub(crate) struct Kept(Box<dyn Any + Send>);

/// [`ModuleLayer`] without its associated type, so that modules of different classes stand in one list.
pub(crate) trait AnyLayer: Send + Sync {
    fn forward(&self, pass: &Pass<'_>, features: Features, keep: bool) -> (Features, Option<Kept>);
    fn backward(&self, cx: &mut Backward<'_>, kept: Kept, d: FeatureGradients) -> FeatureGradients;
    fn kept_bytes(&self, size: BatchSize) -> usize;
    fn working_bytes(&self, size: BatchSize) -> usize;
    fn forward_bytes(&self, size: BatchSize) -> usize;
}

impl<L: ModuleLayer> AnyLayer for L {
    fn forward(&self, pass: &Pass<'_>, features: Features, keep: bool) -> (Features, Option<Kept>) {
        let (features, kept) = ModuleLayer::forward(self, pass, features, keep);
        (features, kept.map(|kept| Kept(Box::new(kept))))
    }

    fn backward(&self, cx: &mut Backward<'_>, kept: Kept, d: FeatureGradients) -> FeatureGradients {
        let kept = kept.0.downcast::<L::Kept>();
        let kept = kept.unwrap_or_else(|_| panic!("what this module's own forward has kept"));
        ModuleLayer::backward(self, cx, *kept, d)
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        ModuleLayer::kept_bytes(self, size)
    }

    fn working_bytes(&self, size: BatchSize) -> usize {
        ModuleLayer::working_bytes(self, size)
    }

    fn forward_bytes(&self, size: BatchSize) -> usize {
        ModuleLayer::forward_bytes(self, size)
    }
}

/// A module of any class, built.
pub struct BuiltModule(pub(crate) Box<dyn AnyLayer>);

impl BuiltModule {
    fn new(layer: impl ModuleLayer + 'static) -> Self {
        Self(Box::new(layer))
    }
}

impl ModuleClass {
    /// The class that a type of modules.json names. Every spelling that sentence-transformers has written is known:
    /// `models.X` up to 5.3, longer ones from 5.4 on. Classes were moved between `base` and `sentence_transformer` from
    /// version to version, and both places load.
    pub fn named(class: &str) -> Option<&'static Self> {
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
        let class = CLASSES.iter().find(|class| class.name == name)?;
        // `models.Pooling.Pooling`, but `base.modules.pooling.Pooling`.
        let is_module = |module: &str| match package {
            "models" => module == name,
            _ => module == snake(name),
        };
        module.is_none_or(is_module).then_some(*class)
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
            None => before == Widths::default(),
            Some(feature) => before.of(feature).is_some(),
        }
    }

    /// The classes that can follow modules that have written these features, for messages.
    pub fn followers(before: Widths) -> String {
        let furthest = if before.of(Feature::Sentence).is_some() {
            Some(Feature::Sentence)
        } else {
            before.of(Feature::Tokens).map(|_| Feature::Tokens)
        };
        let names = CLASSES
            .iter()
            .filter(|class| class.reads == furthest)
            .map(|class| class.name);
        names.collect::<Vec<_>>().join(" or ")
    }

    /// The class of a module.
    pub fn of(module: &dyn Module) -> &'static Self {
        CLASSES
            .iter()
            .find(|class| class.name == module.class())
            .expect("every module's class is listed")
    }

    /// Names of all classes, for messages.
    pub fn names() -> String {
        let names: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
        match names.split_last() {
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

/// A parameter of the present module, which freeze patterns know as `2.linear.weight`, as upstream's state dict does.
fn parameter(builder: &Builder<'_>, name: &str, shape: &[usize], decay: Decay) -> ParamSpec {
    ParamSpec {
        names: vec![ParamName {
            known_as: vec![format!("{}.{name}", builder.module_index())],
            stored: vec![name.to_owned()],
        }],
        shape: shape
            .iter()
            .map(|&len| Extent { len, axis: None })
            .collect(),
        decay,
    }
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

/// A file of a module below the model's folder, which each layout indents in its own way.
fn module_file(name: &'static str, value: Value, layout: FolderLayout) -> ConfigFile {
    let indent = match layout {
        FolderLayout::Old => 2,
        FolderLayout::New => 4,
    };
    ConfigFile {
        name,
        value,
        indent,
    }
}

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
        for path in [
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
        let followers = [Widths::default(), tokens, tokens.with(Feature::Sentence, 3)]
            .map(ModuleClass::followers);
        assert_eq!(
            followers,
            [
                "Transformer or StaticEmbedding",
                "Pooling",
                "Dense or LayerNorm or Dropout or Normalize"
            ]
        );
        assert_eq!(
            ModuleClass::names(),
            "Transformer, StaticEmbedding, Pooling, Dense, LayerNorm, Dropout and Normalize"
        );
    }
}
