//! Modules that map each row of a feature on its own, such as Dense, LayerNorm, Dropout and Normalize: they read one feature and
//! write the same or another. What they share is here: which features, widths, and where gradients go.

use super::{BatchSize, ModuleLayer};
use crate::{
    Feature, Features, NnError, Widths,
    arena::{self, Buffer},
    config::Object,
    features::FeatureGradients,
    pass::{Backward, Pass},
};

/// The arithmetic of such a module: `n` rows in, `n` rows out.
pub(super) trait RowMap: Send + Sync + 'static {
    /// What the backward needs.
    type Kept: Send + 'static;

    /// Maps the rows. With `keep`, the second value is there.
    fn forward(&self, pass: &Pass<'_>, x: Buffer, keep: bool) -> (Buffer, Option<Self::Kept>);

    /// Gradient of the input, given that of the output; gradients of parameters are added up.
    fn backward(&self, cx: &mut Backward<'_>, kept: Self::Kept, dy: Buffer) -> Buffer;

    /// Floats of `Kept` for each row.
    fn kept_width(&self) -> usize;
}

/// The feature that is read and the feature that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowEnds {
    pub(super) input: Feature,
    pub(super) output: Feature,
}

/// Keys of the features in a module's configuration.
pub(super) const END_KEYS: [&str; 2] = ["module_input_name", "module_output_name"];

impl RowEnds {
    /// Sentence embeddings, written over.
    pub(super) const SENTENCE: Self = Self {
        input: Feature::Sentence,
        output: Feature::Sentence,
    };

    /// Reads the features that a configuration names as input and output. Upstream's default is to read sentence embeddings and to write what is read.
    ///
    /// # Errors
    /// A feature that no module writes, and one row per token where there should be one row per text, or the other way round.
    pub(super) fn read(config: &Object) -> Result<Self, NnError> {
        let [input_key, output_key] = END_KEYS;
        let input = named(config, input_key, &Feature::ALL)?.unwrap_or(Feature::Sentence);
        let alike: Vec<Feature> = Feature::ALL
            .into_iter()
            .filter(|feature| feature.is_per_token() == input.is_per_token())
            .collect();
        let output = named(config, output_key, &alike)?.unwrap_or(input);
        Ok(Self { input, output })
    }

    /// Keys and values that name these features.
    pub(super) fn written(self) -> [(&'static str, &'static str); 2] {
        [
            (END_KEYS[0], self.input.name()),
            (END_KEYS[1], self.output.name()),
        ]
    }

    /// Whether the input stays what it is.
    pub(super) fn keeps_input(self) -> bool {
        self.input != self.output
    }

    /// The features in words, behind the name of a module; nothing for sentence embeddings that are written over.
    pub(super) fn summary(self) -> String {
        match (self == Self::SENTENCE, self.keeps_input()) {
            (true, _) => String::new(),
            (_, false) => format!(", {}", self.input.name()),
            (_, true) => format!(", {} to {}", self.input.name(), self.output.name()),
        }
    }

    /// Width of the input.
    ///
    /// # Errors
    /// No module before has written it.
    pub(super) fn input_width(self, config: &Object, before: Widths) -> Result<usize, NnError> {
        before.of(self.input).ok_or_else(|| {
            let written = Feature::ALL.into_iter().filter(|f| before.of(*f).is_some());
            let names: Vec<String> = written.map(|f| format!("\"{}\"", f.name())).collect();
            let expected = format!("{}, which a module before writes", names.join(" or "));
            config.wrong(END_KEYS[0], &expected)
        })
    }
}

/// The feature that a key names.
fn named(config: &Object, key: &str, possible: &[Feature]) -> Result<Option<Feature>, NnError> {
    let Some(name) = config.text(key)? else {
        return Ok(None);
    };
    let feature = Feature::named(name).filter(|feature| possible.contains(feature));
    let names: Vec<String> = possible
        .iter()
        .map(|feature| format!("\"{}\"", feature.name()))
        .collect();
    match feature {
        Some(feature) => Ok(Some(feature)),
        None => Err(config.wrong(key, &names.join(" or "))),
    }
}

/// Fails unless `found`, which a configuration states, is the width of what the module before gives.
pub(super) fn check_width(
    config: &Object,
    key: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), NnError> {
    if found == expected {
        return Ok(());
    }
    Err(NnError::WidthMismatch {
        path: config.path().to_owned(),
        key,
        found,
        origin: "the module before".into(),
        expected,
    })
}

/// A [`RowMap`] between the features that it reads and writes.
pub(super) struct Mapped<M> {
    pub(super) ends: RowEnds,
    pub(super) map: M,
}

impl<M: RowMap> ModuleLayer for Mapped<M> {
    type Kept = M::Kept;

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<M::Kept>) {
        let RowEnds { input, output } = self.ends;
        let Some(x) = features.rows.take(input) else {
            return (features, None);
        };
        if self.ends.keeps_input() {
            features.rows.put(input, pass.arena.copy(&x));
        }
        let (y, kept) = self.map.forward(pass, x, keep);
        features.rows.put(output, y);
        (features, kept)
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: M::Kept,
        mut d: FeatureGradients,
    ) -> FeatureGradients {
        let RowEnds { input, output } = self.ends;
        let Some(dy) = d.rows.take(output) else {
            return d;
        };
        let mut dx = self.map.backward(cx, kept, dy);
        // An input that stays has a gradient of its own.
        if let Some(own) = d.rows.take(input) {
            cx.pass.ops.add(dx.view_mut(), own.view());
        }
        d.rows.put(input, dx);
        d
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        arena::bytes(size.rows(self.ends.input), &[self.map.kept_width()])
    }
}
