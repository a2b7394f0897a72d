//! Builds the parameters of an encoder's layers: from a place in the encoder to tensors of the checkpoint.

use std::sync::Arc;

use matryo_ops::AttentionShape;

use crate::{
    Checkpoint, Family, NnError,
    families::{Axis, ParamId},
    layers::{linear::Linear, norm::Norm, relative::Relative, rotary::Rotary},
    spec::{ConvolutionSpec, NormSpec, RelativeSpec, RotarySpec},
    weights::{Builder, Decay, Extent, ParamName, ParamSpec, TableParam},
};

/// Scale and shift of a normalisation, and what TensorFlow checkpoints called them.
const SCALE: [&str; 2] = ["weight", "gamma"];
const SHIFT: [&str; 2] = ["bias", "beta"];

/// A [`Builder`] that knows how a family names its tensors.
pub(crate) struct EncoderBuilder<'a, 'b> {
    builder: &'b mut Builder<'a>,
    family: &'static Family,
    /// The family's prefix if the checkpoint has it, else empty.
    prefix: &'static str,
    /// Rotations built so far; blocks that rotate alike share one.
    rotaries: Vec<Arc<Rotary>>,
}

/// Shape of a linear layer.
pub(crate) struct LinearShape {
    pub(crate) out: (Axis, usize),
    pub(crate) input: (Axis, usize),
    pub(crate) bias: bool,
}

impl<'a, 'b> EncoderBuilder<'a, 'b> {
    /// Fails if the checkpoint's tensors have a prefix that the family does not know.
    pub(crate) fn new(
        builder: &'b mut Builder<'a>,
        family: &'static Family,
    ) -> Result<Self, NnError> {
        let words = format!("{}.weight", (family.tensors)(ParamId::Words)[0]);
        let prefix = prefix(builder.checkpoint(), family, &words)?;
        Ok(Self {
            builder,
            family,
            prefix,
            rotaries: Vec::new(),
        })
    }

    /// The rotation of a block: its angles, up to 2 MiB for 8,192 places, are held once.
    pub(crate) fn rotary(&mut self, spec: RotarySpec, shape: AttentionShape) -> Arc<Rotary> {
        let known = self.rotaries.iter().find(|rotary| rotary.is(spec, shape));
        if let Some(rotary) = known {
            return rotary.clone();
        }
        let rotary = Arc::new(Rotary::new(spec, shape));
        self.rotaries.push(rotary.clone());
        rotary
    }

    /// The bias by distance, the same for every block.
    pub(crate) fn relative(
        &mut self,
        spec: RelativeSpec,
        shape: AttentionShape,
    ) -> Result<Relative, NnError> {
        let heads = Extent {
            len: shape.heads,
            axis: None,
        };
        let table = self.builder.vector(&ParamSpec {
            names: self.names(ParamId::RelativeBias, &["weight"]),
            shape: vec![self.extent((Axis::Distances, spec.rows)), heads],
            // Upstream tells by its name, `relative_attention_bias`.
            decay: Decay::No,
        })?;
        Ok(Relative {
            table,
            heads: shape.heads,
            spec,
        })
    }

