//! Lays out the parameters of a network: which tensors it has, where they are stored, and what each is used for.

use super::{
    ProductParam, TableParam, VectorParam,
    freeze::Freeze,
    layout::{Layout, Tensor},
};
use crate::{Checkpoint, NnError, families::Axis};

/// A length of a tensor, and what in the configuration says it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) len: usize,
    /// `None` for a length that no key of config.json states.
    pub(crate) axis: Option<(Axis, &'static str)>,
}

/// Name of one stored tensor.
#[derive(Clone, Debug)]
pub(crate) struct ParamName {
    /// Its names in freeze patterns, the usual one first.
    pub(crate) known_as: Vec<String>,
    /// See [`Entry::upstream`](super::Entry::upstream).
    pub(crate) upstream: Vec<String>,
    /// Its possible names in the checkpoint. The first one that is there counts; if none is, the first is reported missing.
    pub(crate) stored: Vec<String>,
}

/// Whether weight decay applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decay {
    Yes,
    No,
}

/// One parameter as a layer sees it, which a checkpoint may hold in several tensors of one shape, stacked.
pub(crate) struct ParamSpec {
    pub(crate) names: Vec<ParamName>,
    /// Shape of each of the tensors.
    pub(crate) shape: Vec<Extent>,
    pub(crate) decay: Decay,
}

/// The module that is being built.
#[derive(Default)]
pub(crate) struct ModuleContext<'a> {
    pub(crate) index: usize,
    /// What stands before the names of its parameters in freeze patterns.
    pub(crate) known_as: String,
    /// Whether it belongs to one of several routes.
    pub(crate) is_routed: bool,
    /// Its weights, if it has some.
    pub(crate) checkpoint: Option<&'a Checkpoint>,
    /// Index of the first of its hidden states that later modules read.
    pub(crate) states_from: Option<usize>,
}

/// What the layers of a network are built with. Each module opens with `Builder::module`.
pub struct Builder<'a> {
    freeze: Freeze,
    layout: Layout,
    context: ModuleContext<'a>,
    products: Vec<Tensor>,
    vectors: Vec<Tensor>,
    tables: Vec<Tensor>,
}

/// Everything a network's weights are read by.
pub(crate) struct Plan {
    pub(crate) layout: Layout,
    pub(crate) products: Vec<Tensor>,
    pub(crate) vectors: Vec<Tensor>,
    pub(crate) tables: Vec<Tensor>,
}

