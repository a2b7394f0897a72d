//! Embeddings and gradients of models with modules between encoder and pooling, as sentence-transformers 6.2 computes them.

use std::{collections::BTreeMap, sync::Arc};

use matryo_model::{
    BatchSize, FolderLayout, PromptChoice, Role, SentenceEncoder, TokenBatch, Trainable,
};
use matryo_ops::MatRef;
use matryo_testkit::{
    FamilyGolden, Tensor, Tolerance, assert_close, copy_of, edit, json, put, read_safetensors,
};
use serde_json::{Value, json};

use crate::saved::in_both_layouts;

pub const CLOSE: Tolerance = Tolerance::Absolute(2e-6);
/// How far a gradient may be off, times the largest value of its tensor where that is above 1. The gradient of a key bias is rounding alone.
const GRADIENT: f64 = 1e-5;

fn goldens() -> Vec<FamilyGolden> {
    let names = ["layers", "layers-t5", "t5-dense", "token-dense"];
    names.map(golden).into()
}

pub fn golden(name: &str) -> FamilyGolden {
    let mut all = FamilyGolden::of_modules().into_iter();
    all.find(|golden| golden.name == name).unwrap()
}

pub fn texts(golden: &FamilyGolden) -> Vec<String> {
    serde_json::from_value(golden.facts()["texts"].clone()).unwrap()
}

pub fn values(golden: &FamilyGolden) -> BTreeMap<String, Tensor> {
    read_safetensors(golden.folder.join("golden.safetensors"))
}

pub fn for_training(golden: &FamilyGolden, frozen: &[&str]) -> SentenceEncoder<Trainable> {
    let frozen: Vec<String> = frozen.iter().map(ToString::to_string).collect();
    let ops = matryo_ops::cpu_in(Some(matryo_model::Precision::F32));
    SentenceEncoder::open_for_training(golden.model(), ops, &frozen).unwrap()
}

/// The gradient of the sum of embeddings times golden directions over all tasks, of each trained tensor by `FOLDER/NAME`.
pub fn gradients(
    golden: &FamilyGolden,
    model: &SentenceEncoder<Trainable>,
    tasks: &[(Role, &str)],
) -> BTreeMap<String, Vec<f32>> {
    let (network, pipeline) = (model.network(), model.pipeline());
    let mut grads = network.zero_grads();
    for (role, direction) in tasks {
        let choice = PromptChoice {
            role: *role,
            ..PromptChoice::default()
        };
        let length = pipeline.max_seq_length_of(pipeline.route_of(&choice).unwrap());
        let prompt = pipeline.prompt(&choice, length).unwrap();
        let mut batch = TokenBatch::on_route(prompt.route);
        let tokens = pipeline.tokenize(&texts(golden), &prompt, length).unwrap();
        for (id, tokens) in tokens.iter().enumerate() {
            tokens.push_to(&mut batch, id as u64, prompt.skip);
        }
        let direction = &values(golden)[*direction];
        let (rows, cols) = direction.rows_cols();
        let (_, activations) = network.forward(Arc::new(batch), 0);
        let d = MatRef::new(rows, cols, &direction.data);
        network.backward(activations, d, &mut grads);
    }
    let entries = grads.layout.entries.iter();
    let found = entries.filter_map(|entry| {
        let values = &grads.values()[entry.grad.clone()?];
        let folder = &model.folder().modules[entry.module].path;
        Some((format!("{folder}/{}", entry.name), values.to_vec()))
    });
    found.collect()
}

/// Compares gradients with the golden ones, of which there must be one for each.
pub fn compare_gradients(golden: &FamilyGolden, found: &BTreeMap<String, Vec<f32>>) {
    let expected = values(golden);
    let named = expected.iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix("grad/")?;
        Some((name, tensor))
    });
    let mut compared = 0;
    for (name, tensor) in named {
        let what = format!("{} {name}", golden.name);
        let found = found.get(name).unwrap_or_else(|| panic!("{what}"));
        let largest = tensor.data.iter().fold(1.0_f32, |a, x| a.max(x.abs()));
        let tolerance = Tolerance::Absolute(GRADIENT * f64::from(largest));
        assert_close(found, &tensor.data, tolerance, &what);
        compared += 1;
    }
    assert_eq!(compared, found.len(), "{}", golden.name);
}

const PLAIN: &[(Role, &str)] = &[(Role::Plain, "direction")];

