//! Dense: a linear layer with an activation on sentence or token embeddings, to which the input or a linear layer of it may be added.
//! It writes the embedding anew, or another feature, such as scores, apart from it.
//!
//! Its backward needs its input and the values before the activation.

use std::sync::Arc;

use matryo_ops::{Activation, Epilogue, MatRef};
use serde_json::json;

use super::{
    BuiltModule, ConfigFile, FolderLayout, Module, ModuleClass, ModuleSource, WriteConfig,
    module_file, parameter,
    row_map::{END_KEYS, Mapped, RowEnds, RowMap, check_width},
};
use crate::{
    Feature, NnError, Widths,
    arena::Buffer,
    config::Object,
    layers::linear::Linear,
    pass::{Backward, Pass},
    weights::{Builder, Decay},
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Dense",
    family: "base",
    reads: &Feature::ALL,
    read,
};

/// torch's classes, as this module writes them, by the last part of their path.
const ACTIVATIONS: [(&str, Option<Activation>); 6] = [
    ("Tanh", Some(Activation::Tanh)),
    ("GELU", Some(Activation::Gelu)),
    ("ReLU", Some(Activation::Relu)),
    ("SiLU", Some(Activation::Silu)),
    ("Sigmoid", Some(Activation::Sigmoid)),
    ("Identity", None),
];

#[derive(Clone, Debug, PartialEq)]
struct Dense {
    in_features: usize,
    out_features: usize,
    bias: bool,
    activation: Option<Activation>,
    ends: RowEnds,
    /// Whether the input, or a linear layer of it, is added.
    residual: bool,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let config = Object::read(&source.dir.join("config.json"))?;
    let mut known = vec![
        "in_features",
        "out_features",
        "bias",
        "activation_function",
        "use_residual",
    ];
    known.extend(END_KEYS);
    config.deny_unknown(&known)?;
    let ends = RowEnds::read(&config)?;
    let in_features = config.positive("in_features")?;
    let width = ends.input_width(&config, source.before)?;
    check_width(&config, "in_features", in_features, width)?;
    Ok(Arc::new(Dense {
        in_features,
        out_features: config.positive("out_features")?,
        bias: config.flag("bias")?.unwrap_or(true),
        activation: activation(&config)?,
        ends,
        residual: config.flag("use_residual")?.unwrap_or(false),
    }))
}

/// `torch.nn.modules.activation.Tanh`, or the short `torch.nn.Tanh`; upstream's default is Tanh.
fn activation(config: &Object) -> Result<Option<Activation>, NnError> {
    let Some(class) = config.text("activation_function")? else {
        return Ok(Some(Activation::Tanh));
    };
    let name = [
        "torch.nn.modules.activation.",
        "torch.nn.modules.linear.",
        "torch.nn.",
    ]
    .iter()
    .find_map(|prefix| class.strip_prefix(prefix));
    let known = ACTIVATIONS.iter().find(|(known, _)| Some(*known) == name);
    let names = ACTIVATIONS.map(|(name, _)| name).join(", ");
    known
        .map(|(_, activation)| *activation)
        .ok_or_else(|| config.wrong("activation_function", &format!("one of torch's {names}")))
}

/// The class path that is written for an activation.
fn activation_class(activation: Option<Activation>) -> String {
    // GELU's tanh form has no class of its own in torch, and is never read.
    let name = ACTIVATIONS
        .iter()
        .find(|(_, known)| *known == activation)
        .map_or("GELU", |(name, _)| name);
    let module = if activation.is_some() {
        "activation"
    } else {
        "linear"
    };
    format!("torch.nn.modules.{module}.{name}")
}

impl Module for Dense {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn summary(&self) -> String {
        let ends = self.ends.summary();
        format!("Dense({} to {}{ends})", self.in_features, self.out_features)
    }

    fn widths(&self, before: Widths) -> Widths {
        before.with(self.ends.output, self.out_features)
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        let mut value = json!({
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias,
            "activation_function": activation_class(self.activation),
        });
        // The old layout cannot name features, but a reader that knows them finds them there too.
        if options.layout == FolderLayout::New || self.ends != RowEnds::SENTENCE {
            for (key, name) in self.ends.written() {
                value[key] = json!(name);
            }
        }
        // Earlier versions know no such key.
        if self.residual {
            value["use_residual"] = json!(true);
        }
        vec![module_file("config.json", value, options.layout)]
    }

