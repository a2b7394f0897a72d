//! StaticEmbedding: the mean of a table's rows, one for each token. No transformer reads the tokens, so tokenizing costs more than all
//! the rest.
//!
//! Published tables come in two forms. sentence-transformers has `embedding.weight`. model2vec has `embeddings`, possibly of bytes, to
//! which `mapping` leads from token ids, and `weights` that multiply the rows; they are folded into a row for each token as
//! sentence-transformers 6.2 does, and so they are trained and written. Its backward needs nothing but the tokens.

mod fold;

use std::{path::Path, sync::Arc};

use matryo_ops::{Lookup, LookupGradient, MatMut};
use serde_json::{Value, json};

use super::{
    BatchSize, BuiltModule, ConfigFile, Module, ModuleClass, ModuleLayer, ModuleSource, TextInput,
    TokenRules, WriteConfig, normalize, parameter,
};
use crate::{
    Checkpoint, Feature, Features, NnError, UNLIMITED, Widths,
    config::Object,
    features::FeatureGradients,
    pass::{Backward, Pass},
    weights::{Builder, Decay, TableParam, TableRows},
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "StaticEmbedding",
    family: "sentence_transformer",
    reads: &[],
    read,
};

/// Names of the table: that of sentence-transformers, that of model2vec.
const TABLE: &str = "embedding.weight";
const MODEL2VEC_TABLE: &str = "embeddings";
/// Row of the table for each token, and factor of each token.
const MAPPING: &str = "mapping";
const FACTORS: &str = "weights";

const MODEL_TYPE: &str = "model2vec";
/// Tokens of the longest text where model2vec's configuration says nothing.
const DEFAULT_LENGTH: usize = 512;

#[derive(Debug)]
struct StaticEmbedding {
    /// Name of the table.
    name: &'static str,
    vocab: usize,
    dim: usize,
    max_seq_length: usize,
    rules: TokenRules,
    /// config.json, which model2vec writes.
    config: Option<Value>,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let config = Object::read_if_present(&source.dir.join("config.json"))?;
    Ok(Arc::new(open(source.dir, TokenRules::Bag, config)?))
}

/// The modules of a folder that model2vec has written and that has no modules.json: the table, and a normalisation if its
/// configuration says so. `None` if it is no such folder.
pub(super) fn of_model2vec(
    source: &mut ModuleSource<'_>,
) -> Result<Option<Vec<Arc<dyn Module>>>, NnError> {
    let config = Object::read_if_present(&source.dir.join("config.json"))?;
    if !is_model2vec(source.dir, config.as_ref())? {
        return Ok(None);
    }
    let (length, normalized) = match &config {
        Some(config) => (length(config)?, config.flag("normalize")?.unwrap_or(false)),
        None => (DEFAULT_LENGTH, false),
    };
    let mut table = open(source.dir, TokenRules::KnownBag, config)?;
    table.max_seq_length = length;
    source.notes.push(
        "no modules.json: unknown tokens are left out of the mean, as model2vec does; a copy that is saved has modules.json, and they count"
            .into(),
    );
    let dim = table.dim;
    let mut modules: Vec<Arc<dyn Module>> = vec![Arc::new(table)];
    if normalized {
        modules.push(normalize::of(dim));
    }
    Ok(Some(modules))
}

/// Whether config.json says so, or, where it says nothing, the name of the table.
fn is_model2vec(dir: &Path, config: Option<&Object>) -> Result<bool, NnError> {
    if let Some(config) = config
        && let Some(found) = config.text("model_type")?
    {
        return Ok(found == MODEL_TYPE);
    }
    let checkpoint = Checkpoint::open(dir);
    Ok(checkpoint.is_ok_and(|checkpoint| checkpoint.has(MODEL2VEC_TABLE)))
}

/// Tokens of the longest text.
fn length(config: &Object) -> Result<usize, NnError> {
    match config.count("max_length")? {
        Some(0) => Err(config.wrong("max_length", "at least 1, or null")),
        None if !config.has("max_length") => Ok(DEFAULT_LENGTH),
        length => Ok(length.unwrap_or(UNLIMITED)),
    }
}

