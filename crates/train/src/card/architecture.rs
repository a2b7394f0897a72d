//! What the model is: the facts of its modules, and how either version of sentence-transformers prints them.

use matryo_model::{
    FolderLayout, FolderModule, ModelFolder, Module, WriteConfig, limit, pooling_modes,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Compat;

/// The facts of a sentence-embedding model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// Class of the transformer: `BertModel`; `None` for a model without one.
    pub transformer: Option<String>,
    /// Most tokens of a text, with the special ones.
    pub max_seq_length: usize,
    /// Whether texts are lower-cased before the tokenizer.
    pub do_lower_case: bool,
    /// Width of the embedding that leaves the last module.
    pub dim: usize,
    /// Modules behind the transformer, or all of them without one, in order.
    pub modules: Vec<ModuleCard>,
    /// `cosine`, `dot`, `euclidean` or `manhattan`; `None` means cosine.
    pub similarity: Option<String>,
    /// Number of parameters, if counted.
    pub parameters: Option<u64>,
    /// Whether the model tells queries from documents: by routes, or by a prompt before either.
    #[serde(default)]
    pub has_roles: bool,
}

/// A module behind the transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ModuleCard {
    /// Token rows to one row a text.
    Pooling {
        /// Width of a token row.
        dim: usize,
        /// Upstream's names of the modes: `cls`, `mean`.
        modes: Vec<String>,
        /// Whether the tokens of a prompt count.
        include_prompt: bool,
    },
    /// A dense layer.
    Dense {
        /// Width before.
        in_features: usize,
        /// Width after.
        out_features: usize,
        /// Whether it has a bias.
        bias: bool,
        /// torch's path of the activation: `torch.nn.modules.activation.Tanh`.
        activation: String,
    },
    /// Scaling to length 1.
    Normalize,
    /// A module of another class.
    Other {
        /// The class.
        class: String,
        /// What its config.json says.
        config: Value,
    },
}

impl ModuleCard {
    /// The facts of a module, as its configuration is written.
    pub fn of(module: &dyn Module) -> Self {
        let files = module.files(&WriteConfig {
            layout: FolderLayout::New,
            ..WriteConfig::default()
        });
        let config = files.into_iter().next().map_or(Value::Null, |f| f.value);
        let number = |key: &str| config[key].as_u64().unwrap_or(0) as usize;
        match module.class() {
            "Pooling" => Self::Pooling {
                dim: number("embedding_dimension"),
                modes: texts(&config["pooling_mode"]),
                include_prompt: config["include_prompt"] == true,
            },
            // One that maps other features is described by all that it says.
            "Dense"
                if config["module_input_name"] == config["module_output_name"]
                    && config["module_input_name"] == "sentence_embedding" =>
            {
                Self::Dense {
                    in_features: number("in_features"),
                    out_features: number("out_features"),
                    bias: config["bias"] == true,
                    activation: texts(&config["activation_function"]).concat(),
                }
            }
            "Normalize" if config.is_null() => Self::Normalize,
            // Its config.json, if it has one, is model2vec's, which upstream does not read.
            "StaticEmbedding" => Self::Other {
                class: module.class().to_owned(),
                config: json!({}),
            },
            class => Self::Other {
                class: class.to_owned(),
                config,
            },
        }
    }

    fn describe(&self, compat: Compat) -> String {
        match self {
            Self::Pooling {
                dim,
                modes,
                include_prompt,
            } => match compat {
                Compat::Current => pooling_current(*dim, modes, *include_prompt),
                Compat::V3_0 => pooling_v3_0(*dim, modes, *include_prompt),
            },
            Self::Dense {
                in_features,
                out_features,
                bias,
                activation,
            } => {
                let names = match compat {
                    Compat::Current => {
                        ", 'module_input_name': 'sentence_embedding', 'module_output_name': 'sentence_embedding'"
                    }
                    Compat::V3_0 => "",
                };
                format!(
                    "Dense({{'in_features': {in_features}, 'out_features': {out_features}, 'bias': {}, \
                     'activation_function': '{activation}'{names}}})",
                    python_bool(*bias)
                )
            }
            Self::Normalize if compat == Compat::Current => "Normalize({})".to_owned(),
            Self::Normalize => "Normalize()".to_owned(),
            Self::Other { class, config } => format!("{class}({config})"),
        }
    }
}

/// Class that `AutoModel` loads: the checkpoint's own class without its head, `BertForMaskedLM` to `BertModel`.
fn transformer_class(config: &Value) -> String {
    let class = config["architectures"][0].as_str().unwrap_or("AutoModel");
    class
        .split_once("For")
        .map_or_else(|| class.to_owned(), |(family, _)| format!("{family}Model"))
}

/// A text, or the texts of a list.
fn texts(value: &Value) -> Vec<String> {
    let one = std::slice::from_ref(value);
    let items = value.as_array().map_or(one, Vec::as_slice).iter();
    items
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect()
}

