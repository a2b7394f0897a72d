//! What a module says of itself: its configuration, read and written, and the texts that it takes.

use std::{fmt, path::Path};

use serde_json::Value;

use super::BuiltModule;
use crate::{
    Checkpoint, NnError, Widths,
    weights::{Builder, Decay, Extent, ParamName, ParamSpec},
};

/// Which generation of readers a folder is written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FolderLayout {
    /// As sentence-transformers 2 to 5.3 write it; loads in all of them and in every other reader known.
    #[default]
    Old,
    /// As sentence-transformers 5.4 and later write it; earlier versions and some servers cannot read it.
    New,
}

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

    /// Index of the first hidden state of the encoder that the module reads, if it reads any.
    fn hidden_states_from(&self) -> Option<usize> {
        None
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

/// A file of a module below the model's folder, which each layout indents in its own way.
pub(super) fn module_file(name: &'static str, value: Value, layout: FolderLayout) -> ConfigFile {
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

/// A parameter of the present module, which freeze patterns know as `2.linear.weight`, as upstream's state dict does.
pub(super) fn parameter(
    builder: &Builder<'_>,
    name: &str,
    shape: &[usize],
    decay: Decay,
) -> ParamSpec {
    let known_as = format!("{}.{name}", builder.module_name());
    ParamSpec {
        names: vec![ParamName {
            known_as: vec![known_as.clone()],
            upstream: vec![known_as],
            stored: vec![name.to_owned()],
        }],
        shape: shape
            .iter()
            .map(|&len| Extent { len, axis: None })
            .collect(),
        decay,
    }
}
