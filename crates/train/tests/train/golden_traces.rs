//! Whole runs of the tiny model against recorded runs of sentence-transformers 5.7 and 3.0.1, without dropout.

use std::path::Path;

use crate::support::{self, Flags, Trace, compare, recipe, set, train};
use serde_json::Value;

/// The flags of a recorded run by its name: data, accumulation, version.
fn flags_of(name: &str, output_dir: &Path) -> Flags {
    let mut flags = recipe(output_dir);
    if name.starts_with("long") {
        set(
            &mut flags,
            "train_data",
            &support::repository("examples/finance/train.jsonl"),
        );
        set(
            &mut flags,
            "eval_data",
            &support::golden("long_eval").display().to_string(),
        );
        set(&mut flags, "num_train_epochs", "1");
        set(&mut flags, "gradient_accumulation_steps", "1");
    }
    if name.contains("_a2_") {
        set(&mut flags, "gradient_accumulation_steps", "2");
    }
    if name.ends_with("st30") {
        set(&mut flags, "compat", "3.0");
    }
    flags
}

fn check(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("model");
    let trace = Trace::tiny(name);
    let (outcome, recorder) = train(&flags_of(name, &output));
    compare::course(&trace, &recorder);
    compare::result(&trace, &outcome);
    for (index, (_, step, _)) in trace.epochs.iter().enumerate() {
        let checkpoint = output.join(format!("checkpoint-{step}"));
        // At most three were kept.
        if checkpoint.exists() {
            compare::probes(&trace, &format!("epoch{}", index + 1), &checkpoint);
        }
    }
    compare_log(&trace, &output);
    if !trace.weights.is_empty() {
        let is_zero = |name: &str| name.ends_with("attention.self.key.bias");
        compare::weights(&trace, &output, &matryo_testkit::tiny_bert(), is_zero);
    }
}

/// Entries of log_history with a loss: 5.7 logs the rate of the step, 3.0 a rounded loss and the next rate.
fn compare_log(trace: &Trace, output: &Path) {
    let state = matryo_testkit::read_json(output.join("trainer_state.json"));
    let entries = state["log_history"].as_array().unwrap();
    let losses: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry.get("loss").is_some())
        .collect();
    assert_eq!(losses.len(), trace.log.len(), "entries of the log");
    for (found, expected) in losses.iter().zip(&trace.log) {
        for (key, tolerance) in [
            ("loss", 1e-4),
            ("grad_norm", 1e-3),
            ("learning_rate", 1e-15),
            ("epoch", 0.0),
        ] {
            let (a, b) = (
                found[key].as_f64().unwrap(),
                expected[key].as_f64().unwrap(),
            );
            assert!(
                (a - b).abs() <= tolerance * b.abs(),
                "{key}: {a}, expected {b}"
            );
        }
    }
}

#[test]
fn recipe_5_7() {
    check("seedU_a16_st57");
}

#[test]
fn recipe_3_0() {
    check("seedU_a16_st30");
}

#[test]
fn accumulation_of_2_5_7() {
    check("seedU_a2_st57");
}

#[test]
fn accumulation_of_2_3_0() {
    check("seedU_a2_st30");
}

#[test]
fn long_run_5_7() {
    check("long_st57");
}

#[test]
fn long_run_3_0() {
    check("long_st30");
}

#[test]
fn the_recipe_warns_of_what_it_does() {
    let dir = tempfile::tempdir().unwrap();
    for compat in ["5.7", "3.0"] {
        let mut flags = recipe(&dir.path().join(compat));
        set(&mut flags, "compat", compat);
        let (_, recorder) = train(&flags);
        let expected = [
            "the first of 4 optimizer steps has learning rate 0 and changes nothing",
            "16 micro-batches per optimizer step are never reached: an epoch has 7",
            "49 evaluation queries mean 2.0 points per query",
        ];
        for text in expected {
            assert!(
                recorder.warnings.iter().any(|w| w.starts_with(text)),
                "{text}: {:?}",
                recorder.warnings
            );
        }
        let micro: Vec<u64> = recorder
            .steps
            .iter()
            .map(|step| step.micro_batches)
            .collect();
        assert_eq!(
            micro,
            if compat == "5.7" {
                [7, 14, 21, 28]
            } else {
                [7, 14, 16, 21]
            }
        );
    }
}
