//! Every family against transformers and sentence-transformers, on tiny random checkpoints: ids, hidden states, embeddings of
//! every pooling, prompts, pairs, gradients, precisions, saving. A family without a golden fails.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use matryo_model::{
    Checkpoint, EncodeOptions, Grads, ModelFolder, Precision, SentenceEncoder, TextOrPair,
    TokenBatch, Trainable,
};
use matryo_ops::{Mat, cpu_in};
use matryo_testkit::{
    FamilyGolden, Tensor, Tolerance, assert_close, copy_of, edit, put, read_json, read_safetensors,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    saved::in_both_layouts,
    tiny::{MODES, for_inference, matrix},
};

const CLOSE: Tolerance = Tolerance::Absolute(1e-5);

/// A family's golden values.
struct Golden {
    name: String,
    model: std::path::PathBuf,
    tensors: BTreeMap<String, Tensor>,
    facts: Value,
}

impl Golden {
    fn all() -> Vec<Self> {
        FamilyGolden::all().into_iter().map(Self::open).collect()
    }

    fn open(family: FamilyGolden) -> Self {
        Self {
            model: family.model(),
            tensors: read_safetensors(family.folder.join("golden.safetensors")),
            facts: family.facts(),
            name: family.name,
        }
    }

    fn texts(&self) -> Vec<String> {
        serde_json::from_value(self.facts["texts"].clone()).unwrap()
    }

    fn pairs(&self) -> Vec<(String, String)> {
        serde_json::from_value(self.facts["pairs"].clone()).unwrap()
    }

    fn tensor(&self, name: &str) -> &Tensor {
        let tensor = self.tensors.get(name);
        tensor.unwrap_or_else(|| panic!("{}: no golden {name}", self.name))
    }

    fn numbers(&self, name: &str) -> Vec<u32> {
        self.tensor(name).data.iter().map(|x| *x as u32).collect()
    }

    #[track_caller]
    fn close(&self, found: &[f32], name: &str) {
        let what = format!("{}: {name}", self.name);
        assert_close(found, &self.tensor(name).data, CLOSE, &what);
    }

    /// All golden texts in one batch.
    fn batch(&self) -> TokenBatch {
        let (ids, bounds) = (self.numbers("ids"), self.numbers("bounds"));
        let mut batch = TokenBatch::new();
        for (i, span) in bounds.windows(2).enumerate() {
            batch.push(&ids[span[0] as usize..span[1] as usize], i as u64, 0);
        }
        batch
    }

    /// The model with these pooling modes and nothing behind them.
    fn pooled(&self, modes: &[&str], include_prompt: bool) -> TempDir {
        let dir = copy_of(&self.model);
        edit(dir.path(), "modules.json", |modules| {
            modules.as_array_mut().unwrap().truncate(2)
        });
        let pooling = json!({"embedding_dimension": 32, "pooling_mode": modes, "include_prompt": include_prompt});
        put(dir.path(), "1_Pooling/config.json", &pooling);
        dir
    }

    fn encode(&self, folder: &Path, prompt: Option<&str>) -> Mat {
        let options = EncodeOptions {
            prompt: prompt.map(ToOwned::to_owned),
            ..EncodeOptions::default()
        };
        for_inference(folder)
            .encode_with(&self.texts(), &options)
            .unwrap()
            .embeddings
    }

    fn for_training(&self, precision: Precision) -> SentenceEncoder<Trainable> {
        let ops = cpu_in(Some(precision));
        SentenceEncoder::open_for_training(&self.model, ops, &[]).unwrap()
    }
}

#[test]
fn every_family_has_a_golden() {
    let golden: Vec<String> = Golden::all()
        .iter()
        .map(|golden| {
            let config = read_json(golden.model.join("config.json"));
            config["model_type"].as_str().unwrap().to_owned()
        })
        .collect();
    for family in matryo_nn::model_types() {
        assert!(golden.iter().any(|name| name == family), "{family}");
    }
}

