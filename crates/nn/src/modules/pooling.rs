//! Pooling: token rows to one row per text, one or several modes side by side.
//!
//! Its configuration has an old form, six booleans, and a new one, `pooling_mode`. Its backward needs the token rows, since
//! the gradient of a maximum goes where the maximum was.

use std::sync::Arc;

use matryo_ops::{Mat, MatRef, PoolMode};
use serde_json::{Map, Value, json};

use super::{
    BatchSize, BuiltModule, ConfigFile, FolderLayout, Module, ModuleClass, ModuleLayer,
    ModuleSource, WriteConfig, module_file, row_map::check_width,
};
use crate::{
    Feature, Features, NnError, Widths,
    arena::{self, Arena, Buffer},
    config::Object,
    features::FeatureGradients,
    pass::{Backward, Pass},
    weights::Builder,
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Pooling",
    family: "sentence_transformer",
    reads: &[Feature::Tokens],
    read,
};

/// Mode, its old key, its new name; in the order in which the old form concatenates.
const MODES: [(PoolMode, &str, &str); 6] = [
    (PoolMode::Cls, "pooling_mode_cls_token", "cls"),
    (PoolMode::Max, "pooling_mode_max_tokens", "max"),
    (PoolMode::Mean, "pooling_mode_mean_tokens", "mean"),
    (
        PoolMode::MeanSqrtLen,
        "pooling_mode_mean_sqrt_len_tokens",
        "mean_sqrt_len_tokens",
    ),
    (
        PoolMode::WeightedMean,
        "pooling_mode_weightedmean_tokens",
        "weightedmean",
    ),
    (PoolMode::LastToken, "pooling_mode_lasttoken", "lasttoken"),
];

/// The old form is written with mean before max, though it concatenates max before mean.
const WRITTEN_ORDER: [usize; 6] = [0, 2, 1, 3, 4, 5];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pooling {
    /// Concatenated in this order.
    modes: Vec<PoolMode>,
    /// Whether the tokens of a prompt count.
    include_prompt: bool,
    /// Width of a token row.
    dim: usize,
}

/// New name and old key of every mode, in the order in which the old form is written.
pub fn pooling_modes() -> impl Iterator<Item = (&'static str, &'static str)> {
    WRITTEN_ORDER.iter().map(|&i| (MODES[i].2, MODES[i].1))
}

/// Mean pooling behind these features.
pub(super) fn mean_over(before: Widths) -> Arc<dyn Module> {
    Arc::new(Pooling {
        modes: vec![PoolMode::Mean],
        include_prompt: true,
        dim: before.of(Feature::Tokens).unwrap_or(0),
    })
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let path = source.dir.join("config.json");
    let config = Object::read(&path)?;
    let mut known = vec![
        "word_embedding_dimension",
        "embedding_dimension",
        "pooling_mode",
        "include_prompt",
    ];
    known.extend(MODES.iter().map(|(_, old, _)| *old));
    config.deny_unknown(&known)?;
    let dim = source.before.of(Feature::Tokens).unwrap_or(0);
    check_widths(&config, dim)?;
    let mut modes = if config.get("pooling_mode").is_some() {
        new_modes(&config)?
    } else {
        old_modes(&config)?
    };
    if modes.is_empty() {
        source.notes.push(format!(
            "{} names no pooling mode: mean pooling",
            path.display()
        ));
        modes.push(PoolMode::Mean);
    }
    Ok(Arc::new(Pooling {
        modes,
        include_prompt: config.flag("include_prompt")?.unwrap_or(true),
        dim,
    }))
}

fn check_widths(config: &Object, dim: usize) -> Result<(), NnError> {
    for key in ["embedding_dimension", "word_embedding_dimension"] {
        if let Some(found) = config.count(key)? {
            check_width(config, key, found, dim)?;
        }
    }
    Ok(())
}

fn old_modes(config: &Object) -> Result<Vec<PoolMode>, NnError> {
    let mut modes = Vec::new();
    for (mode, key, _) in MODES {
        if config.flag(key)? == Some(true) {
            modes.push(mode);
        }
    }
    Ok(modes)
}

/// One name, or a list of names, concatenated in the order of the list.
fn new_modes(config: &Object) -> Result<Vec<PoolMode>, NnError> {
    let value = config.get("pooling_mode").unwrap_or(&Value::Null);
    let names = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    names
        .iter()
        .map(|name| named(name).ok_or_else(|| wrong_mode(config)))
        .collect()
}

fn named(name: &Value) -> Option<PoolMode> {
    let name = name.as_str()?;
    MODES
        .iter()
        .find(|(_, _, new)| *new == name)
        .map(|(mode, ..)| *mode)
}

fn wrong_mode(config: &Object) -> NnError {
    let names = MODES.map(|(_, _, new)| new).join(", ");
    config.wrong("pooling_mode", &format!("one or a list of {names}"))
}

