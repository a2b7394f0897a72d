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

#[test]
fn five_steps() {
    for family in FamilyGolden::all() {
        println!("{}", family.name);
        let dir = tempfile::tempdir().unwrap();
        let trace = Trace::read(&family.folder, "trace");
        let (outcome, recorder) = train(&flags(&family, dir.path()));
        compare::course(&trace, &recorder);
        compare::probes(&trace, "final", &outcome.output_dir);
        let facts = family.facts();
        let listed = facts["zero_gradients"].as_array().unwrap();
        let is_zero = |name: &str| listed.iter().any(|entry| *entry == name);
        compare::weights(&trace, &outcome.output_dir, &family.model(), is_zero);
    }
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