    /// The builder of all modules.
    pub(crate) fn inner(&self) -> &Builder<'a> {
        self.builder
    }

    /// A table of `rows` rows. If it is `tied`, it may stand under the names of what is tied to it, and be frozen by them.
    pub(crate) fn table(
        &mut self,
        id: ParamId,
        rows: (Axis, usize),
        cols: (Axis, usize),
        tied: bool,
    ) -> Result<TableParam, NnError> {
        let mut names = self.names(id, &["weight"]);
        if tied {
            let module = self.builder.module_name();
            let tied = self.family.tied_words.iter();
            for name in tied.map(|name| (*name).to_owned()) {
                names[0].upstream.push(upstream(module, &name));
                names[0].stored.push(name.clone());
                names[0].known_as.push(name);
            }
        }
        let shape = vec![self.extent(rows), self.extent(cols)];
        self.builder.table(&ParamSpec {
            names,
            shape,
            decay: Decay::Yes,
        })
    }

    /// A linear layer; its output rows are those of all the tensors that the family names for it.
    pub(crate) fn linear(&mut self, id: ParamId, shape: LinearShape) -> Result<Linear, NnError> {
        self.stacked(&[id], shape)
    }

    /// A linear layer whose output rows are those of several parameters, one after the other.
    pub(crate) fn stacked(
        &mut self,
        ids: &[ParamId],
        shape: LinearShape,
    ) -> Result<Linear, NnError> {
        let tensors: usize = ids
            .iter()
            .map(|id| self.names(*id, &["weight"]).len())
            .sum();
        assert!(tensors > 0, "the family names no tensor for {ids:?}");
        let (axis, rows) = shape.out;
        let out = (axis, rows / tensors);
        let inner = [self.extent(shape.input)];
        self.product(ids, self.extent(out), &inner, shape.bias)
    }

    /// A convolution beside a block and the normalisation behind it.
    pub(crate) fn convolution(
        &mut self,
        weights: usize,
        spec: ConvolutionSpec,
        dim: usize,
    ) -> Result<(Linear, Norm), NnError> {
        let width = (Axis::Dim, dim);
        let of_group = Extent {
            len: dim / spec.groups,
            axis: None,
        };
        let inner = [of_group, self.extent((Axis::Taps, spec.taps))];
        let ids = [ParamId::Convolution(weights)];
        let linear = self.product(&ids, self.extent(width), &inner, true)?;
        let id = ParamId::ConvolutionNorm(weights);
        let norm = self.vectors_of_norm(id, spec.norm, width)?;
        Ok((linear, norm))
    }

    /// A weight of `out` rows for each tensor, whose values have the axes `inner`, and a bias if it has one.
    fn product(
        &mut self,
        ids: &[ParamId],
        out: Extent,
        inner: &[Extent],
        bias: bool,
    ) -> Result<Linear, NnError> {
        let names = |suffix| {
            let of_id = |id: &ParamId| self.names(*id, &[suffix]);
            ids.iter().flat_map(of_id).collect()
        };
        let (weights, biases) = (names("weight"), names("bias"));
        let weight = self.builder.product(&ParamSpec {
            names: weights,
            shape: [&[out], inner].concat(),
            decay: Decay::Yes,
        })?;
        let bias = if bias {
            Some(self.builder.vector(&ParamSpec {
                names: biases,
                shape: vec![out],
                decay: Decay::No,
            })?)
        } else {
            None
        };
        Ok(Linear { weight, bias })
    }

    /// A normalisation of rows of the given width.
    pub(crate) fn norm(
        &mut self,
        id: ParamId,
        spec: Option<NormSpec>,
        width: (Axis, usize),
    ) -> Result<Option<Norm>, NnError> {
        spec.map(|spec| self.vectors_of_norm(id, spec, width))
            .transpose()
    }

    fn vectors_of_norm(
        &mut self,
        id: ParamId,
        spec: NormSpec,
        width: (Axis, usize),
    ) -> Result<Norm, NnError> {
        let shape = [self.extent(width)];
        let mut vector = |suffixes: &[&str]| {
            let names = self.names(id, suffixes);
            self.builder.vector(&ParamSpec {
                names,
                shape: shape.to_vec(),
                decay: Decay::No,
            })
        };
        Ok(Norm {
            gamma: vector(&SCALE)?,
            beta: if spec.bias {
                Some(vector(&SHIFT)?)
            } else {
                None
            },
            eps: spec.eps,
            centred: spec.centred,
        })
    }

    /// Names of a part of a parameter; `suffixes` are its possible last parts, today's first.
    fn names(&self, id: ParamId, suffixes: &[&str]) -> Vec<ParamName> {
        let (current, place) = (suffixes[0], self.builder.encoder_name());
        let name = |base: String| ParamName {
            known_as: vec![format!("{place}{base}.{current}")],
            upstream: vec![upstream(
                self.builder.module_name(),
                &format!("{base}.{current}"),
            )],
            stored: suffixes
                .iter()
                .map(|suffix| format!("{}{base}.{suffix}", self.prefix))
                .collect(),
        };
        (self.family.tensors)(id).into_iter().map(name).collect()
    }

    fn extent(&self, (axis, len): (Axis, usize)) -> Extent {
        Extent {
            len,
            axis: Some((axis, (self.family.key)(axis))),
        }
    }
}

/// Name of an encoder's parameter in the model of sentence-transformers, whose Transformer holds the encoder as `model`.
fn upstream(module: &str, name: &str) -> String {
    format!("{module}.model.{name}")
}

/// The prefix of a checkpoint's tensors: none, or the family's. A checkpoint that ties its word table to an output layer may
/// have the table under the latter's name alone.
fn prefix(checkpoint: &Checkpoint, family: &Family, words: &str) -> Result<&'static str, NnError> {
    let prefixed = format!("{}{words}", family.prefix);
    if !family.prefix.is_empty() && checkpoint.has(&prefixed) && checkpoint.has(words) {
        return Err(NnError::TensorTwice {
            path: checkpoint.path().to_owned(),
            names: [words.to_owned(), prefixed],
        });
    }
    if checkpoint.has(&prefixed) {
        return Ok(family.prefix);
    }
    if checkpoint.has(words) {
        return Ok("");
    }
    if let Some(found) = foreign_prefix(checkpoint, family, words) {
        return Err(NnError::TensorPrefix {
            path: checkpoint.path().to_owned(),
            found,
            expected: match family.prefix {
                "" => "none".to_owned(),
                prefix => format!("none or `{prefix}`"),
            },
        });
    }
    let names = checkpoint.names();
    let is_prefixed = names.iter().any(|name| name.starts_with(family.prefix));
    Ok(if is_prefixed { family.prefix } else { "" })
}

/// What stands before the word table's name, or before one that is tied to it, and ends in a dot.
fn foreign_prefix(checkpoint: &Checkpoint, family: &Family, words: &str) -> Option<String> {
    let names = checkpoint.names();
    let before = |known: &str| {
        let prefixes = names.iter().filter_map(|name| name.strip_suffix(known));
        prefixes.into_iter().find(|prefix| prefix.ends_with('.'))
    };
    let known = [words].into_iter().chain(family.tied_words.iter().copied());
    known.into_iter().find_map(before).map(str::to_owned)
}