#[test]
fn token_ids() {
    for golden in Golden::all() {
        let model = SentenceEncoder::open(&golden.model).unwrap();
        let (ids, bounds) = (golden.numbers("ids"), golden.numbers("bounds"));
        for (text, span) in golden.texts().iter().zip(bounds.windows(2)) {
            let found = model.tokenizer().encode(text, model.max_seq_length());
            let expected = &ids[span[0] as usize..span[1] as usize];
            assert_eq!(found.unwrap().ids, expected, "{}: {text:?}", golden.name);
        }
        let prompt = golden.facts["prompt"].as_str().unwrap();
        let length = model.tokenizer().prompt_len(prompt, 128).unwrap();
        assert_eq!(length as u32, golden.numbers("prompt_len")[0]);
    }
}

#[test]
fn hidden_states() {
    for golden in Golden::all() {
        let model = for_inference(&golden.model);
        let training = golden.for_training(Precision::F32);
        let batch = golden.batch();
        for features in [
            model.network().features(&batch, true),
            training.network().features(&batch, true),
        ] {
            let states: Vec<f32> = features
                .taps()
                .iter()
                .flat_map(|state| state.data().to_vec())
                .collect();
            golden.close(&states, "hidden_states");
            let last = features.tokens().unwrap().to_mat();
            golden.close(last.data(), "last_hidden_state");
            golden.close(last.data(), "padded");
        }
    }
}

#[test]
fn every_pooling_mode_with_and_without_a_prompt() {
    let modes = MODES.map(|(_, mode)| mode);
    for golden in Golden::all() {
        let prompt = golden.facts["prompt"].as_str().unwrap().to_owned();
        golden.close(golden.encode(&golden.model, None).data(), "embed.default");
        let all = golden.pooled(&modes, true);
        golden.close(golden.encode(all.path(), None).data(), "embed.all");
        for mode in modes {
            let (counts, skips) = (golden.pooled(&[mode], true), golden.pooled(&[mode], false));
            for (folder, prompt, kind) in [
                (&counts, None, "embed"),
                (&counts, Some(&*prompt), "prompt"),
                (&skips, Some(&*prompt), "excluded"),
            ] {
                let found = golden.encode(folder.path(), prompt);
                golden.close(found.data(), &format!("{kind}.{mode}"));
            }
        }
    }
}

/// The default may be another precision: it gives vectors of length 1 as near, not hidden states.
#[test]
fn vectors_in_the_default_precision() {
    for golden in Golden::all() {
        let model = SentenceEncoder::open(&golden.model).unwrap();
        let found = model.encode(&golden.texts()).unwrap();
        golden.close(found.data(), "embed.default");
    }
}

#[test]
fn pairs() {
    for golden in Golden::all() {
        let model = for_inference(&golden.model);
        let pairs = golden.pairs();
        let inputs: Vec<TextOrPair<'_>> =
            pairs.iter().map(|(a, b)| TextOrPair::Pair(a, b)).collect();
        let pipeline = model.pipeline();
        let tokens = pipeline.tokenize_pairs(&inputs, &Default::default(), 128);
        let mut batch = TokenBatch::new();
        for (i, tokens) in tokens.unwrap().iter().enumerate() {
            tokens.push_to(&mut batch, i as u64, 0);
        }
        assert_eq!(batch.ids, golden.numbers("pair.ids"), "{}", golden.name);
        assert_eq!(batch.bounds, golden.numbers("pair.bounds"));
        let expected = golden.numbers("pair.types");
        if expected.iter().any(|kind| *kind > 0) {
            assert_eq!(batch.types, expected, "{}", golden.name);
        }
        let features = model.network().features(&batch, false);
        golden.close(features.tokens().unwrap().data(), "pair.hidden");
    }
}