#[test]
fn embeddings() {
    for golden in goldens() {
        let model = SentenceEncoder::open_in(golden.model(), matryo_model::Precision::F32).unwrap();
        let found = model.encode(&texts(&golden)).unwrap();
        let expected = &values(&golden)["embeddings"];
        assert_close(found.data(), &expected.data, CLOSE, &golden.name);
    }
    let summaries = |name: &str| {
        let model = SentenceEncoder::open(golden(name).model()).unwrap();
        model.folder().summaries()
    };
    assert_eq!(summaries("layers")[1], "WeightedLayerPooling(0 to 2)");
    assert_eq!(
        summaries("token-dense")[1..4],
        [
            "Dense(32 to 48, token_embeddings)",
            "Dense(48 to 24, token_embeddings)",
            "Normalize(token_embeddings)"
        ]
    );
}

#[test]
fn gradients_of_every_parameter() {
    for golden in goldens() {
        let found = gradients(&golden, &for_training(&golden, &[]), PLAIN);
        compare_gradients(&golden, &found);
    }
}

/// A parameter that is frozen takes no gradient, and leaves those of the others their bits.
#[test]
fn frozen_parts() {
    for name in ["layers", "layers-t5"] {
        let golden = golden(name);
        let all = gradients(&golden, &for_training(&golden, &[]), PLAIN);
        let weights = "1_WeightedLayerPooling/layer_weights";
        for frozen in [
            &["1.layer_weights"][..],
            &["*embed*", "shared.*"][..],
            &["*layer.*", "*block.*", "*embed*", "*norm*", "shared.*"][..],
        ] {
            let applicable: Vec<&str> = frozen
                .iter()
                .copied()
                .filter(|pattern| pattern.starts_with("1.") || names_match(&golden, pattern))
                .collect();
            let model = for_training(&golden, &applicable);
            let found = gradients(&golden, &model, PLAIN);
            assert!(found.len() < all.len(), "{name}: {applicable:?}");
            for (name, values) in &found {
                assert_eq!(values, &all[name], "{name}");
            }
            assert_eq!(
                found.contains_key(weights),
                !frozen.contains(&"1.layer_weights")
            );
        }
    }
}

/// Whether a tensor of the encoder has a name with the middle part of a pattern.
fn names_match(golden: &FamilyGolden, pattern: &str) -> bool {
    let part = pattern.trim_matches('*');
    let names = read_safetensors(golden.model().join("model.safetensors"));
    names.keys().any(|name| name.contains(part))
}

#[test]
fn hidden_states_are_kept_for_trained_weights() {
    let golden = golden("layers");
    let size = BatchSize {
        tokens: 100,
        texts: 3,
        longest: 40,
        route: 0,
    };
    let kept = |frozen: &[&str]| for_training(&golden, frozen).network().kept_bytes(size);
    // Three states of width 32.
    assert_eq!(kept(&[]) - kept(&["1.layer_weights"]), 3 * 100 * 32 * 4);
}

/// Texts of 32 tokens: a size that is not rounded up.
fn batch_of_32s() -> Arc<TokenBatch> {
    let mut batch = TokenBatch::new();
    let ids: Vec<u32> = (0..32).map(|i| 5 + i % 30).collect();
    (0..4).for_each(|text| batch.push(&ids, text, 0));
    Arc::new(batch)
}

/// Rows of tokens that modules map, and hidden states of all layers.
#[test]
fn buffers_grow_as_predicted() {
    let batch = batch_of_32s();
    let size = BatchSize::of(&batch);
    for (name, frozen) in [
        ("token-dense", &[][..]),
        ("stacked", &[]),
        ("layers", &[]),
        ("layers", &["1.layer_weights"]),
    ] {
        let model = for_training(&golden(name), frozen);
        let network = model.network();
        let mut grads = network.zero_grads();
        for _ in 0..3 {
            let (embeddings, activations) = network.forward(batch.clone(), 0);
            network.backward(activations, embeddings.view(), &mut grads);
        }
        let found = network.free_buffers().1;
        let predicted = network.kept_bytes(size) + network.working_bytes(size);
        let ratio = found as f64 / predicted as f64;
        println!("{name} {frozen:?}: {found} of {predicted}, {ratio:.3}");
        // One buffer is 3 % of what so small an encoder takes: which of those of equal width serve twice is not foreseen.
        assert!(
            (ratio - 1.0).abs() < 0.07,
            "{name}, frozen {frozen:?}: {found} bytes, {predicted} predicted"
        );
    }
}

#[test]
fn what_was_read_is_saved() {
    for golden in goldens() {
        let model = for_training(&golden, &[]);
        let expected = model.encode(&texts(&golden)).unwrap();
        in_both_layouts(&model, |layout, target, again| {
            // A module that normalises sentence embeddings needs no file.
            let summaries = model.folder().summaries();
            for (module, summary) in model.folder().modules.iter().zip(summaries).skip(1) {
                let at = |folder: &std::path::Path| json(&folder.join(&module.path), "config.json");
                if layout == FolderLayout::New && summary != "Normalize" {
                    assert_eq!(at(target), at(&golden.model()), "{}", module.path);
                }
            }
            assert_eq!(again.folder().summaries(), model.folder().summaries());
            let in_f32 = SentenceEncoder::open_in(target, matryo_model::Precision::F32).unwrap();
            assert_eq!(in_f32.encode(&texts(&golden)).unwrap(), expected);
        });
    }
}

