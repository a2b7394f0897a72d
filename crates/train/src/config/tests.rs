//! Settings from files and flags.

use super::*;

fn load(toml: &str, flags: &[(&str, &str)]) -> Result<TrainConfig, TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(
        &path,
        format!("model = \"m\"\ntrain_data = \"t.jsonl\"\noutput_dir = \"o\"\n{toml}"),
    )
    .unwrap();
    let flags: Vec<_> = flags
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    TrainConfig::load(Some(&path), &flags)
}

fn refused(toml: &str, flags: &[(&str, &str)]) -> TrainError {
    load(toml, flags).expect_err("a refused configuration")
}

#[test]
fn every_key_has_a_field_and_a_default_that_fits() {
    let config = load("", &[]).unwrap();
    let fields = serde_json::to_value(&config).unwrap();
    let fields: Vec<_> = fields.as_object().unwrap().keys().cloned().collect();
    let keys: Vec<_> = TrainConfig::keys()
        .iter()
        .map(|key| key.name.to_owned())
        .collect();
    let sorted = |mut v: Vec<String>| {
        v.sort();
        v
    };
    assert_eq!(sorted(fields), sorted(keys));
    let changed: Vec<_> = config
        .settings()
        .into_iter()
        .filter(|s| !s.2)
        .map(|s| s.0)
        .collect();
    assert_eq!(changed, ["model", "train_data", "output_dir"]);
}

#[test]
fn defaults_are_those_of_transformers() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.per_device_train_batch_size, 8);
    assert_eq!(config.num_train_epochs, 3.0);
    assert_eq!(config.learning_rate, 5e-5);
    assert_eq!(config.adam_epsilon, 1e-8);
    assert_eq!(config.lr_scheduler_type, LrScheduler::Linear);
    assert_eq!(
        (config.eval_strategy, config.save_strategy),
        (Strategy::No, Strategy::Steps)
    );
    assert_eq!(config.batch_sampler, SamplerKind::BatchSampler);
    assert_eq!(
        (config.seed, config.max_steps, config.logging_steps),
        (42, -1, 500.0)
    );
}

#[test]
fn flags_win_over_the_file() {
    let flags = [
        ("learning_rate", "2e-05"),
        ("matryoshka_dims", "768,512"),
        ("columns", "positive, anchor"),
    ];
    let config = load("learning_rate = 1e-3\nseed = 7\nlanguage = \"en\"", &flags).unwrap();
    assert_eq!(config.learning_rate, 2e-5);
    assert_eq!(config.seed, 7);
    assert_eq!(config.matryoshka_dims, Some(vec![768, 512]));
    assert_eq!(
        config.columns,
        Some(vec!["positive".to_owned(), "anchor".to_owned()])
    );
    assert_eq!(config.language, ["en"]);
}

#[test]
fn a_published_list_can_be_copied() {
    let list = "bf16 = false\nfp16 = false\noptim = \"adamw_torch_fused\"\ndataloader_num_workers = 0\n\
                push_to_hub = false\nlr_scheduler_kwargs = {}\nmax_seq_length = \"None\"\nreport_to = \"none\"\n\
                evaluation_strategy = \"no\"\nwarmup_steps = 0.1\nfsdp = []\nhub_model_id = \"None\"";
    let config = load(list, &[("bf16", "False"), ("use_cpu", "True")]).unwrap();
    assert_eq!(config.warmup_steps, 0.1);
    assert!(config.without_effect.iter().any(|key| key == "optim"));
}

#[test]
fn keys_of_upstream_are_refused_with_a_reason() {
    let cases = [
        (
            "fp16 = true",
            "`fp16 = true` is not supported: `precision` and `bf16` choose",
            "config.toml, line 4",
        ),
        (
            "push_to_hub = true",
            "matryo does not publish models",
            "line 4",
        ),
        ("\ndeepspeed = \"ds.json\"", "in one process", "line 5"),
        ("optim = \"adafactor\"", "the optimizer is AdamW", "line 4"),
        (
            "lr_scheduler_kwargs = { num_cycles = 2 }",
            "default parameters",
            "line 4",
        ),
    ];
    for (toml, reason, place) in cases {
        let message = refused(toml, &[]).to_string();
        assert!(
            message.contains(reason) && message.contains(place),
            "{message}"
        );
    }
}