/// A pair that is too long loses tokens of its longer text.
#[test]
fn long_pairs_are_cut() {
    let golden = &Golden::all()[0];
    let model = SentenceEncoder::open(&golden.model).unwrap();
    let long = "interest ".repeat(30);
    let whole = model
        .tokenizer()
        .encode_pair("revenue", &long, 128)
        .unwrap();
    let cut = model.tokenizer().encode_pair("revenue", &long, 10).unwrap();
    assert!(cut.truncated && !whole.truncated);
    assert_eq!((cut.ids.len(), cut.full_len), (10, whole.ids.len()));
    let first = cut.types.iter().take_while(|kind| **kind == 0).count();
    assert_eq!(
        cut.ids[..first],
        whole.ids[..first],
        "the first text is whole"
    );
}

/// The gradients of `sum(embeddings * weights)`, with all texts in one batch.
fn gradient(golden: &Golden, model: &SentenceEncoder<Trainable>) -> Grads {
    let network = model.network();
    let mut grads = network.zero_grads();
    let (_, activations) = network.forward(Arc::new(golden.batch()), 0);
    let weights = matrix(golden.tensor("grad.weights"));
    network.backward(activations, weights.view(), &mut grads);
    grads
}

/// Parameters whose true gradient is 0: what is found is rounding.
fn is_zero(golden: &Golden, name: &str) -> bool {
    let listed = golden.facts["zero_gradients"].as_array().unwrap();
    listed
        .iter()
        .any(|entry| *entry == name || entry[0] == name)
}

#[test]
fn every_gradient_equals_pytorch() {
    for golden in Golden::all() {
        let mut grads = gradient(&golden, &golden.for_training(Precision::F32));
        let norm = grads
            .values()
            .iter()
            .map(|g| f64::from(*g).powi(2))
            .sum::<f64>()
            .sqrt();
        let layout = grads.layout.clone();
        for (i, entry) in layout.entries.iter().enumerate() {
            let found = grads.get_mut(i).unwrap();
            let expected = &golden.tensor(&format!("grad.{}", entry.name)).data;
            let what = format!("{}: gradient of {}", golden.name, entry.name);
            if is_zero(&golden, &entry.name) {
                let largest = found.iter().fold(0.0, |m: f32, g| m.max(g.abs()));
                assert!(f64::from(largest) <= 1e-6 * norm, "{what}: {largest}");
            } else if golden.facts["word_table"] == *entry.name {
                let rows = golden.numbers("grad.word_rows");
                let whole = spread(&rows, expected, entry.shape[1], found.len());
                assert_close(found, &whole, Tolerance::Relative(1e-4), &what);
            } else {
                assert_close(found, expected, Tolerance::Relative(1e-4), &what);
            }
        }
        let compared = golden
            .tensors
            .keys()
            .filter(|n| n.starts_with("grad."))
            .count()
            - 2;
        assert_eq!(compared, layout.entries.len(), "{}", golden.name);
    }
}

