//! The small JSON files of a saved model, in either layout.

use serde_json::{Map, Value, json};

use super::FolderLayout;
use crate::{
    Dense, ModelFolder, Module, Settings,
    folder::{POOLING_MODES, activation_class},
};

/// The version of sentence-transformers whose layout each is; a reader compares it with its own.
const OLD_VERSION: &str = "3.0.1";
const NEW_VERSION: &str = "5.7.0";

/// modules.json.
pub(super) fn modules(modules: &[Module], layout: FolderLayout) -> Value {
    let names = ["Transformer", "Pooling"]
        .into_iter()
        .chain(modules.iter().map(class_name));
    let entries = names.enumerate().map(|(idx, name)| {
        let path = if idx == 0 {
            String::new()
        } else {
            format!("{idx}_{name}")
        };
        json!({"idx": idx, "name": idx.to_string(), "path": path, "type": class_path(name, layout)})
    });
    entries.collect()
}

/// The class of a module after pooling; also the second part of its folder's name.
pub(super) fn class_name(module: &Module) -> &'static str {
    match module {
        Module::Dense(_) => "Dense",
        Module::Normalize => "Normalize",
    }
}

fn class_path(name: &str, layout: FolderLayout) -> String {
    let family = if matches!(name, "Transformer" | "Dense") {
        "base"
    } else {
        "sentence_transformer"
    };
    match layout {
        FolderLayout::Old => format!("sentence_transformers.models.{name}"),
        FolderLayout::New => {
            format!(
                "sentence_transformers.{family}.modules.{}.{name}",
                name.to_ascii_lowercase()
            )
        }
    }
}

/// sentence_bert_config.json. The new layout has the longest input in tokenizer_config.json; it knows lower-casing
/// as an argument only, which is written where it is needed, since without it the ids would change.
pub(super) fn transformer(
    folder: &ModelFolder,
    max_seq_length: usize,
    layout: FolderLayout,
) -> Value {
    if layout == FolderLayout::Old {
        return json!({"max_seq_length": max_seq_length, "do_lower_case": folder.do_lower_case});
    }
    let mut config = json!({
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    });
    if folder.do_lower_case {
        config["do_lower_case"] = json!(true);
    }
    config
}

/// The Pooling module's config.json: the keys of one layout, never of both.
///
/// The old layout cannot say another order than its own; such a model is written with `pooling_mode` there too,
/// as old readers would silently put the parts into another order.
pub(super) fn pooling(folder: &ModelFolder, layout: FolderLayout) -> Value {
    let modes = &folder.pooling.modes;
    let rank = |mode| POOLING_MODES.iter().position(|(known, ..)| *known == mode);
    let in_order = modes.windows(2).all(|pair| rank(pair[0]) < rank(pair[1]));
    let mut config = Map::new();
    if layout == FolderLayout::Old && in_order {
        config.insert("word_embedding_dimension".into(), json!(folder.hidden_size));
        config.extend(OLD_ORDER.iter().map(|&i| {
            let (mode, key, _) = POOLING_MODES[i];
            (key.to_owned(), json!(modes.contains(&mode)))
        }));
    } else {
        let names = modes
            .iter()
            .filter_map(|&mode| rank(mode))
            .map(|i| POOLING_MODES[i].2)
            .collect::<Vec<_>>();
        let value = if let [name] = names[..] {
            json!(name)
        } else {
            json!(names)
        };
        config.insert("embedding_dimension".into(), json!(folder.hidden_size));
        config.insert("pooling_mode".into(), value);
    }
    config.insert(
        "include_prompt".into(),
        json!(folder.pooling.include_prompt),
    );
    Value::Object(config)
}

/// The old layout writes mean before max, though it concatenates max before mean.
const OLD_ORDER: [usize; 6] = [0, 2, 1, 3, 4, 5];

/// A Dense module's config.json.
pub(super) fn dense(dense: &Dense, layout: FolderLayout) -> Value {
    let mut config = json!({
        "in_features": dense.in_features,
        "out_features": dense.out_features,
        "bias": dense.bias,
        "activation_function": activation_class(dense.activation),
    });
    if layout == FolderLayout::New {
        config["module_input_name"] = json!("sentence_embedding");
        config["module_output_name"] = json!("sentence_embedding");
    }
    config
}

/// config_sentence_transformers.json. The new layout sorts its keys and names the two usual prompts when it has none.
pub(super) fn settings(settings: &Settings, layout: FolderLayout) -> Value {
    let named = |(name, text): &(String, String)| (name.clone(), json!(text));
    let prompts: Map<String, Value> = settings.prompts.iter().map(named).collect();
    let similarity = settings.similarity.map(|s| s.name());
    let default = &settings.default_prompt_name;
    let mut config = match layout {
        FolderLayout::Old => json!({
            "__version__": version(OLD_VERSION),
            "prompts": prompts,
            "default_prompt_name": default,
            "similarity_fn_name": similarity,
        }),
        FolderLayout::New => json!({
            "__version__": version(NEW_VERSION),
            "default_prompt_name": default,
            "model_type": "SentenceTransformer",
            "prompts": if prompts.is_empty() { json!({"document": "", "query": ""}) } else { json!(prompts) },
            "similarity_fn_name": similarity,
        }),
    };
    if let Some(dim) = settings.truncate_dim {
        config["truncate_dim"] = json!(dim);
    }
    config
}

fn version(layout: &str) -> Value {
    json!({"matryo": env!("CARGO_PKG_VERSION"), "sentence_transformers": layout})
}

/// config.json of the source, saying that the weights are `f32` under the key that readers of the layout know.
pub(super) fn model(config: &Value, layout: FolderLayout) -> Value {
    let mut config = config.clone();
    let (key, other) = match layout {
        FolderLayout::Old => ("torch_dtype", "dtype"),
        FolderLayout::New => ("dtype", "torch_dtype"),
    };
    if let Some(map) = config.as_object_mut() {
        map.shift_remove(other);
        map.insert(key.into(), json!("float32"));
    }
    config
}
