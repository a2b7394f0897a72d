//! Training in every precision: the same bits whatever the threads, the activations kept, and the interruptions.

use std::path::Path;

use crate::support::{Flags, Recorder, set, short_run, train, try_train, weights_sha256};
use matryo_train::TrainError;

const PRECISIONS: [&str; 4] = ["f32", "f32x3", "bf16", "int16"];

fn flags(output: &Path, precision: &str) -> Flags {
    let mut flags = short_run(output);
    set(&mut flags, "num_train_epochs", "1");
    set(&mut flags, "precision", precision);
    set(&mut flags, "tokens_per_batch", "600");
    flags
}

#[test]
fn threads_and_kept_activations_change_no_bit() {
    for precision in PRECISIONS {
        let dir = tempfile::tempdir().unwrap();
        let hashes = [(1, "all"), (2, "0"), (3, "1")].map(|(threads, retain)| {
            let output = dir.path().join(format!("{threads}"));
            let mut flags = flags(&output, precision);
            set(&mut flags, "retain", retain);
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| train(&flags));
            weights_sha256(&output)
        });
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{precision}");
    }
}

#[test]
fn an_interrupted_run_ends_with_the_same_bits() {
    for precision in PRECISIONS {
        let dir = tempfile::tempdir().unwrap();
        let (whole, stopped) = (dir.path().join("whole"), dir.path().join("stopped"));
        let mut flags = flags(&whole, precision);
        set(&mut flags, "save_strategy", "steps");
        set(&mut flags, "save_steps", "1");
        train(&flags);
        set(&mut flags, "output_dir", &stopped.display().to_string());
        let mut recorder = Recorder {
            stop_after: Some(2),
            ..Recorder::default()
        };
        assert!(matches!(
            try_train(&flags, &mut recorder),
            Err(TrainError::Stopped { step: 2 })
        ));
        set(&mut flags, "resume_from_checkpoint", "true");
        train(&flags);
        assert_eq!(
            weights_sha256(&stopped),
            weights_sha256(&whole),
            "{precision}"
        );
        set(
            &mut flags,
            "precision",
            if precision == "f32" { "int16" } else { "f32" },
        );
        let refused = try_train(&flags, &mut Recorder::default())
            .expect_err("another precision")
            .to_string();
        assert!(refused.starts_with("`precision` was "), "{refused}");
    }
}

/// Each precision does something, and nearly the same; `bf16 = true` is one of them.
#[test]
fn losses_agree() {
    let dir = tempfile::tempdir().unwrap();
    let run = |precision: &str| {
        let output = dir.path().join(precision);
        let mut flags = flags(&output, precision);
        if precision == "bf16 = true" {
            flags.retain(|(key, _)| key != "precision");
            set(&mut flags, "bf16", "true");
        }
        let (_, recorder) = train(&flags);
        let steps: Vec<(f64, f64)> = recorder
            .steps
            .iter()
            .map(|step| (step.loss, step.grad_norm))
            .collect();
        (weights_sha256(&output), steps)
    };
    let (exact, expected) = run("f32");
    for (precision, tolerance) in [("bf16", 2e-2), ("int16", 2e-3)] {
        let (hash, found) = run(precision);
        assert_ne!(hash, exact, "{precision}");
        for (a, b) in found.iter().zip(&expected) {
            assert!(
                (a.0 - b.0).abs() < tolerance * b.0,
                "{precision}: loss {} for {}",
                a.0,
                b.0
            );
            assert!(
                (a.1 - b.1).abs() < 5.0 * tolerance * b.1,
                "{precision}: norm {} for {}",
                a.1,
                b.1
            );
        }
    }
    assert_eq!(
        run("bf16 = true").0,
        weights_sha256(&dir.path().join("bf16"))
    );
}

#[test]
fn two_precisions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut flags = flags(&dir.path().join("model"), "int16");
    set(&mut flags, "bf16", "true");
    let refused = try_train(&flags, &mut Recorder::default())
        .expect_err("two precisions")
        .to_string();
    assert_eq!(
        refused,
        "`bf16 = true` and `precision = \"int16\"` contradict each other"
    );
}