/// A table of which only some rows are given.
fn spread(rows: &[u32], values: &[f32], width: usize, len: usize) -> Vec<f32> {
    let mut whole = vec![0.0; len];
    for (row, values) in rows.iter().zip(values.chunks_exact(width)) {
        whole[*row as usize * width..][..width].copy_from_slice(values);
    }
    whole
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Precision, least cosine of an embedding, least cosine of a gradient.
const BOUNDS: [(Precision, f64, f64); 4] = [
    (Precision::F32x3, 0.999_999_9, 0.999_999),
    (Precision::Bf16, 0.9999, 0.999),
    (Precision::Int16, 0.999_99, 0.999_9),
    (Precision::Int8, 0.9985, 0.998),
];

/// ReLU's derivative is a step: where rounding moves a sum across 0, a whole gradient comes or goes.
fn steps(golden: &Golden) -> f64 {
    let config = read_json(golden.model.join("config.json"));
    let keys = ["hidden_act", "activation", "feed_forward_proj"];
    let relu = keys.iter().any(|key| config[*key] == "relu");
    if relu { 10.0 } else { 1.0 }
}

#[test]
fn every_precision_stays_near_single_precision() {
    for golden in Golden::all() {
        let steps = steps(&golden);
        let encode = |precision| {
            let model = SentenceEncoder::open_in(&golden.model, precision).unwrap();
            model.encode(&golden.texts()).unwrap()
        };
        let exact = encode(Precision::F32);
        let mut exact_grads = gradient(&golden, &golden.for_training(Precision::F32));
        for (precision, least, least_gradient) in BOUNDS {
            let found = encode(precision);
            let smallest = (0..found.rows())
                .map(|i| cosine(found.row(i), exact.row(i)))
                .fold(1.0, f64::min);
            let mut grads = gradient(&golden, &golden.for_training(precision));
            let layout = grads.layout.clone();
            let mut worst = (1.0, String::new());
            for (i, entry) in layout.entries.iter().enumerate() {
                let cosine = cosine(grads.get_mut(i).unwrap(), exact_grads.get_mut(i).unwrap());
                if !is_zero(&golden, &entry.name) && cosine < worst.0 {
                    worst = (cosine, entry.name.clone());
                }
            }
            let what = format!("{}, {}", golden.name, precision.name());
            println!(
                "{what}: embedding {smallest:.7}, gradient {:.7} {}",
                worst.0, worst.1
            );
            assert!(smallest >= least, "{what}: embedding {smallest}");
            let least_gradient = 1.0 - steps * (1.0 - least_gradient);
            assert!(worst.0 >= least_gradient, "{what}: gradient {worst:?}");
        }
    }
}

/// Names after opening and saving are the source's, in both layouts, and so are vectors.
#[test]
fn saved_folders_hold_the_same_model() {
    for golden in Golden::all() {
        let source = golden.for_training(Precision::F32);
        let expected = golden.encode(&golden.model, None);
        in_both_layouts(&source, |_, saved, _| {
            let names = |folder: &Path| {
                let checkpoint = Checkpoint::open(folder).unwrap();
                checkpoint
                    .names()
                    .into_iter()
                    .map(ToOwned::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(saved), names(&golden.model), "{}", golden.name);
            assert_eq!(golden.encode(saved, None), expected, "{}", golden.name);
            let folders = [saved, &golden.model].map(|f| ModelFolder::open(f).unwrap());
            assert_eq!(folders[0].summaries(), folders[1].summaries());
            assert_eq!(folders[0].input, folders[1].input, "{}", golden.name);
        });
    }
}

/// What is written says the same in both forms of a configuration that has two: without what the later one is read from, the earlier
/// one is left.
#[test]
fn saved_configurations_have_both_forms() {
    let mut compared = 0;
    for family in FamilyGolden::all() {
        let [old, new] =
            ["config_old.json", "config_new.json"].map(|name| family.folder.join(name));
        if !old.exists() {
            continue;
        }
        let [old, new] = [old, new].map(read_json);
        let golden = Golden::open(family);
        let source = golden.for_training(Precision::F32);
        let both = [&old, &new].map(|form| form.as_object().unwrap());
        in_both_layouts(&source, |_, saved, _| {
            let mut written = read_json(saved.join("config.json"));
            for (key, value) in both.into_iter().flatten() {
                if !key.contains("dtype") && key != "transformers_version" {
                    assert_eq!(&written[key], value, "{}: {key}", golden.name);
                }
            }
            let map = written.as_object_mut().unwrap();
            map.retain(|key, _| old.get(key).is_some());
            put(saved, "config.json", &written);
            golden.close(golden.encode(saved, None).data(), "embed.default");
        });
        compared += 1;
    }
    assert!(compared >= 2, "{compared} families");
}

/// Both forms of a configuration that has two.
#[test]
fn both_forms_of_a_configuration() {
    let mut compared = 0;
    for family in FamilyGolden::all() {
        for form in ["config_old.json", "config_new.json"] {
            let path = family.folder.join(form);
            if !path.exists() {
                continue;
            }
            let golden = Golden::open(family.clone());
            let dir = copy_of(&golden.model);
            put(dir.path(), "config.json", &read_json(path));
            golden.close(golden.encode(dir.path(), None).data(), "embed.default");
            compared += 1;
        }
    }
    assert!(compared >= 4, "{compared} configurations");
}