fn pooling_current(dim: usize, modes: &[String], include_prompt: bool) -> String {
    let quoted: Vec<String> = modes.iter().map(|mode| format!("'{mode}'")).collect();
    let mode = if quoted.len() == 1 {
        quoted.concat()
    } else {
        format!("({})", quoted.join(", "))
    };
    format!(
        "Pooling({{'embedding_dimension': {dim}, 'pooling_mode': {mode}, 'include_prompt': {}}})",
        python_bool(include_prompt)
    )
}

fn pooling_v3_0(dim: usize, modes: &[String], include_prompt: bool) -> String {
    let has = |name: &str| modes.iter().any(|mode| mode == name);
    let flags: String = pooling_modes()
        .map(|(name, key)| format!("'{key}': {}, ", python_bool(has(name))))
        .collect();
    format!(
        "Pooling({{'word_embedding_dimension': {dim}, {flags}'include_prompt': {}}})",
        python_bool(include_prompt)
    )
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// The facts of modules in order; those of all routes together are one, a Router, with its modules in words.
fn module_cards(folder: &ModelFolder, modules: &[FolderModule]) -> Vec<ModuleCard> {
    let mut cards = Vec::new();
    let mut is_listed = false;
    for module in modules {
        match (&folder.routes, module.route) {
            (Some(_), Some(_)) if is_listed => {}
            (Some(routes), Some(_)) => {
                is_listed = true;
                let of_route = |(route, name): (usize, &String)| {
                    let modules = modules.iter().filter(|module| module.route == Some(route));
                    let summaries: Vec<String> = modules.map(|m| m.module.summary()).collect();
                    (name.clone(), json!(summaries))
                };
                let config = routes.names.iter().enumerate().map(of_route);
                cards.push(ModuleCard::Other {
                    class: "Router".to_owned(),
                    config: Value::Object(config.collect()),
                });
            }
            _ => cards.push(ModuleCard::of(&*module.module)),
        }
    }
    cards
}

/// As upstream's card decides it (`register_model` in base/model_card.py).
fn has_roles(folder: &ModelFolder) -> bool {
    const PROMPTS: [&str; 4] = ["query", "document", "passage", "corpus"];
    let mut prompts = folder.settings.prompts.iter();
    folder.routes.is_some()
        || prompts.any(|(name, text)| PROMPTS.contains(&name.as_str()) && !text.is_empty())
}

impl Architecture {
    /// The facts of a model folder; the caller adds the number of parameters if it knows it.
    pub fn of(folder: &ModelFolder) -> Self {
        let config = folder.encoder_config();
        // The transformer has a line of its own, unless it is one route's.
        let (transformer, modules) = match config.is_null() || folder.routes.is_some() {
            true => (None, &folder.modules[..]),
            false => (Some(transformer_class(config)), &folder.modules[1..]),
        };
        Self {
            transformer,
            max_seq_length: folder.input.max_seq_length,
            do_lower_case: folder.input.do_lower_case,
            dim: folder.dim(),
            modules: module_cards(folder, modules),
            similarity: folder
                .settings
                .similarity
                .map(|similarity| similarity.to_string()),
            parameters: None,
            has_roles: has_roles(folder),
        }
    }

    /// The model as `print(model)` shows it in Python, without a final newline.
    pub fn describe(&self, compat: Compat) -> String {
        let modules = self.modules.iter().map(|module| module.describe(compat));
        let transformer = self.transformer.as_ref();
        let lines: String = transformer
            .map(|class| self.describe_transformer(class, compat))
            .into_iter()
            .chain(modules)
            .enumerate()
            .map(|(i, module)| format!("  ({i}): {module}\n"))
            .collect();
        format!("SentenceTransformer(\n{lines})")
    }

    fn describe_transformer(&self, class: &str, compat: Compat) -> String {
        match compat {
            Compat::Current => format!(
                "Transformer({{'transformer_task': 'feature-extraction', 'modality_config': {{'text': {{'method': \
                 'forward', 'method_output_name': 'last_hidden_state'}}}}, 'module_output_name': 'token_embeddings', \
                 'architecture': '{class}'}})"
            ),
            Compat::V3_0 => format!(
                "Transformer({{'max_seq_length': {}, 'do_lower_case': {}}}) with Transformer model: {class}",
                self.longest("None"),
                python_bool(self.do_lower_case)
            ),
        }
    }

    /// The longest input in tokens, or what Python prints without a limit.
    pub(super) fn longest(&self, without: &str) -> String {
        limit(self.max_seq_length).map_or(without.to_owned(), |tokens| tokens.to_string())
    }

    /// The similarity in words.
    pub fn similarity_name(&self) -> &str {
        match self.similarity.as_deref() {
            None | Some("cosine") => "Cosine Similarity",
            Some("dot") => "Dot Product",
            Some("euclidean") => "Euclidean Distance",
            Some("manhattan") => "Manhattan Distance",
            Some(other) => other,
        }
    }
}
