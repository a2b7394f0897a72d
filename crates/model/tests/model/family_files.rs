//! Files of every family as they are found in the world: names with and without the prefix of a task model, names of TensorFlow,
//! tensors of other heads, 16-bit values, shards; and the longest text that a position table takes.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use matryo_model::{FolderLayout, ModelFolder, SaveOptions, SentenceEncoder, save};
use matryo_ops::{Arithmetic, Cpu, Level, Mat, Precision};
use matryo_testkit::{
    FamilyGolden, Tensor, copy_of, edit, json, put, read_json, read_safetensors, write_safetensors,
};
use safetensors::Dtype;
use serde_json::json;

use crate::tiny::MODES;

const WEIGHTS: &str = "model.safetensors";

fn texts(family: &FamilyGolden) -> Vec<String> {
    let facts = read_json(family.folder.join("golden.json"));
    serde_json::from_value(facts["texts"].clone()).unwrap()
}

fn encode(folder: &Path, family: &FamilyGolden) -> Mat {
    let model = SentenceEncoder::open(folder).unwrap();
    model.encode(&texts(family)).unwrap()
}

fn error(folder: &Path) -> String {
    let found = SentenceEncoder::open(folder);
    found.err().expect("an error").to_string()
}

fn renamed(dir: &Path, name: impl Fn(&str) -> String) {
    let tensors = read_safetensors(dir.join(WEIGHTS));
    let tensors = tensors.into_iter().map(|(n, t)| (name(&n), t)).collect();
    write_safetensors(dir.join(WEIGHTS), &tensors, Dtype::F32);
}

/// The prefix that the family's task models have, as the message about another one says it.
fn prefix(family: &FamilyGolden) -> String {
    let dir = copy_of(&family.model());
    renamed(dir.path(), |name| format!("other.{name}"));
    let message = error(dir.path());
    let expected = "the tensors have the prefix `other.`, expected none";
    let rest = message.strip_prefix(expected);
    let rest = rest.unwrap_or_else(|| panic!("{}: {message}", family.name));
    // T5's task models have none.
    let prefix = rest
        .strip_prefix(" or `")
        .and_then(|rest| rest.split('`').next());
    prefix.unwrap_or_default().to_owned()
}

#[test]
fn names_of_task_models_and_of_tensorflow() {
    for family in FamilyGolden::all() {
        let prefix = prefix(&family);
        let expected = encode(&family.model(), &family);
        let old = |name: &str| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            let name = name.replace("LayerNorm.bias", "LayerNorm.beta");
            let norm = |n: &str| n.replace("norm.weight", "norm.gamma");
            norm(&name).replace("norm.bias", "norm.beta")
        };
        for (what, name) in [
            (
                "prefix",
                Box::new(|n: &str| format!("{prefix}{n}")) as Box<dyn Fn(&str) -> String>,
            ),
            ("old", Box::new(old)),
            ("both", Box::new(|n: &str| format!("{prefix}{}", old(n)))),
        ] {
            let dir = copy_of(&family.model());
            renamed(dir.path(), name);
            let found = encode(dir.path(), &family);
            assert_eq!(found, expected, "{}: {what}", family.name);
            saved_names_are_the_source_s(dir.path());
        }
    }
}

fn saved_names_are_the_source_s(folder: &Path) {
    let model = SentenceEncoder::open_for_training(folder, matryo_ops::cpu(), &[]).unwrap();
    let target = tempfile::tempdir().unwrap();
    for layout in [FolderLayout::Old, FolderLayout::New] {
        let options = SaveOptions {
            layout,
            ..SaveOptions::default()
        };
        let params = model.network().params();
        save(target.path(), model.folder(), params, &options).unwrap();
        let [found, expected] = [target.path(), folder].map(|f| {
            let names = read_safetensors(f.join(WEIGHTS)).into_keys();
            names.collect::<Vec<_>>()
        });
        assert_eq!(found, expected);
        let written = fs::read(target.path().join(WEIGHTS)).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&written).unwrap();
        let format = header.metadata().as_ref().and_then(|map| map.get("format"));
        assert_eq!(format.map(String::as_str), Some("pt"));
    }
}

/// Heads of language models and discriminators are no part of an encoder.
#[test]
fn tensors_of_other_heads_are_left_alone() {
    for family in FamilyGolden::all() {
        let dir = copy_of(&family.model());
        let mut tensors = read_safetensors(dir.path().join(WEIGHTS));
        let head = Tensor {
            shape: vec![2],
            data: vec![1.0, 2.0],
        };
        for name in [
            "head.dense.weight",
            "head.norm.weight",
            "decoder.bias",
            "lm_head.bias",
            "cls.predictions.bias",
            "discriminator_predictions.dense.bias",
            "pooler.dense.weight",
        ] {
            tensors.entry(name.to_owned()).or_insert(head.clone());
        }
        write_safetensors(dir.path().join(WEIGHTS), &tensors, Dtype::F32);
        let expected = encode(&family.model(), &family);
        assert_eq!(encode(dir.path(), &family), expected, "{}", family.name);
    }
}

