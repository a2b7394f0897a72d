//! Transformer: the encoder of config.json. Its module's own file, sentence_bert_config.json, says how texts are cut and cased.

use std::{path::Path, sync::Arc};

use matryo_ops::{AttentionMask, AttentionShape};
use serde_json::{Value, json};

use super::{
    BatchSize, BuiltModule, ConfigFile, FolderLayout, Module, ModuleClass, ModuleLayer,
    ModuleSource, TextInput, TokenRules, WriteConfig, module_file,
};
use crate::{
    AttentionSpec, EncoderSpec, Family, Feature, Features, NnError, Numbering, PositionSpec,
    RelativeSpec, RotarySpec, Widths,
    config::Object,
    families,
    features::FeatureGradients,
    layers::encoder::{Encoder, KeptEncoder},
    limit,
    pass::{Backward, Pass},
    weights::Builder,
};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Transformer",
    family: "base",
    reads: &[],
    read,
};

/// Names under which sentence-transformers has saved the module, first match wins.
const CONFIG_NAMES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Arguments for Python's loaders; only those that leave the numbers alone are passed over.
const ARGUMENT_KEYS: [&str; 6] = [
    "model_args",
    "tokenizer_args",
    "config_args",
    "model_kwargs",
    "processor_kwargs",
    "config_kwargs",
];
const HARMLESS_ARGUMENTS: [&str; 6] = [
    "trust_remote_code",
    "add_pooling_layer",
    "attn_implementation",
    "torch_dtype",
    "dtype",
    "unpad_inputs",
];

/// Key of config.json that has the hidden states of all layers handed on; an argument for the configuration beats it.
const HIDDEN_STATES: &str = "output_hidden_states";
const CONFIG_ARGUMENTS: [&str; 2] = ["config_args", "config_kwargs"];

/// Above this a length in a tokenizer's configuration means "none": transformers writes 1e30.
const LONGEST: f64 = 1e9;

#[derive(Debug)]
struct Transformer {
    /// config.json.
    config: Value,
    family: &'static Family,
    spec: EncoderSpec,
    max_seq_length: usize,
    do_lower_case: bool,
    /// Whether other modules may read the hidden states of all layers.
    hidden_states: bool,
}

fn read(source: &mut ModuleSource<'_>) -> Result<Arc<dyn Module>, NnError> {
    let path = source.dir.join("config.json");
    if !path.exists() {
        return Err(NnError::MissingFile {
            folder: source.dir.to_owned(),
            file: "config.json".into(),
        });
    }
    let config = Object::read(&path)?;
    let (family, spec) = families::read(&config)?;
    let module = module_config(source.dir)?;
    let (named, do_lower_case) = match &module {
        Some(module) => (
            module.count("max_seq_length")?,
            module.flag("do_lower_case")?.unwrap_or(false),
        ),
        None => (None, false),
    };
    let hidden_states = match module.as_ref().map(hidden_states_argument).transpose()? {
        Some(Some(argument)) => argument,
        _ => config.flag(HIDDEN_STATES)?.unwrap_or(false),
    };
    let wanted = match named {
        Some(length) => Some(length),
        None => tokenizer_length(source.dir)?,
    };
    Ok(Arc::new(Transformer {
        max_seq_length: cap(wanted, spec.max_tokens, source.notes),
        do_lower_case,
        hidden_states,
        config: config.into_value(),
        family,
        spec,
    }))
}

/// The longest input: what is asked for, but no longer than the weights allow.
fn cap(wanted: Option<usize>, most: usize, notes: &mut Vec<String>) -> usize {
    match wanted {
        Some(wanted) if wanted > most => {
            notes.push(format!(
                "longest input {wanted} exceeds the {most} positions of the model: {most}"
            ));
            most
        }
        wanted => wanted.unwrap_or(most),
    }
}

/// sentence_bert_config.json or one of its older names, with every key understood.
fn module_config(folder: &Path) -> Result<Option<Object>, NnError> {
    let Some(name) = CONFIG_NAMES.iter().find(|name| folder.join(name).exists()) else {
        return Ok(None);
    };
    let config = Object::read(&folder.join(name))?;
    let mut known = vec![
        "max_seq_length",
        "do_lower_case",
        "transformer_task",
        "modality_config",
        "module_output_name",
        "processing_kwargs",
        "unpad_inputs",
    ];
    known.extend(ARGUMENT_KEYS);
    config.deny_unknown(&known)?;
    config.deny_set(&["processing_kwargs"], "nothing")?;
    check_arguments(&config)?;
    check_task(&config)?;
    Ok(Some(config))
}

