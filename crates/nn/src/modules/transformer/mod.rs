//! Transformer: the encoder of config.json. Its module's own file, sentence_bert_config.json, says how texts are cut and cased.

mod arguments;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    BatchSize, BuiltModule, ConfigFile, FolderLayout, Module, ModuleClass, ModuleLayer,
    ModuleSource, TextInput, TokenRules, WriteConfig, digest::block_digest, module_file,
};
use crate::{
    EncoderSpec, Family, Feature, Features, NnError, Numbering, PositionSpec, Widths,
    checkpoint::missing_file,
    config::Object,
    families,
    features::FeatureGradients,
    layers::encoder::{Encoder, KeptEncoder},
    limit,
    pass::{Backward, Pass},
    weights::Builder,
};

use arguments::{HIDDEN_STATES, hidden_states_argument, module_config, task, tokenizer_length};

pub(super) static CLASS: ModuleClass = ModuleClass {
    name: "Transformer",
    family: "base",
    reads: &[],
    read,
};

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
        return Err(missing_file(source.dir, "config.json"));
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
        None => least(tokenizer_length(source.dir)?, spec.usual_tokens),
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

/// The smaller of two lengths, or the one there is.
fn least(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    a.into_iter().chain(b).min()
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
        text.extend(self.spec.blocks.iter().map(block_digest));
        text
    }

    fn build(&self, builder: &mut Builder<'_>) -> Result<BuiltModule, NnError> {
        Ok(BuiltModule::new(TransformerLayer {
            encoder: Encoder::build(builder, self.family, &self.spec)?,
        }))
    }
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

    fn scratch_bytes(&self, size: BatchSize, threads: usize) -> usize {
        self.encoder.scratch_bytes(size, threads)
    }

    fn forward_bytes(&self, size: BatchSize) -> usize {
        self.encoder.forward_bytes(size.tokens)
    }
}
