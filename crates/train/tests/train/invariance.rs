//! What must not change the result: how many activations are kept, how many tokens go through at once, the number of threads.

use std::path::{Path, PathBuf};

use crate::support::{Flags, set, short_run, train, weights_sha256};

/// The tiny model with dropout, and data in which texts repeat across rows and columns.
struct Setting {
    dir: tempfile::TempDir,
    dropout: &'static str,
}

impl Setting {
    fn new(dropout: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_folder(&matryo_testkit::tiny_bert(), &dir.path().join("base"));
        let config = dir.path().join("base/config.json");
        let mut json = matryo_testkit::read_json(&config);
        for key in ["hidden_dropout_prob", "attention_probs_dropout_prob"] {
            json[key] = serde_json::from_str(dropout).unwrap();
        }
        std::fs::write(&config, json.to_string()).unwrap();
        let row = |i: usize| {
            let passage = format!(
                "Revenue of segment {} rose by {} million dollars in the year {}.",
                i % 5,
                i % 7,
                2000 + i
            );
            let question = if i.is_multiple_of(6) {
                "What changed?".to_owned()
            } else {
                format!("What happened in {}?", 2000 + i)
            };
            serde_json::json!({"positive": passage, "anchor": question, "negative": format!("Costs of segment {}", i % 5)})
        };
        let rows: String = (0..24).map(|i| format!("{}\n", row(i))).collect();
        std::fs::write(dir.path().join("train.jsonl"), rows).unwrap();
        Self { dir, dropout }
    }

    fn flags(&self, name: &str) -> Flags {
        let mut flags = short_run(&self.dir.path().join(name));
        set(
            &mut flags,
            "model",
            &self.dir.path().join("base").display().to_string(),
        );
        set(
            &mut flags,
            "train_data",
            &self.dir.path().join("train.jsonl").display().to_string(),
        );
        set(&mut flags, "columns", "positive,anchor,negative");
        set(&mut flags, "batch_sampler", "batch_sampler");
        set(&mut flags, "per_device_train_batch_size", "12");
        set(&mut flags, "n_dims_per_step", "2");
        flags
    }

    /// SHA-256 of the weights, and (loss, norm) of every step.
    fn run(&self, tokens_per_batch: &str, retain: &str) -> (String, Vec<(f64, f64)>) {
        let name = format!("{}-{tokens_per_batch}-{retain}", self.dropout);
        let mut flags = self.flags(&name);
        set(&mut flags, "tokens_per_batch", tokens_per_batch);
        set(&mut flags, "retain", retain);
        let (outcome, recorder) = train(&flags);
        let steps = recorder
            .steps
            .iter()
            .map(|step| (step.loss, step.grad_norm))
            .collect();
        (weights_sha256(&outcome.output_dir), steps)
    }
}

fn copy_folder(from: &Path, to: &PathBuf) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn kept_activations_change_no_bit() {
    for dropout in ["0.1", "0.0"] {
        let setting = Setting::new(dropout);
        let all = setting.run("64", "all");
        assert_eq!(all.1.len(), 2);
        assert_eq!(setting.run("64", "0"), all, "retain 0, dropout {dropout}");
        assert_eq!(setting.run("64", "1"), all, "retain 1, dropout {dropout}");
    }
}

#[test]
fn token_budgets_agree_to_rounding() {
    for dropout in ["0.1", "0.0"] {
        let setting = Setting::new(dropout);
        let (_, expected) = setting.run("100000", "all");
        for tokens_per_batch in ["1", "50", "333"] {
            let (_, found) = setting.run(tokens_per_batch, "1");
            for (a, b) in found.iter().zip(&expected) {
                assert!((a.0 - b.0).abs() < 1e-5 * b.0, "loss {} for {}", a.0, b.0);
                assert!((a.1 - b.1).abs() < 1e-4 * b.1, "norm {} for {}", a.1, b.1);
            }
        }
    }
}

/// Dropout must do something, and something else with another seed.
#[test]
fn dropout_depends_on_the_seed_alone() {
    let setting = Setting::new("0.1");
    let without = Setting::new("0.0").run("64", "all");
    let first = setting.run("64", "all");
    assert_ne!(first.1, without.1);
    let mut flags = setting.flags("other-seed");
    set(&mut flags, "seed", "7");
    set(&mut flags, "data_seed", "42");
    let (outcome, _) = train(&flags);
    assert_ne!(weights_sha256(&outcome.output_dir), first.0);
}

#[test]
fn threads_change_no_bit() {
    let setting = Setting::new("0.1");
    let hashes = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| setting.run("200", ["all", "0", "1"][threads - 1]).0)
    });
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}
