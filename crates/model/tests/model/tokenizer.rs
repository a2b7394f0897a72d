//! Token ids equal those of sentence-transformers 5.7.0 with transformers 5.23.0.
//!
//! `golden/token_ids.json`: 64 texts of many scripts, with emoji, control characters, special tokens in the text,
//! and lengths from none to far too long.

use std::{fs, path::Path};

use matryo_model::{ModelFolder, Tokenizer};
use matryo_testkit::tiny_bert;
use matryo_testkit::{self as common, copy_of_tiny};
use serde_json::{Value, json};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/token_ids.json")).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn open(path: &Path) -> Tokenizer {
    Tokenizer::open(&ModelFolder::open(path).unwrap()).unwrap()
}

#[track_caller]
fn assert_ids(tokenizer: &Tokenizer, sentences: &Value, expected: &Value, max_len: usize) {
    let expected: Vec<Vec<u32>> = serde_json::from_value(expected.clone()).unwrap();
    let sentences = strings(sentences);
    let found = tokenizer.encode_batch(&sentences, max_len).unwrap();
    assert_eq!(found.len(), expected.len());
    for ((found, expected), sentence) in found.iter().zip(&expected).zip(&sentences) {
        assert_eq!(&found.ids, expected, "{sentence:?}");
    }
}

#[test]
fn ids_of_all_golden_texts() {
    let golden = golden();
    let tokenizer = open(&tiny_bert());
    assert_ids(&tokenizer, &golden["sentences"], &golden["ids_128"], 128);
    assert_ids(&tokenizer, &golden["sentences"], &golden["ids_16"], 16);
}

/// A map of characters as sentencepiece's models have it (`python/goldens_precompiled.py`): full-width forms, ligatures, half-width
/// katakana, letters with marks, spaces of all kinds, characters that vanish.
#[test]
fn ids_behind_a_precompiled_map() {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/precompiled");
    let golden = common::read_json(made.join("ids.json"));
    let families = common::FamilyGolden::all();
    let family = families.iter().find(|family| family.name == "xlm-roberta");
    let folder = common::copy_of(&family.unwrap().model());
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(made.join(file), folder.path().join(file)).unwrap();
    }
    let json = common::json(folder.path(), "tokenizer.json");
    assert!(json["normalizer"].to_string().contains("Precompiled"));
    let tokenizer = open(folder.path());
    assert_ids(&tokenizer, &golden["texts"], &golden["ids"], 64);
    // Texts that differ in form alone have the same ids.
    let ids = |text: &str| tokenizer.encode(text, 64).unwrap().ids;
    assert_eq!(ids("ｏﬀｅｒ　２０１９"), ids("offer 2019"));
    assert_ne!(ids("offer 2019"), ids("Offer 2019"));
}

/// The tokenizer of models that come from sentencepiece's BPE: spaces are letters, and a character without a token is its bytes.
#[test]
fn unknown_characters_as_bytes() {
    const BYTES: usize = 4;
    let families = common::FamilyGolden::all();
    let family = families.iter().find(|family| family.name == "xlm-roberta");
    let folder = common::copy_of(&family.unwrap().model());
    common::edit(folder.path(), "tokenizer.json", |json| {
        let mut tokens: Vec<String> = ["<s>", "<pad>", "</s>", "<unk>"].map(String::from).into();
        tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
        tokens.extend(["\u{2581}", "a", "b", "\u{2581}a"].map(String::from));
        let ids = tokens.into_iter().zip(0..);
        let vocab: serde_json::Map<String, Value> =
            ids.map(|(token, id)| (token, json!(id))).collect();
        json["model"] = json!({"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true, "vocab": vocab,
            "merges": [["\u{2581}", "a"]]});
        json["normalizer"] = json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u{2581}"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]});
        json["pre_tokenizer"] = Value::Null;
        json["added_tokens"].as_array_mut().unwrap().truncate(4);
    });
    let space = BYTES as u32 + 256;
    let bytes = "\u{1f680}"
        .bytes()
        .map(|byte| BYTES as u32 + u32::from(byte));
    let mut expected = vec![0, space + 3, space, space + 2];
    expected.extend(bytes);
    expected.push(2);
    let found = open(folder.path()).encode("a b\u{1f680}", 64).unwrap();
    assert_eq!(found.ids, expected);
}

/// Tokens that are looked for in the normalised text, or as words of their own.
#[test]
fn flags_of_added_tokens() {
    let folder = copy_of_tiny();
    let token = |id: u32, content: &str, normalized: bool, single_word: bool| {
        json!({"id": id, "content": content, "normalized": normalized, "single_word": single_word, "lstrip": false, "rstrip": false,
            "special": false})
    };
    let texts = [
        "Goodwill",
        "goodwills",
        "GOODWILL, a goodwill",
        "a [X]b",
        "a [X] b",
        "[x]",
        "Pro FORMA",
        "proforma",
        "forma",
        "formal Forma",
    ];
    // With and without one that the vocabulary does not have, both on the way of our own and on the crate's.
    for tokens in [
        vec![
            token(500, "goodwill", true, true),
            token(501, "[X]", false, true),
        ],
        vec![
            token(500, "[X]", false, true),
            token(501, "forma", false, false),
        ],
        vec![token(500, "forma", true, false)],
    ] {
        let source = common::json(&tiny_bert(), "tokenizer.json");
        common::edit(folder.path(), "tokenizer.json", |json| {
            *json = source;
            json["added_tokens"]
                .as_array_mut()
                .unwrap()
                .extend(tokens.clone());
        });
        let reference = tokenizers::Tokenizer::from_file(folder.path().join("tokenizer.json"));
        let (reference, tokenizer) = (reference.unwrap(), open(folder.path()));
        let mut used = 0;
        for text in texts {
            let expected = reference.encode(text, true).unwrap();
            let found = tokenizer.encode(text, 128).unwrap().ids;
            assert_eq!(found, expected.get_ids(), "{text:?}, {tokens:?}");
            used += usize::from(found.iter().any(|id| *id >= 500));
        }
        assert!((1..texts.len()).contains(&used), "{used} texts have them");
    }
}