#[test]
fn bf16_values_are_read_as_they_are() {
    for family in FamilyGolden::all() {
        let tensors = read_safetensors(family.model().join(WEIGHTS));
        let cut = |v: f32| f32::from_bits(v.to_bits() & 0xffff_0000);
        let cut = tensors.into_iter().map(|(name, tensor)| {
            let data = tensor.data.into_iter().map(cut).collect();
            (name, Tensor { data, ..tensor })
        });
        let cut: BTreeMap<_, _> = cut.collect();
        let [floats, halves] = [Dtype::F32, Dtype::BF16].map(|dtype| {
            let dir = copy_of(&family.model());
            write_safetensors(dir.path().join(WEIGHTS), &cut, dtype);
            encode(dir.path(), &family)
        });
        assert_eq!(floats, halves, "{}", family.name);
    }
}

/// The index is the list: a file beside it is not opened, one that is missing is named; a whole file wins over both.
#[test]
fn shards() {
    for family in FamilyGolden::all() {
        let expected = encode(&family.model(), &family);
        let dir = copy_of(&family.model());
        let tensors = read_safetensors(dir.path().join(WEIGHTS));
        let mut shards = [BTreeMap::new(), BTreeMap::new()];
        let mut map = serde_json::Map::new();
        for (i, (name, tensor)) in tensors.into_iter().enumerate() {
            map.insert(name.clone(), json!(format!("part-{}.safetensors", i % 2)));
            shards[i % 2].insert(name, tensor);
        }
        let index = "model.safetensors.index.json";
        put(
            dir.path(),
            index,
            &json!({"metadata": {}, "weight_map": map}),
        );
        assert_eq!(encode(dir.path(), &family), expected, "{}", family.name);
        fs::remove_file(dir.path().join(WEIGHTS)).unwrap();
        for (i, shard) in shards.iter().enumerate() {
            let path = dir.path().join(format!("part-{i}.safetensors"));
            write_safetensors(&path, shard, Dtype::F32);
        }
        fs::write(dir.path().join("stray.safetensors"), "not weights").unwrap();
        assert_eq!(encode(dir.path(), &family), expected, "{}", family.name);
        fs::remove_file(dir.path().join("part-1.safetensors")).unwrap();
        let message = error(dir.path());
        assert!(message.contains("part-1.safetensors"), "{message}");
    }
}