#[test]
fn unknown_keys_name_the_nearest() {
    let error = refused("lerning_rate = 1e-3", &[]);
    assert_eq!(
        error.hint().as_deref(),
        Some("did you mean `learning_rate`?")
    );
    assert!(
        error
            .to_string()
            .starts_with("unknown key `lerning_rate`\n  in "),
        "{error}"
    );
    let error = refused("", &[("batch-sampler", "no_duplicates")]);
    assert_eq!(
        error.hint().as_deref(),
        Some("did you mean `batch_sampler`?")
    );
    assert_eq!(
        error.to_string(),
        "unknown key `batch-sampler`\n  on the command line"
    );
}

#[test]
fn values_are_checked_for_type_and_range() {
    let cases = [
        (
            "learning_rate = \"fast\"",
            "`learning_rate` is \"fast\", expected a number of at least 0\n",
        ),
        (
            "adam_beta1 = 1.0",
            "`adam_beta1` is 1.0, expected a number from 0 to",
        ),
        (
            "per_device_train_batch_size = 0",
            "expected a whole number of at least 1",
        ),
        (
            "matryoshka_dims = []",
            "expected a list of whole numbers above 0",
        ),
        (
            "lr_scheduler_type = \"inverse_sqrt\"",
            "expected one of linear, cosine,",
        ),
        (
            "retain = \"none\"",
            "expected a whole number of at least 0, or \"all\"",
        ),
        (
            "save_steps = 1.5",
            "`save_steps` is 1.5, expected a whole number above 0",
        ),
        ("seed = 2026-01-01", "expected a whole number"),
        ("learning_rate = nan", "expected a number"),
    ];
    for (toml, text) in cases {
        let message = refused(toml, &[]).to_string();
        assert!(message.contains(text), "{message}");
    }
    let message = refused("", &[("max_steps", "many")]).to_string();
    assert_eq!(
        message,
        "`max_steps` is many, expected a whole number of at least -1\n  on the command line"
    );
}

#[test]
fn broken_files_are_reported_with_their_line() {
    let message = refused("seed = = 3", &[]).to_string();
    assert!(
        message.starts_with("not valid TOML") && message.ends_with("line 4"),
        "{message}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"model = \"m\"\n# \xe9\n").unwrap();
    let message = TrainConfig::load(Some(&path), &[])
        .expect_err("not UTF-8")
        .to_string();
    assert!(
        message.starts_with("not UTF-8") && message.ends_with("line 2"),
        "{message}"
    );
    assert!(matches!(
        TrainConfig::load(None, &[]),
        Err(TrainError::MissingKey { key: "model" })
    ));
}

#[test]
fn contradictions_are_found() {
    let best = "eval_data = \"e\"\nload_best_model_at_end = true\nmetric_for_best_model = \"cosine_ndcg@10\"\n";
    assert!(matches!(
        refused("eval_strategy = \"epoch\"", &[]),
        TrainError::Needs {
            other: "eval_data",
            ..
        }
    ));
    let error = refused(&format!("{best}eval_strategy = \"epoch\""), &[]);
    assert!(
        matches!(error, TrainError::StrategyMismatch { .. }),
        "{error}"
    );
    let steps = "eval_strategy = \"steps\"\nsave_strategy = \"steps\"\n";
    let error = refused(
        &format!("{best}{steps}eval_steps = 10\nsave_steps = 25"),
        &[],
    );
    assert!(
        matches!(error, TrainError::SaveStepsNoMultiple { .. }),
        "{error}"
    );
    let error = refused(
        &format!("{best}{steps}eval_steps = 0.1\nsave_steps = 20"),
        &[],
    );
    assert!(
        matches!(error, TrainError::SaveStepsNoMultiple { .. }),
        "{error}"
    );
    load(
        &format!("{best}{steps}eval_steps = 0.1\nsave_steps = 0.3"),
        &[],
    )
    .unwrap();
    let error = refused("matryoshka_dims = [8, 4]\nmatryoshka_weights = [1]", &[]);
    assert!(
        matches!(
            error,
            TrainError::WeightCount {
                dims: 2,
                weights: 1
            }
        ),
        "{error}"
    );
    assert!(matches!(
        refused("load_best_model_at_end = true", &[]),
        TrainError::Needs { .. }
    ));
}
