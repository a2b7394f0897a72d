//! Every module behind the pooling, as sentence-transformers 6.2 computes and writes them.

use std::{path::Path, sync::Arc};

use matryo_model::{FolderLayout, Precision, SentenceEncoder, TokenBatch};
use matryo_testkit::{
    FamilyGolden, Tolerance, assert_close, copy_of, edit, json, read_safetensors, write_safetensors,
};
use safetensors::Dtype;
use serde_json::json;

use crate::saved::in_both_layouts;

fn golden() -> FamilyGolden {
    let mut all = FamilyGolden::of_modules().into_iter();
    all.find(|golden| golden.name == "stacked").unwrap()
}

fn texts(golden: &FamilyGolden) -> Vec<String> {
    serde_json::from_value(golden.facts()["texts"].clone()).unwrap()
}

#[test]
fn embeddings() {
    let golden = golden();
    let model = SentenceEncoder::open(golden.model()).unwrap();
    let expected = &read_safetensors(golden.folder.join("golden.safetensors"))["embeddings"];
    let found = model.encode(&texts(&golden)).unwrap();
    assert_close(
        found.data(),
        &expected.data,
        Tolerance::Absolute(1e-6),
        "stacked",
    );
    let summaries = model.folder().summaries();
    assert_eq!(
        summaries[2..5],
        ["LayerNorm", "Dropout(0)", "Dense(32 to 32)"]
    );
}

/// The epsilon is the module's own: of embeddings so short that it is most of the variance.
#[test]
fn epsilon_of_a_norm() {
    let folder = copy_of(&golden().model());
    let path = folder.path().join("model.safetensors");
    let mut tensors = read_safetensors(&path);
    for (name, tensor) in &mut tensors {
        if name.starts_with("encoder.layer.1.output.LayerNorm") {
            tensor.data.iter_mut().for_each(|value| *value *= 2e-3);
        }
    }
    write_safetensors(&path, &tensors, Dtype::F32);
    let with_modules = |count: usize| {
        edit(folder.path(), "modules.json", |modules| {
            *modules = json(&golden().model(), "modules.json");
            modules.as_array_mut().unwrap().truncate(count);
        });
        let model = SentenceEncoder::open_in(folder.path(), Precision::F32).unwrap();
        model.encode(&texts(&golden())).unwrap()
    };
    let (before, found) = (with_modules(2), with_modules(3));
    let norm = read_safetensors(folder.path().join("2_LayerNorm/model.safetensors"));
    let [weight, bias] = ["norm.weight", "norm.bias"].map(|name| &norm[name].data);
    for (x, y) in (0..before.rows()).map(|i| (before.row(i), found.row(i))) {
        let mean_of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / x.len() as f64;
        let mean = mean_of(&mut x.iter().map(|x| f64::from(*x)));
        let variance = mean_of(&mut x.iter().map(|x| (f64::from(*x) - mean).powi(2)));
        assert!(variance < 1e-5, "{variance}");
        let expected: Vec<f32> = std::iter::zip(x, std::iter::zip(weight, bias))
            .map(|(x, (weight, bias))| {
                let value = (f64::from(*x) - mean) / (variance + 1e-5).sqrt();
                (value * f64::from(*weight) + f64::from(*bias)) as f32
            })
            .collect();
        assert_close(y, &expected, Tolerance::Absolute(1e-6), "normalised");
    }
}

#[test]
fn what_was_read_is_saved() {
    let golden = golden();
    let ops = matryo_ops::cpu_in(None);
    let model = SentenceEncoder::open_for_training(golden.model(), ops, &[]).unwrap();
    let expected = model.encode(&texts(&golden)).unwrap();
    in_both_layouts(&model, |layout, target, again| {
        for module in ["2_LayerNorm", "3_Dropout", "4_Dense", "5_Dense", "6_Dense"] {
            let at = |folder: &Path| json(&folder.join(module), "config.json");
            let (mut found, mut source) = (at(target), at(&golden.model()));
            // The old layout does not name features.
            for config in [&mut found, &mut source] {
                let config = config.as_object_mut().unwrap();
                config.retain(|key, _| layout == FolderLayout::New || !key.starts_with("module_"));
            }
            assert_eq!(found, source, "{module}");
        }
        let types = json(target, "modules.json");
        let class = match layout {
            FolderLayout::Old => "sentence_transformers.models.LayerNorm",
            FolderLayout::New => {
                "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm"
            }
        };
        assert_eq!(types[2]["type"], class);
        assert_eq!(again.encode(&texts(&golden)).unwrap(), expected);
    });
}

/// Masks depend on the seed and the text, and on nothing else; without training nothing is dropped.
#[test]
fn dropped_sentence_values() {
    let golden = golden();
    let folder = copy_of(&golden.model());
    edit(&folder.path().join("3_Dropout"), "config.json", |config| {
        config["dropout"] = json!(0.5)
    });
    let ops = matryo_ops::cpu_in(None);
    let model = SentenceEncoder::open_for_training(folder.path(), ops, &[]).unwrap();
    assert!(model.folder().input.drops);
    assert!(
        !SentenceEncoder::open(golden.model())
            .unwrap()
            .folder()
            .input
            .drops
    );
    let batch = |ids: &[u64]| {
        let mut batch = TokenBatch::new();
        for id in ids {
            batch.push(&[2, 7, 9, 3], *id, 0);
        }
        Arc::new(batch)
    };
    let network = model.network();
    let of = |ids: &[u64], seed| network.forward(batch(ids), seed).0;
    let both = of(&[5, 6], 1);
    assert_eq!(both, of(&[5, 6], 1));
    assert_eq!(both.row(1), of(&[6], 1).row(0), "alone and among others");
    assert_ne!(both.row(0), both.row(1), "two texts");
    assert_ne!(both, of(&[5, 6], 2), "two seeds");
    let used = network.embed(&batch(&[5, 6]));
    assert_eq!(used.row(0), used.row(1));
    assert_ne!(used.row(0), both.row(0));
}

#[test]
fn settings_that_do_not_fit() {
    let golden = golden();
    for (module, key, value, part) in [
        (
            "2_LayerNorm",
            "dimension",
            json!(31),
            "`dimension` is 31, but the module before gives 32",
        ),
        ("2_LayerNorm", "eps", json!(1e-6), "unknown key `eps`"),
        ("3_Dropout", "dropout", json!(1.0), "`dropout` is 1.0"),
        (
            "4_Dense",
            "use_residual",
            json!("yes"),
            "`use_residual` is \"yes\"",
        ),
    ] {
        let folder = copy_of(&golden.model());
        edit(&folder.path().join(module), "config.json", |config| {
            config[key] = value
        });
        let error = SentenceEncoder::open(folder.path())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
    let folder = copy_of(&golden.model());
    let config = folder.path().join("5_Dense");
    edit(&config, "config.json", |config| {
        config["use_residual"] = json!(false)
    });
    // The weights of a residual that config.json does not ask for are carried along and not used.
    SentenceEncoder::open(folder.path()).unwrap();
    edit(&folder.path().join("6_Dense"), "config.json", |config| {
        config["use_residual"] = json!(true)
    });
    let error = SentenceEncoder::open(folder.path())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("`residual.weight` is missing"), "{error}");
}