#[test]
fn lengths_before_cutting() {
    let golden = golden();
    let expected: Vec<usize> = serde_json::from_value(golden["full_len"].clone()).unwrap();
    let found = open(&tiny_bert())
        .encode_batch(&strings(&golden["sentences"]), 128)
        .unwrap();
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(
            (found.full_len, found.truncated),
            (expected, expected > 128)
        );
    }
}

#[test]
fn a_folder_with_only_a_vocabulary() {
    let golden = golden();
    let folder = copy_of_tiny();
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert_ids(
        &open(folder.path()),
        &golden["sentences"],
        &golden["ids_128"],
        128,
    );
}

#[test]
fn casing_comes_from_the_configuration() {
    let golden = golden();
    let folder = copy_of_tiny();
    for file in [None, Some("tokenizer.json")] {
        if let Some(file) = file {
            fs::remove_file(folder.path().join(file)).unwrap();
        }
        common::edit(folder.path(), "sentence_bert_config.json", |c| {
            c["do_lower_case"] = json!(false)
        });
        common::edit(folder.path(), "tokenizer_config.json", |c| {
            c["do_lower_case"] = json!(false)
        });
        assert_ids(
            &open(folder.path()),
            &golden["sentences"],
            &golden["ids_cased"],
            128,
        );
        common::edit(folder.path(), "sentence_bert_config.json", |c| {
            c["do_lower_case"] = json!(true)
        });
        assert_ids(
            &open(folder.path()),
            &golden["sentences"],
            &golden["ids_cased_lowered"],
            128,
        );
    }
}

#[test]
fn truncation_and_padding_of_the_file_are_ignored() {
    let golden = golden();
    let folder = copy_of_tiny();
    common::edit(folder.path(), "tokenizer.json", |t| {
        t["truncation"] =
            json!({"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"});
        t["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    });
    assert_ids(
        &open(folder.path()),
        &golden["sentences"],
        &golden["ids_128"],
        128,
    );
}

#[test]
fn a_prompt_is_counted_without_its_last_special_token() {
    let golden = golden();
    let tokenizer = open(&tiny_bert());
    let expected: Vec<usize> = serde_json::from_value(golden["prompt_len"].clone()).unwrap();
    for (prompt, expected) in strings(&golden["prompts"]).iter().zip(expected) {
        assert_eq!(
            tokenizer.prompt_len(prompt, 128).unwrap(),
            expected,
            "{prompt:?}"
        );
    }
}

#[test]
fn texts_may_be_cut_at_their_start() {
    let folder = copy_of_tiny();
    common::edit(folder.path(), "tokenizer_config.json", |c| {
        c["truncation_side"] = json!("left")
    });
    let tokenizer = open(folder.path());
    let whole = tokenizer
        .encode("the company recorded a loss", 128)
        .unwrap()
        .ids;
    let cut = tokenizer
        .encode("the company recorded a loss", 5)
        .unwrap()
        .ids;
    assert_eq!((cut[0], cut.len()), (whole[0], 5));
    assert_eq!(cut[1..], whole[whole.len() - 4..]);
    common::edit(folder.path(), "tokenizer_config.json", |c| {
        c["truncation_side"] = json!("middle")
    });
    let error = Tokenizer::open(&ModelFolder::open(folder.path()).unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("`truncation_side` is \"middle\""), "{error}");
}

#[test]
fn no_length_is_too_short_to_handle() {
    let tokenizer = open(&tiny_bert());
    for max_len in 0..=2 {
        assert_eq!(
            tokenizer.encode("the company", max_len).unwrap().ids,
            [2, 3]
        );
    }
    assert_eq!(tokenizer.encode("", 128).unwrap().ids, [2, 3]);
}

/// `MATRYO_MINILM` names the folder of all-MiniLM-L6-v2, `MATRYO_GOLDEN` that of its golden values.
#[test]
#[ignore = "needs all-MiniLM-L6-v2 and its golden values"]
fn ids_of_minilm() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let read = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(Path::new(&variable("MATRYO_GOLDEN")).join(file)).unwrap())
            .unwrap()
    };
    let tokenizer = open(Path::new(&variable("MATRYO_MINILM")));
    assert_ids(
        &tokenizer,
        &read("encode/sentences.json"),
        &read("encode/token_ids.json")["input_ids"],
        256,
    );
}