fn check_arguments(config: &Object) -> Result<(), NnError> {
    for key in ARGUMENT_KEYS {
        let Some(value) = config.get(key) else {
            continue;
        };
        let mut known = HARMLESS_ARGUMENTS.to_vec();
        if CONFIG_ARGUMENTS.contains(&key) {
            known.push(HIDDEN_STATES);
        }
        let harmless =
            |map: &serde_json::Map<String, Value>| map.keys().all(|k| known.contains(&&**k));
        if !value.as_object().is_some_and(harmless) {
            let expected = format!("no arguments but {}", known.join(", "));
            return Err(config.wrong(key, &expected));
        }
    }
    Ok(())
}

/// What the arguments for the configuration say of hidden states, if they do.
fn hidden_states_argument(config: &Object) -> Result<Option<bool>, NnError> {
    for key in CONFIG_ARGUMENTS {
        let arguments = config.object(key)?;
        let found = arguments.map(|arguments| arguments.flag(HIDDEN_STATES));
        if let Some(found) = found.transpose()?.flatten() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What the new layout says of task and output: texts to token embeddings.
fn task() -> [(&'static str, Value); 3] {
    let text = json!({"method": "forward", "method_output_name": "last_hidden_state"});
    [
        ("transformer_task", json!("feature-extraction")),
        ("modality_config", json!({"text": text})),
        ("module_output_name", json!(Feature::Tokens.name())),
    ]
}

fn check_task(config: &Object) -> Result<(), NnError> {
    for (key, expected) in task() {
        if config.get(key).is_some_and(|found| *found != expected) {
            return Err(config.wrong(key, &expected.to_string()));
        }
    }
    Ok(())
}

/// `model_max_length` of tokenizer_config.json, unless it stands for "none".
fn tokenizer_length(folder: &Path) -> Result<Option<usize>, NnError> {
    let Some(config) = Object::read_if_present(&folder.join("tokenizer_config.json"))? else {
        return Ok(None);
    };
    let Some(value) = config.get("model_max_length") else {
        return Ok(None);
    };
    if value.as_f64().is_some_and(|length| length > LONGEST) {
        return Ok(None);
    }
    config.count("model_max_length")
}

impl Transformer {
    /// config.json as it was read, completed for other readers, saying under the key that readers of the layout know that the
    /// weights are `f32`.
    fn written_config(&self, options: &WriteConfig<'_>) -> Value {
        let mut config = self.config.clone();
        let (key, other) = match options.layout {
            FolderLayout::Old => ("torch_dtype", "dtype"),
            FolderLayout::New => ("dtype", "torch_dtype"),
        };
        if let Some(map) = config.as_object_mut() {
            (self.family.complete)(map);
            map.shift_remove(other);
            map.insert(key.into(), json!("float32"));
            // An argument that said so is not written.
            if self.hidden_states || map.contains_key(HIDDEN_STATES) {
                map.insert(HIDDEN_STATES.into(), json!(self.hidden_states));
            }
            // vLLM refuses to cut embeddings of a model that does not say this.
            match options.matryoshka {
                None => {}
                Some([]) => {
                    map.shift_remove("is_matryoshka");
                    map.shift_remove("matryoshka_dimensions");
                }
                Some(widths) => {
                    map.insert("is_matryoshka".into(), json!(true));
                    map.insert("matryoshka_dimensions".into(), json!(widths));
                }
            }
        }
        config
    }

    /// sentence_bert_config.json. The new layout has the longest input in tokenizer_config.json; it knows lower-casing as an
    /// argument only, which is written where it is needed, since without it the ids would change.
    fn written_module(&self, options: &WriteConfig<'_>) -> Value {
        if options.layout == FolderLayout::Old {
            let length = options.max_seq_length.unwrap_or(self.max_seq_length);
            return json!({"max_seq_length": limit(length), "do_lower_case": self.do_lower_case});
        }
        let mut config = Value::Object(
            task()
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        );
        if self.do_lower_case {
            config["do_lower_case"] = json!(true);
        }
        config
    }
}

impl Module for Transformer {
    fn class(&self) -> &'static str {
        CLASS.name
    }

    fn widths(&self, before: Widths) -> Widths {
        let states = (self.spec.blocks.len() + 1, self.spec.dim);
        before
            .with(Feature::Tokens, self.spec.dim)
            .with_hidden_states(self.hidden_states.then_some(states))
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn text_input(&self) -> Option<TextInput> {
        Some(TextInput {
            max_seq_length: self.max_seq_length,
            max_tokens: self.spec.max_tokens,
            vocab: self.spec.embeddings.vocab,
            token_types: self.spec.embeddings.token_types,
            do_lower_case: self.do_lower_case,
            drops: !self.spec.dropout.is_none(),
            rules: TokenRules::Encoder,
        })
    }

    fn encoder_config(&self) -> Option<&Value> {
        Some(&self.config)
    }

    fn files(&self, options: &WriteConfig<'_>) -> Vec<ConfigFile> {
        let config = ConfigFile {
            name: "config.json",
            value: self.written_config(options),
            indent: 2,
        };
        let module = self.written_module(options);
        vec![
            config,
            module_file("sentence_bert_config.json", module, options.layout),
        ]
    }

    /// What the specification says of the arithmetic and the weights do not show. Nothing for families without such a thing:
    /// collections have stored their digests.
    fn digest_text(&self) -> String {
        let mut text = String::new();
        if let Some(PositionSpec {
            numbering: Numbering::AfterPadding(padding),
            ..
        }) = self.spec.embeddings.positions
        {
            text += &format!("positions after {padding};");
        }
        for block in &self.spec.blocks {
            text += &attention_digest(&block.attention);
        }
        text
    }

    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        Ok(BuiltModule::new(TransformerLayer {
            encoder: Encoder::build(builder, self.family, &self.spec)?,
        }))
    }
}

/// Rotations and windows. Every field is named, so that a new one is thought of here: where what is left out does not follow from
/// the weights, two models whose vectors differ have one digest. So it is with the heads of models without rotations, whose
/// digests collections have stored.
fn attention_digest(spec: &AttentionSpec) -> String {
    let AttentionSpec {
        shape,
        bias: _,
        rotary,
        relative,
    } = spec;
    let AttentionShape {
        heads,
        head_dim: _,
        scale: _,
        mask,
    } = shape;
    let AttentionMask { left, right } = mask;
    let mut text = String::new();
    if let Some(RotarySpec { theta }) = rotary {
        text += &format!("{heads} heads, theta {theta};");
    }
    if let Some(RelativeSpec {
        rows: _,
        buckets,
        max_distance,
    }) = relative
    {
        text += &format!("{heads} heads, {buckets} buckets up to {max_distance};");
    }
    if *mask != AttentionMask::FULL {
        text += &format!("window {left} {right};");
    }
    text
}

struct TransformerLayer {
    encoder: Encoder,
}

impl ModuleLayer for TransformerLayer {
    type Kept = KeptEncoder;

    fn forward(
        &self,
        pass: &Pass<'_>,
        mut features: Features,
        keep: bool,
    ) -> (Features, Option<KeptEncoder>) {
        let output = self.encoder.forward(pass, keep);
        features.rows.put(Feature::Tokens, output.hidden);
        features.taps = output.taps;
        features.layers = output.layers;
        (features, output.kept)
    }

    fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptEncoder,
        mut d: FeatureGradients,
    ) -> FeatureGradients {
        let (d_tokens, d_layers) = (d.rows.take(Feature::Tokens), d.layers.take());
        if self.encoder.is_trained() && (d_tokens.is_some() || d_layers.is_some()) {
            self.encoder.backward(cx, kept, d_tokens, d_layers);
        }
        d
    }

    fn kept_bytes(&self, size: BatchSize) -> usize {
        self.encoder.kept_bytes(size.tokens)
    }

    fn working_bytes(&self, size: BatchSize) -> usize {
        self.encoder.working_bytes(size.tokens)
    }

    fn forward_bytes(&self, size: BatchSize) -> usize {
        self.encoder.forward_bytes(size.tokens)
    }
}