/// A tokenizer may know more tokens than the table has rows: as in sentence-transformers only a text that has one is refused.
#[test]
fn a_token_beyond_the_table() {
    for family in FamilyGolden::all() {
        let dir = copy_of(&family.model());
        let rows = json(dir.path(), "config.json")["vocab_size"].clone();
        let tokens = SentenceEncoder::open(dir.path())
            .unwrap()
            .tokenizer()
            .vocab_size() as u64;
        edit(dir.path(), "tokenizer.json", |tokenizer| {
            let added = tokenizer["added_tokens"].as_array_mut().unwrap();
            // Ids follow each other; a table may have more rows than there are tokens.
            let rows = rows.as_u64().unwrap();
            added.extend((tokens..=rows).map(|id| {
                let content = if id == rows {
                    "[EXTRA]".to_owned()
                } else {
                    format!("[{id}]")
                };
                json!({"id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true})
            }));
        });
        let expected = encode(&family.model(), &family);
        assert_eq!(encode(dir.path(), &family), expected, "{}", family.name);
        let model = SentenceEncoder::open(dir.path()).unwrap();
        let refused = model.encode(&["one [EXTRA] token"]).unwrap_err();
        let message = refused.to_string();
        let start = format!("the token `[EXTRA]` has id {rows}, the word-embedding table");
        assert!(message.starts_with(&start), "{}: {message}", family.name);
    }
}

/// A vocabulary of SentencePiece alone is refused with a way out.
#[test]
fn sentencepiece_alone() {
    for family in FamilyGolden::all() {
        let dir = copy_of(&family.model());
        for name in ["tokenizer.json", "vocab.txt"] {
            let _ = fs::remove_file(dir.path().join(name));
        }
        for name in [
            "sentencepiece.bpe.model",
            "spm.model",
            "spiece.model",
            "tokenizer.model",
        ] {
            let file = dir.path().join(name);
            fs::write(&file, "pieces").unwrap();
            let refused = SentenceEncoder::open(dir.path()).err().expect("an error");
            let message = refused.to_string();
            assert!(message.contains(name), "{message}");
            let hint = refused.hint().expect("a way out");
            for part in ["save_pretrained", "tokenizer.json"] {
                assert!(hint.contains(part), "{hint}");
            }
            fs::remove_file(&file).unwrap();
        }
    }
}

/// Without a table of positions any length may be named; where none is, the input ends at `max_position_embeddings`, or where the
/// tokenizer says if that is earlier.
#[test]
fn lengths_without_a_table_of_positions() {
    let is_v3 = |family: &FamilyGolden| family.name == "deberta-v3";
    let family = FamilyGolden::all().into_iter().find(is_v3).unwrap();
    let dir = copy_of(&family.model());
    let open = || SentenceEncoder::open(dir.path()).unwrap();
    edit(dir.path(), "sentence_bert_config.json", |module| {
        module["max_seq_length"] = json!(200)
    });
    let (named, text) = (open(), "revenue ".repeat(300));
    assert_eq!(named.max_seq_length(), 200);
    assert!(
        named.folder().notes.is_empty(),
        "{:?}",
        named.folder().notes
    );
    let long = named.encode(&[&text]).unwrap();
    fs::remove_file(dir.path().join("sentence_bert_config.json")).unwrap();
    for (said, expected) in [(json!(1e30), 128), (json!(500), 128), (json!(100), 100)] {
        edit(dir.path(), "tokenizer_config.json", |tokenizer| {
            tokenizer["model_max_length"] = said
        });
        assert_eq!(open().max_seq_length(), expected);
    }
    let cut = open().encode(&[&text]).unwrap();
    assert!(long.data().iter().all(|value| value.is_finite()));
    assert_ne!(long, cut);
}

/// It would give a text other tokens each time.
#[test]
fn merges_left_out_by_chance_are_refused() {
    let is_bpe = |family: &FamilyGolden| family.name == "modernbert";
    let family = FamilyGolden::all().into_iter().find(is_bpe).unwrap();
    let dir = copy_of(&family.model());
    edit(dir.path(), "tokenizer.json", |json| {
        json["model"]["dropout"] = json!(0.5)
    });
    let message = error(dir.path());
    let expected = "`model.dropout` is 0.5, expected null";
    assert!(message.starts_with(expected), "{message}");
}

/// Nothing that a call leaves behind changes the next.
#[test]
fn a_later_call_has_the_bits_of_the_first() {
    for family in FamilyGolden::all() {
        let model = SentenceEncoder::open(family.model()).unwrap();
        let texts = texts(&family);
        let first = model.encode(&texts).unwrap();
        for i in 0..20 {
            model.encode(&texts[i % texts.len()..]).unwrap();
        }
        // A server that added to its positions ran out of them after 4,000.
        for _ in 0..4_500 {
            model.encode(&["revenue"]).unwrap();
        }
        assert_eq!(model.encode(&texts).unwrap(), first, "{}", family.name);
    }
}

/// With every pooling and what follows it in the folder, at every level and in every precision.
#[test]
fn a_text_has_the_same_bits_alone_and_among_others() {
    for family in FamilyGolden::all() {
        let dir = copy_of(&family.model());
        let pooling =
            json!({"embedding_dimension": 32, "pooling_mode": MODES.map(|(_, mode)| mode)});
        edit(dir.path(), "modules.json", |modules| {
            modules.as_array_mut().unwrap().truncate(2)
        });
        put(dir.path(), "1_Pooling/config.json", &pooling);
        for folder in [dir.path(), &family.model()] {
            for arithmetic in arithmetics() {
                let model = SentenceEncoder::open_on(folder, Arc::new(Cpu::at(arithmetic)));
                same_bits_alone(&model.unwrap(), &family, arithmetic);
            }
        }
    }
}

/// Every level of this processor with every precision.
fn arithmetics() -> Vec<Arithmetic> {
    Level::available()
        .flat_map(|level| Precision::ALL.map(|precision| Arithmetic { level, precision }))
        .collect()
}

fn same_bits_alone(model: &SentenceEncoder, family: &FamilyGolden, arithmetic: Arithmetic) {
    let texts = texts(family);
    let all = model.encode(&texts).unwrap();
    for (i, text) in texts.iter().enumerate() {
        let alone = model.encode(&[text]).unwrap();
        assert_eq!(
            alone.row(0),
            all.row(i),
            "{}, {arithmetic:?}: {text:?}",
            family.name
        );
    }
}

/// Rows of the position table beyond the padding token's are the longest input, whatever its id is.
#[test]
fn positions_after_the_padding_token() {
    let family = FamilyGolden::all()
        .into_iter()
        .find(|family| family.name == "xlm-roberta")
        .unwrap();
    for (padding, longest) in [(1, 128), (0, 129), (3, 126)] {
        let dir = copy_of(&family.model());
        edit(dir.path(), "config.json", |config| {
            config["pad_token_id"] = json!(padding);
        });
        edit(dir.path(), "sentence_bert_config.json", |config| {
            config.as_object_mut().unwrap().remove("max_seq_length");
        });
        let folder = ModelFolder::open(dir.path()).unwrap();
        assert_eq!(folder.input.max_tokens, longest, "padding {padding}");
        let model = SentenceEncoder::open(dir.path()).unwrap();
        let text = "revenue ".repeat(300);
        assert_eq!(model.encode(&[text]).unwrap().rows(), 1);
    }
    let dir = copy_of(&family.model());
    edit(dir.path(), "config.json", |config| {
        config["max_position_embeddings"] = json!(514);
    });
    let refused = SentenceEncoder::open(dir.path()).err().expect("an error");
    let message = format!("{refused}\n{}", refused.hint().unwrap_or_default());
    for part in ["130", "514", "max_position_embeddings", WEIGHTS] {
        assert!(message.contains(part), "{part}: {message}");
    }
}