impl Pooling {
    /// New names of the modes.
    fn names(&self) -> Vec<&'static str> {
        let name = |mode: &PoolMode| {
            let known = MODES.iter().find(|(known, ..)| known == mode);
            known.map(|(_, _, new)| *new)
        };
        self.modes.iter().filter_map(name).collect()
    }

    /// Whether the old form, which has an order of its own, can say these modes.
    fn is_in_old_order(&self) -> bool {
        let place = |mode: &PoolMode| MODES.iter().position(|(known, ..)| known == mode);
        self.modes
            .windows(2)
            .all(|pair| place(&pair[0]) < place(&pair[1]))
    }
}

impl Module for Pooling {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn summary(&self) -> String {
        let prompt = if self.include_prompt {
            ""
        } else {
            ", without the prompt"
        };
        format!("Pooling({}{prompt})", self.names().join(" + "))
    }

    fn widths(&self, before: Widths) -> Widths {
        // The backward needs the token rows, so no later module gets them.
        let sentence = before.without(Feature::Tokens);
        sentence.with(Feature::Sentence, self.modes.len() * self.dim)
    }

    fn skips_prompt(&self) -> bool {
        !self.include_prompt
    }

    /// The keys of one form, never of both. A concatenation that the old form cannot say is written in the new one in either
    /// layout, since old readers would silently put the parts into another order.
    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        let mut config = Map::new();
        if options.layout == FolderLayout::Old && self.is_in_old_order() {
            config.insert("word_embedding_dimension".into(), json!(self.dim));
            config.extend(WRITTEN_ORDER.map(|i| {
                let (mode, key, _) = MODES[i];
                (key.to_owned(), json!(self.modes.contains(&mode)))
            }));
        } else {
            let names = self.names();
            let value = match names[..] {
                [name] => json!(name),
                _ => json!(names),
            };
            config.insert("embedding_dimension".into(), json!(self.dim));
            config.insert("pooling_mode".into(), value);
        }
        config.insert("include_prompt".into(), json!(self.include_prompt));
        vec![module_file("config.json", config.into(), options.layout)]
    }

    fn digest_text(&self) -> String {
        let Self {
            modes,
            include_prompt,
            ..
        } = self;
        format!("Pooling {{ modes: {modes:?}, include_prompt: {include_prompt} }}")
    }

    fn build(&self, _: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        Ok(BuiltModule::new(self.clone()))
    }
}

impl ModuleLayer for Pooling {
    /// The token rows.
    type Kept = Buffer;

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<Buffer>) {
        let Some(tokens) = features.rows.take(Feature::Tokens) else {
            return (features, None);
        };
        let one = |mode: &PoolMode| {
            let mut y = pass.arena.zeros(pass.batch.texts(), self.dim);
            let skip = &pass.batch.skip;
            pass.ops
                .pool(y.view_mut(), tokens.view(), pass.spans(), skip, *mode);
            y
        };
        let parts = self.modes.iter().map(one).collect();
        features
            .rows
            .put(Feature::Sentence, side_by_side(pass.arena, parts));
        if keep {
            return (features, Some(tokens));
        }
        features.rows.put(Feature::Tokens, tokens);
        (features, None)
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        tokens: Buffer,
        mut d: FeatureGradients,
    ) -> FeatureGradients {
        let Some(d_sentence) = d.rows.take(Feature::Sentence) else {
            return d;
        };
        let mut d_tokens = cx.pass.arena.zeros(tokens.rows(), self.dim);
        for (i, &mode) in self.modes.iter().enumerate() {
            let dy = columns(d_sentence.view(), i * self.dim, self.dim);
            cx.pass.ops.pool_bwd(
                d_tokens.view_mut(),
                dy.view(),
                tokens.view(),
                cx.pass.spans(),
                &cx.pass.batch.skip,
                mode,
            );
        }
        d.rows.put(Feature::Tokens, d_tokens);
        d
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        arena::bytes(size.tokens, &[self.dim])
    }
}

/// Columns `start..start + width`.
fn columns(x: MatRef<'_>, start: usize, width: usize) -> Mat {
    x.col_range(start, start + width).to_mat()
}

/// Matrices of as many rows, next to each other.
fn side_by_side(arena: &Arena, mut parts: Vec<Buffer>) -> Buffer {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let cols: Vec<usize> = parts.iter().map(Buffer::cols).collect();
    let mut all = arena.take(parts[0].rows(), cols.iter().sum());
    let width = all.cols().max(1);
    for (row, values) in all.data_mut().chunks_exact_mut(width).enumerate() {
        let mut start = 0;
        for (part, cols) in parts.iter().zip(&cols) {
            values[start..start + cols].copy_from_slice(part.view().row(row));
            start += cols;
        }
    }
    all
}