    /// Features other than sentence embeddings, which the weights do not show.
    fn digest_text(&self) -> String {
        self.ends.summary()
    }

    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        let shape = [self.out_features, self.in_features];
        let weight = |builder: &mut Builder<'_>, name| {
            let spec = parameter(builder, name, &shape, Decay::Yes);
            builder.product(&spec)
        };
        let linear = Linear {
            weight: weight(builder, "linear.weight")?,
            bias: if self.bias {
                let spec = parameter(builder, "linear.bias", &shape[..1], Decay::No);
                Some(builder.vector(&spec)?)
            } else {
                None
            },
        };
        let residual = match self.residual {
            true if self.in_features == self.out_features => Residual::Input,
            true => Residual::Linear(Linear {
                weight: weight(builder, "residual.weight")?,
                bias: None,
            }),
            false => Residual::None,
        };
        Ok(BuiltModule::new(Mapped {
            ends: self.ends,
            map: DenseLayer {
                linear,
                residual,
                config: self.clone(),
            },
        }))
    }
}

/// What is added to the activated output.
enum Residual {
    None,
    /// The input, which is as wide.
    Input,
    /// A linear layer of the input.
    Linear(Linear),
}

struct DenseLayer {
    linear: Linear,
    residual: Residual,
    config: Dense,
}

impl RowMap for DenseLayer {
    /// Input, and the values before the activation if there is one.
    type Kept = (Buffer, Option<Buffer>);

    fn forward(&self, pass: &Pass<'_>, x: Buffer, keep: bool) -> (Buffer, Option<Self::Kept>) {
        let activation = self.config.activation;
        let mut pre = activation
            .filter(|_| keep)
            .map(|_| pass.arena.take(x.rows(), self.config.out_features));
        let epilogue = Epilogue {
            activation,
            pre_activation: pre.as_mut().map(Buffer::view_mut),
            ..Epilogue::default()
        };
        let mut y = self.linear.forward(pass, &x, epilogue);
        match &self.residual {
            Residual::None => {}
            Residual::Input => pass.ops.add(y.view_mut(), x.view()),
            Residual::Linear(linear) => {
                let residual = linear.forward(pass, &x, Epilogue::default());
                pass.ops.add(y.view_mut(), residual.view());
            }
        }
        (y, keep.then_some((x, pre)))
    }

    fn backward(&self, cx: &mut Backward<'_>, (x, pre): Self::Kept, mut dy: Buffer) -> Buffer {
        let of_residual = self.residual_backward(cx, &dy, &x);
        if let (Some(activation), Some(pre)) = (self.config.activation, pre) {
            let ops = cx.pass.ops;
            ops.activation_bwd(dy.view_mut(), pre.view(), activation);
        }
        let mut dx = input_gradient(cx, &self.linear, dy.view(), &x);
        if let Some(of_residual) = of_residual {
            cx.pass.ops.add(dx.view_mut(), of_residual.view());
        }
        dx
    }

    fn kept_width(&self) -> usize {
        let before = self
            .config
            .activation
            .map_or(0, |_| self.config.out_features);
        self.config.in_features + before
    }
}

impl DenseLayer {
    /// The gradient that reaches the input by the residual, if there is one, given that of the output.
    fn residual_backward(&self, cx: &mut Backward<'_>, dy: &Buffer, x: &Buffer) -> Option<Buffer> {
        match &self.residual {
            Residual::None => None,
            Residual::Input => Some(cx.pass.arena.copy(dy)),
            Residual::Linear(linear) => Some(input_gradient(cx, linear, dy.view(), x)),
        }
    }
}

/// Backward of a linear layer: the gradient of its input `x`.
fn input_gradient(cx: &mut Backward<'_>, linear: &Linear, dy: MatRef<'_>, x: &Buffer) -> Buffer {
    let mut dx = cx.pass.arena.take(x.rows(), x.cols());
    linear.backward(cx, Some(dx.view_mut().into()), dy, x.view());
    dx
}
