//! Five steps of every family's tiny model against recorded runs of sentence-transformers 6.2, without dropout.

use std::path::Path;

use matryo_testkit::FamilyGolden;

use crate::support::{Flags, Trace, compare, recipe, set, train};

/// As `python/families_trace.py` trains: 80 rows of the recipe, batches of 8, no accumulation, no evaluation.
fn flags(family: &FamilyGolden, dir: &Path) -> Flags {
    let mut flags = recipe(&dir.join("model"));
    let all = std::fs::read_to_string(crate::support::repository(
        "examples/finance/reference/train.jsonl",
    ));
    let rows: Vec<String> = all
        .unwrap()
        .lines()
        .take(80)
        .map(|l| format!("{l}\n"))
        .collect();
    let data = dir.join("train.jsonl");
    std::fs::write(&data, rows.concat()).unwrap();
    flags.retain(|(key, _)| key != "eval_data");
    for (key, value) in [
        ("model", family.model().display().to_string()),
        ("train_data", data.display().to_string()),
        ("per_device_train_batch_size", "8".into()),
        ("gradient_accumulation_steps", "1".into()),
        ("max_steps", "5".into()),
        ("eval_strategy", "no".into()),
        ("save_strategy", "no".into()),
        ("load_best_model_at_end", "false".into()),
        ("logging_steps", "1".into()),
    ] {
        set(&mut flags, key, &value);
    }
    flags
}

fn follows_its_trace(golden: &FamilyGolden) {
    println!("{}", golden.name);
    let dir = tempfile::tempdir().unwrap();
    let trace = Trace::read(&golden.folder, "trace");
    let (outcome, recorder) = train(&flags(golden, dir.path()));
    compare::course(&trace, &recorder);
    compare::probes(&trace, "final", &outcome.output_dir);
    if let Ok(config) = std::fs::read_to_string(outcome.output_dir.join("config.json")) {
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(
            config["matryoshka_dimensions"],
            serde_json::json!([32, 16, 8])
        );
    }
    let facts = golden.facts();
    let listed = facts["zero_gradients"].as_array();
    let is_zero =
        |name: &str| listed.is_some_and(|listed| listed.iter().any(|entry| *entry == name));
    compare::weights(&trace, &outcome.output_dir, &golden.model(), is_zero);
}

#[test]
fn five_steps() {
    FamilyGolden::all().iter().for_each(follows_its_trace);
}

#[test]
fn five_steps_of_every_module() {
    let stacked = FamilyGolden::of_modules().into_iter();
    let stacked = stacked.filter(|golden| golden.name == "stacked");
    stacked.for_each(|golden| follows_its_trace(&golden));
}

/// Learning rates by overlapping patterns, with weight decay.
#[test]
fn five_steps_with_learning_rates_of_their_own() {
    let mut goldens = FamilyGolden::of_modules().into_iter();
    let golden = goldens.find(|golden| golden.name == "stacked").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let trace = Trace::read(&golden.folder, "rates");
    let mut flags = flags(&golden, dir.path());
    set(&mut flags, "weight_decay", "0.1");
    let mapping = [
        r#""embeddings" = 1e-4"#,
        r"'layer\.0\.' = 3e-3",
        r"'layer\.\d\.attention.*bias$' = 0",
        r"'^model\.[2-9]\.' = 2e-3",
    ];
    let mapping = format!("{{ {} }}", mapping.join(", "));
    set(&mut flags, "learning_rate_mapping", &mapping);
    let (outcome, recorder) = train(&flags);
    compare::course(&trace, &recorder);
    compare::probes(&trace, "final", &outcome.output_dir);
    compare::weights(&trace, &outcome.output_dir, &golden.model(), |_| false);
    let card = std::fs::read_to_string(outcome.output_dir.join("README.md")).unwrap();
    assert!(
        card.contains(r"`learning_rate_mapping`: {'embeddings': 0.0001, 'layer\\.0\\.': 0.003,"),
        "{card}"
    );
}

/// A table for queries and an encoder for documents: each column takes its route.
#[test]
fn five_steps_of_a_model_with_routes() {
    let mut goldens = FamilyGolden::of_modules().into_iter();
    let golden = goldens.find(|golden| golden.name == "static-query");
    let golden = golden.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let trace = Trace::read(&golden.folder, "trace");
    let mut flags = flags(&golden, dir.path());
    set(&mut flags, "matryoshka_dims", "24,16,8");
    set(
        &mut flags,
        "router_mapping",
        "{ anchor = \"query\", positive = \"document\" }",
    );
    let (outcome, recorder) = train(&flags);
    compare::course(&trace, &recorder);
    compare::probes(&trace, "final", &outcome.output_dir);
    let task = Some("query".to_owned());
    compare::probes_with(&trace, "final_query", &outcome.output_dir, task);
    for place in ["query_0_StaticEmbedding", "document_0_Transformer"] {
        let weights = outcome.output_dir.join(place).join("model.safetensors");
        assert!(weights.exists(), "{place}");
    }
    let card = std::fs::read_to_string(outcome.output_dir.join("README.md")).unwrap();
    assert!(card.contains("(0): Router({\"query\":[\"StaticEmbedding(500 x 24)\"]"));
    assert!(card.contains("query_embeddings = model.encode_query(queries)"));
    assert!(card.contains("print(similarities)\n# tensor([["), "{card}");
}

#[test]
fn five_steps_of_a_static_model() {
    let goldens = FamilyGolden::of_static_models().into_iter();
    let traced: Vec<_> = goldens
        .filter(|golden| golden.folder.join("trace.json").exists())
        .collect();
    assert!(!traced.is_empty());
    traced.iter().for_each(follows_its_trace);
}

/// Losses and embeddings follow the recorded run. Single weights need not: where a gradient is nearly 0, Adam makes a step of
/// what rounding leaves of it.
#[test]
fn five_steps_in_the_default_precision() {
    for family in FamilyGolden::all() {
        println!("{}", family.name);
        let dir = tempfile::tempdir().unwrap();
        let trace = Trace::read(&family.folder, "trace");
        let mut flags = flags(&family, dir.path());
        flags.retain(|(key, _)| key != "precision");
        let (outcome, recorder) = train(&flags);
        compare::course(&trace, &recorder);
        compare::probes(&trace, "final", &outcome.output_dir);
    }
}