/// The old layout has the old name of the width, and the encoder's file says that hidden states are handed on.
#[test]
fn hidden_states_in_files() {
    let golden = golden("layers");
    let folder = copy_of(&golden.model());
    edit(folder.path(), "config.json", |config| {
        config
            .as_object_mut()
            .unwrap()
            .remove("output_hidden_states");
    });
    let arguments = json!({"max_seq_length": 128, "config_args": {"output_hidden_states": true}});
    put(folder.path(), "sentence_bert_config.json", &arguments);
    let ops = matryo_ops::cpu_in(None);
    let model = SentenceEncoder::open_for_training(folder.path(), ops, &[]).unwrap();
    in_both_layouts(&model, |layout, target, _| {
        assert_eq!(json(target, "config.json")["output_hidden_states"], true);
        let config = json(&target.join("1_WeightedLayerPooling"), "config.json");
        let width = match layout {
            FolderLayout::Old => "word_embedding_dimension",
            FolderLayout::New => "embedding_dimension",
        };
        assert_eq!(config[width], 32);
    });
    // An argument beats the file.
    edit(folder.path(), "config.json", |config| {
        config["output_hidden_states"] = json!(true);
    });
    edit(folder.path(), "sentence_bert_config.json", |config| {
        config["config_args"]["output_hidden_states"] = json!(false);
    });
    assert!(message(folder.path()).contains("needs the hidden states of all layers"));
}

pub fn message(folder: &std::path::Path) -> String {
    let opened = SentenceEncoder::open(folder);
    opened.err().expect("refused").to_string()
}

/// A copy of a model with one key of a module changed.
fn refused(model: &str, module: &str, key: &str, value: Value) -> String {
    let folder = copy_of(&golden(model).model());
    edit(&folder.path().join(module), "config.json", |config| {
        if key == "module_input_name" {
            // What is written is then what is read.
            config.as_object_mut().unwrap().remove("module_output_name");
        }
        config[key] = value;
    });
    message(folder.path())
}

/// Settings of a module that are refused: folder, key, value, and what the message says.
type Refusal = (&'static str, &'static str, Value, &'static str);

fn all_refused(model: &str, refusals: impl IntoIterator<Item = Refusal>) {
    for (module, key, value, part) in refusals {
        let error = refused(model, module, key, value);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn layers_that_do_not_fit() {
    let refusals = [
        (
            "layer_start",
            json!(3),
            "`layer_start` is 3, expected at most 2",
        ),
        (
            "num_hidden_layers",
            json!(12),
            "`num_hidden_layers` is 12, but the module before gives 2",
        ),
        (
            "embedding_dimension",
            json!(16),
            "`embedding_dimension` is 16, but the module before gives 32",
        ),
        ("layer_weights", json!([1]), "unknown key `layer_weights`"),
        (
            "layer_start",
            json!(1),
            "`layer_weights` has shape [3], expected [2]",
        ),
    ];
    let refusals = refusals.map(|(key, value, part)| ("1_WeightedLayerPooling", key, value, part));
    all_refused("layers", refusals);
}

#[test]
fn hidden_states_that_are_not_handed_on() {
    let key = "output_hidden_states";
    let needed = "needs the hidden states of all layers";
    all_refused(
        "layers",
        [
            ("", key, json!(false), needed),
            ("", key, json!("yes"), "`output_hidden_states` is \"yes\""),
        ],
    );
}

#[test]
fn features_that_no_module_writes() {
    let sentence = || json!("sentence_embedding");
    all_refused(
        "token-dense",
        [
            (
                "1_Dense",
                "module_input_name",
                sentence(),
                "`module_input_name` is \"sentence_embedding\", expected \"token_embeddings\", which a module before writes",
            ),
            (
                "1_Dense",
                "module_output_name",
                sentence(),
                "`module_output_name` is \"sentence_embedding\", expected \"token_embeddings\"",
            ),
            (
                "5_Dense",
                "module_input_name",
                json!("token_embeddings"),
                "`module_input_name` is \"token_embeddings\", expected \"sentence_embedding\"",
            ),
            (
                "3_Normalize",
                "module_input_name",
                json!("all_layer_embeddings"),
                "`module_input_name` is \"all_layer_embeddings\"",
            ),
        ],
    );
}