impl<'a> Builder<'a> {
    /// A builder of an empty network; parameters whose name matches one of the patterns `frozen` get no gradient.
    pub(crate) fn new(frozen: &[String]) -> Self {
        Self {
            freeze: Freeze::new(frozen),
            layout: Layout::default(),
            context: ModuleContext::default(),
            products: Vec::new(),
            vectors: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// From now on parameters belong to this module.
    pub(crate) fn module(&mut self, context: ModuleContext<'a>) {
        self.context = context;
    }

    /// Index of the present module.
    pub(crate) fn module_index(&self) -> usize {
        self.context.index
    }

    /// What stands before the names of the present module's parameters in freeze patterns: `2`.
    pub(crate) fn module_name(&self) -> &str {
        &self.context.known_as
    }

    /// What stands before the names of an encoder's parameters: nothing, except where each route has an encoder of its own.
    pub(crate) fn encoder_name(&self) -> String {
        if self.context.is_routed {
            format!("{}.", self.context.known_as)
        } else {
            String::new()
        }
    }

    /// Index of the first hidden state of the present module that later modules read.
    pub(crate) fn states_from(&self) -> Option<usize> {
        self.context.states_from
    }

    /// The present module's weights. Panics if it has none: a module asks only for what it has.
    pub(crate) fn checkpoint(&self) -> &'a Checkpoint {
        self.context.checkpoint.expect("a module with weights")
    }

    /// What was laid out so far.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Adds the weight of a linear layer.
    pub(crate) fn product(&mut self, spec: &ParamSpec) -> Result<ProductParam, NnError> {
        let tensor = self.tensor(spec)?;
        let index = place(&mut self.products, tensor);
        Ok(ProductParam { tensor, index })
    }

    /// Adds a vector.
    pub(crate) fn vector(&mut self, spec: &ParamSpec) -> Result<VectorParam, NnError> {
        let tensor = self.tensor(spec)?;
        let index = place(&mut self.vectors, tensor);
        Ok(VectorParam { tensor, index })
    }

    /// Adds a table. That of the words comes first, see [`Trainable`](super::Trainable).
    pub(crate) fn table(&mut self, spec: &ParamSpec) -> Result<TableParam, NnError> {
        assert_eq!(spec.names.len(), 1, "a table is one tensor");
        let tensor = self.tensor(spec)?;
        let index = place(&mut self.tables, tensor);
        Ok(TableParam { tensor, index })
    }

    /// Ends the building. Fails if a freeze pattern has matched nothing.
    pub(crate) fn finish(self) -> Result<Plan, NnError> {
        self.freeze.check()?;
        Ok(Plan {
            layout: self.layout,
            products: self.products,
            vectors: self.vectors,
            tables: self.tables,
        })
    }

    fn tensor(&mut self, spec: &ParamSpec) -> Result<Tensor, NnError> {
        assert!(!spec.names.is_empty(), "the family names no tensor for it");
        let shape: Vec<usize> = spec.shape.iter().map(|extent| extent.len).collect();
        let count = spec.names.len();
        let stored: Vec<String> = spec
            .names
            .iter()
            .map(|name| self.stored_name(name))
            .collect::<Result<_, _>>()?;
        // Blocks that share their parameters ask for them again.
        let known = self.layout.find(self.context.index, &stored[0]);
        let first = known.unwrap_or(self.layout.entries.len());
        let new = if known.is_some() { 0 } else { count };
        for (name, stored) in spec.names.iter().zip(stored).take(new) {
            self.check_shape(&stored, spec)?;
            // Each name is looked at, so that every pattern is found to match something.
            let covers = name.known_as.iter().map(|name| self.freeze.covers(name));
            let trainable = !covers.fold(false, |any, covered| any | covered);
            let decay = spec.decay == Decay::Yes;
            let entry = self
                .layout
                .push(self.context.index, &stored, &shape, trainable, decay);
            self.layout.entries[entry].tied = self.tied(name, &stored, &shape);
            self.layout.entries[entry].upstream = name.upstream.clone();
        }
        let (rows, cols) = match &shape[..] {
            [len] => (1, count * len),
            // The axes behind the first are one, as they lie.
            axes => (count * axes[0], axes[1..].iter().product()),
        };
        Ok(Tensor {
            first,
            count,
            rows,
            cols,
        })
    }

    /// The name in the checkpoint. That it is there is checked before anything is allocated for it.
    fn stored_name(&self, name: &ParamName) -> Result<String, NnError> {
        let checkpoint = self.checkpoint();
        let found = name.stored.iter().find(|stored| checkpoint.has(stored));
        found
            .cloned()
            .ok_or_else(|| checkpoint.missing(&name.stored[0]))
    }

    /// The other names under which the checkpoint holds a tensor of this shape.
    fn tied(&self, name: &ParamName, stored: &str, shape: &[usize]) -> Vec<String> {
        let others = name.stored.iter().filter(|other| *other != stored);
        let same_shape = |other: &&String| self.checkpoint().shape(other) == Some(shape);
        others.filter(same_shape).cloned().collect()
    }

    /// Fails on another shape, naming the key of config.json that disagrees if one does.
    fn check_shape(&self, name: &str, spec: &ParamSpec) -> Result<(), NnError> {
        let checkpoint = self.checkpoint();
        let expected: Vec<usize> = spec.shape.iter().map(|extent| extent.len).collect();
        let found = checkpoint.shape(name).unwrap_or_default();
        if found == expected {
            return Ok(());
        }
        let differs = |i: &usize| found.get(*i) != expected.get(*i);
        let extent = spec.shape[(0..expected.len()).find(differs).unwrap_or(0)];
        let (path, name, found) = (
            checkpoint.path().to_owned(),
            name.to_owned(),
            found.to_vec(),
        );
        Err(match extent.axis {
            Some((_, key)) => NnError::WeightShape {
                path,
                name,
                found,
                expected,
                key,
                value: extent.len,
            },
            None => NnError::TensorShape {
                path,
                name,
                found,
                expected,
            },
        })
    }
}

/// The place of `tensor` in a list of its kind; at its end if it is new.
fn place(known: &mut Vec<Tensor>, tensor: Tensor) -> usize {
    let found = known.iter().position(|other| *other == tensor);
    found.unwrap_or_else(|| {
        known.push(tensor);
        known.len() - 1
    })
}
