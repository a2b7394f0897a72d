//! Dense: a linear layer with an activation on sentence embeddings, to which the input or a linear layer of it may be added. It writes
//! the embedding anew, or scores apart from it.
//!
//! Its backward needs its input and the values before the activation.

use std::sync::Arc;

use matryo_ops::{Activation, Epilogue, Mat};
use serde_json::json;

use super::{
    BatchSize, BuiltModule, ConfigFile, FolderLayout, Module, ModuleClass, ModuleLayer,
    ModuleSource, WriteConfig, parameter,
};
use crate::{
    Feature, Features, NnError, Widths,
    config::Object,
    features::FeatureGradients,
    layers::linear::Linear,
    pass::{Backward, Pass},
    weights::{Builder, Decay},
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Dense",
    family: "base",
    reads: Some(Feature::Sentence),
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
    input: Feature,
    output: Feature,
    /// Whether the input, or a linear layer of it, is added.
    residual: bool,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let path = source.dir.join("config.json");
    let config = Object::read(&path)?;
    config.deny_unknown(&[
        "in_features",
        "out_features",
        "bias",
        "activation_function",
        "module_input_name",
        "module_output_name",
        "use_residual",
    ])?;
    let input = feature(&config, "module_input_name", &[Feature::Sentence])?;
    let output = feature(
        &config,
        "module_output_name",
        &[Feature::Sentence, Feature::Logits],
    )?;
    let in_features = config.positive("in_features")?;
    match source.before.of(input) {
        Some(width) if width == in_features => {}
        width => {
            return Err(NnError::WidthMismatch {
                path,
                key: "in_features",
                found: in_features,
                origin: "the module before".into(),
                expected: width.unwrap_or(0),
            });
        }
    }
    Ok(Arc::new(Dense {
        in_features,
        out_features: config.positive("out_features")?,
        bias: config.flag("bias")?.unwrap_or(true),
        activation: activation(&config)?,
        input,
        output,
        residual: config.flag("use_residual")?.unwrap_or(false),
    }))
}

/// The feature that a key names; the first of `possible` without it.
fn feature(config: &Object, key: &str, possible: &[Feature]) -> Result<Feature, NnError> {
    let Some(name) = config.text(key)? else {
        return Ok(possible[0]);
    };
    let names: Vec<String> = possible
        .iter()
        .map(|feature| format!("\"{}\"", feature.name()))
        .collect();
    Feature::named(name)
        .filter(|feature| possible.contains(feature))
        .ok_or_else(|| config.wrong(key, &names.join(" or ")))
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
        format!("Dense({} to {})", self.in_features, self.out_features)
    }

    fn widths(&self, before: Widths) -> Widths {
        before.with(self.output, self.out_features)
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
        if options.layout == FolderLayout::New || self.output != Feature::Sentence {
            value["module_input_name"] = json!(self.input.name());
            value["module_output_name"] = json!(self.output.name());
        }
        // Earlier versions know no such key.
        if self.residual {
            value["use_residual"] = json!(true);
        }
        vec![super::module_file("config.json", value, options.layout)]
    }

    fn digest_text(&self) -> String {
        String::new()
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
        Ok(BuiltModule::new(DenseLayer {
            linear,
            residual,
            config: self.clone(),
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

impl ModuleLayer for DenseLayer {
    /// Input, and the values before the activation.
    type Kept = (Mat, Mat);

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<Self::Kept>) {
        let Some(x) = features.sentence.take() else {
            return (features, None);
        };
        let (n, out) = (x.rows(), self.config.out_features);
        let (mut y, mut pre) = (Mat::zeros(n, out), Mat::zeros(n, out));
        let activation = self.config.activation;
        let epilogue = Epilogue {
            activation,
            pre_activation: activation.map(|_| pre.view_mut()),
            ..Epilogue::default()
        };
        self.linear
            .forward_into(pass, y.view_mut(), x.view(), epilogue);
        match &self.residual {
            Residual::None => {}
            Residual::Input => pass.ops.add(y.view_mut(), x.view()),
            Residual::Linear(linear) => {
                let mut residual = Mat::zeros(n, out);
                linear.forward_into(pass, residual.view_mut(), x.view(), Epilogue::default());
                pass.ops.add(y.view_mut(), residual.view());
            }
        }
        if self.config.output == Feature::Logits {
            features.logits = Some(y);
            features.sentence = Some(x.clone());
        } else {
            features.sentence = Some(y);
        }
        (features, keep.then_some((x, pre)))
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        (x, pre): Self::Kept,
        mut d: FeatureGradients,
    ) -> FeatureGradients {
        let written = match self.config.output {
            Feature::Logits => d.logits.take(),
            _ => d.sentence.take(),
        };
        let Some(mut dy) = written else { return d };
        let of_residual = self.residual_backward(cx, &dy, &x);
        if let Some(activation) = self.config.activation {
            let ops = cx.pass.ops;
            ops.activation_bwd(dy.view_mut(), pre.view(), activation);
        }
        let mut dx = Mat::zeros(x.rows(), x.cols());
        let wanted = Some(dx.view_mut().into());
        self.linear.backward(cx, wanted, dy.view(), x.view());
        if let Some(of_residual) = of_residual {
            cx.pass.ops.add(dx.view_mut(), of_residual.view());
        }
        // With scores apart from it, the embedding has a gradient of its own.
        if let Some(own) = d.sentence.take() {
            dx.data_mut()
                .iter_mut()
                .zip(own.data())
                .for_each(|(dx, own)| *dx += own);
        }
        d.sentence = Some(dx);
        d
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        size.texts * (self.config.in_features + self.config.out_features) * size_of::<f32>()
    }
}

impl DenseLayer {
    /// The gradient that reaches the input by the residual, if there is one, given that of the output.
    fn residual_backward(&self, cx: &mut Backward<'_>, dy: &Mat, x: &Mat) -> Option<Mat> {
        match &self.residual {
            Residual::None => None,
            Residual::Input => Some(dy.clone()),
            Residual::Linear(linear) => {
                let mut dx = Mat::zeros(x.rows(), x.cols());
                let wanted = Some(dx.view_mut().into());
                linear.backward(cx, wanted, dy.view(), x.view());
                Some(dx)
            }
        }
    }
}