fn open(dir: &Path, rules: TokenRules, config: Option<Object>) -> Result<StaticEmbedding, NnError> {
    let checkpoint = Checkpoint::open(dir)?;
    let name = if checkpoint.has(TABLE) || !checkpoint.has(MODEL2VEC_TABLE) {
        TABLE
    } else {
        MODEL2VEC_TABLE
    };
    let (rows, dim) = match checkpoint.shape(name) {
        Some(&[rows, dim]) if rows > 0 && dim > 0 => (rows, dim),
        Some(shape) => {
            return Err(NnError::TensorRank {
                path: checkpoint.path().to_owned(),
                name: name.to_owned(),
                found: shape.to_vec(),
            });
        }
        None => return Err(checkpoint.missing(name)),
    };
    let folded = |name| {
        checkpoint
            .shape(name)
            .and_then(|shape| shape.first().copied())
    };
    let vocab = match name {
        MODEL2VEC_TABLE => folded(MAPPING).unwrap_or(rows),
        _ => rows,
    };
    Ok(StaticEmbedding {
        name,
        vocab,
        dim,
        max_seq_length: UNLIMITED,
        rules,
        config: config.map(Object::into_value),
    })
}

impl Module for StaticEmbedding {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn summary(&self) -> String {
        format!("StaticEmbedding({} x {})", self.vocab, self.dim)
    }

    fn widths(&self, before: Widths) -> Widths {
        before.with(Feature::Sentence, self.dim)
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn checkpoint(&self, dir: &Path) -> Result<Checkpoint, NnError> {
        let mut checkpoint = Checkpoint::open(dir)?;
        fold::fold(&mut checkpoint, self.name)?;
        Ok(checkpoint)
    }

    fn text_input(&self) -> Option<TextInput> {
        Some(TextInput {
            max_seq_length: self.max_seq_length,
            max_tokens: UNLIMITED,
            vocab: self.vocab,
            token_types: 0,
            do_lower_case: false,
            drops: false,
            rules: self.rules,
        })
    }

    /// model2vec's own file, true of the table that is written.
    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        let Some(Value::Object(mut config)) = self.config.clone() else {
            return Vec::new();
        };
        config.shift_remove("vocabulary_quantization");
        if let Some(length) = options.max_seq_length {
            config.insert("max_length".into(), json!(length));
        }
        if config.contains_key("embedding_dtype") {
            config.insert("embedding_dtype".into(), json!("float32"));
        }
        vec![ConfigFile {
            name: "config.json",
            value: config.into(),
            indent: 4,
        }]
    }

    fn digest_text(&self) -> String {
        match self.rules {
            TokenRules::KnownBag => "StaticEmbedding of known tokens".into(),
            _ => CLASS.name.into(),
        }
    }

    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        // Freeze patterns know it by upstream's name, whatever it is called in the file.
        let mut spec = parameter(builder, TABLE, &[self.vocab, self.dim], Decay::Yes);
        spec.names[0].stored = vec![self.name.to_owned()];
        let table = builder.table(&spec)?;
        Ok(BuiltModule::new(Bag { table }))
    }
}

struct Bag {
    table: TableParam,
}

impl ModuleLayer for Bag {
    type Kept = ();

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<()>) {
        let ids = &pass.batch.ids;
        let mut y = pass.arena.zeros(pass.batch.texts(), self.table.tensor.cols);
        let in_order: Vec<u32>;
        let rows = pass.weights.rows(self.table, ids, pass.arena);
        let lookup = match &rows {
            TableRows::Whole(table) => Lookup {
                table: *table,
                rows: ids,
            },
            TableRows::Gathered(buffer) => {
                in_order = (0..ids.len() as u32).collect();
                Lookup {
                    table: buffer.view(),
                    rows: &in_order,
                }
            }
        };
        pass.ops.bag(y.view_mut(), lookup, pass.spans());
        features.rows.put(Feature::Sentence, y);
        (features, keep.then_some(()))
    }

    fn backward(&self, cx: &mut Backward<'_>, _: (), mut d: FeatureGradients) -> FeatureGradients {
        let (tensor, batch) = (self.table.tensor, cx.pass.batch);
        let Some(dy) = d.rows.take(Feature::Sentence) else {
            return d;
        };
        if let Some(d_table) = cx.grads.write_rows(tensor, &batch.ids) {
            let gradient = LookupGradient {
                d_table: MatMut::new(tensor.rows, tensor.cols, d_table),
                rows: &batch.ids,
                frozen_row: None,
            };
            cx.pass.ops.bag_bwd(gradient, dy.view(), cx.pass.spans());
        }
        d
    }

    fn kept_bytes(&self, _: BatchSize) -> usize {
        0
    }
}
