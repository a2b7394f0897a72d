//! Runs recorded with sentence-transformers, as records of ours: numbers from the traces, nothing from the cards.

use matryo_data::Rows;
use matryo_train::card::{
    Architecture, BestCheckpoint, CardData, DatasetCard, EvalDatasetCard, Evaluation, Hardware,
    Hyperparameter, LossCard, LossRow, ModuleCard, ReportCard, Times, Training, widget_examples,
};
use matryo_train::config::Compat;
use serde_json::{Value, json};

/// Texts in columns.
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: &[&str], rows: &[&[&str]]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            columns: owned(columns),
            rows: rows.iter().map(|row| owned(row)).collect(),
        }
    }
}

impl Rows for Table {
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn columns(&self) -> &[String] {
        &self.columns
    }
    fn text(&self, row: usize, column: usize) -> &str {
        &self.rows[row][column]
    }
}

/// What was read off the trace and the card of a recorded run.
pub fn golden(run: &str) -> Value {
    let path = format!(
        "{}/tests/golden/card/{run}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// The record of a recorded run.
pub fn card(golden: &Value, compat: Compat) -> CardData {
    let data = Table::new(
        &["positive", "anchor"],
        &[&["p 1", "a 1"], &["p 2", "a 2"], &["p 3", "a 3"]],
    );
    let mut dataset =
        DatasetCard::describe(&data, None, "0".repeat(64), compat, &|_, text| text.len());
    dataset.size = tagged_size(golden);
    CardData {
        compat,
        model_name: Some("MiniLM Financial Matryoshka".into()),
        model_id: None,
        language: vec!["en".into()],
        license: Some("apache-2.0".into()),
        base_model: None,
        architecture: minilm(),
        training: Some(training(golden, compat, dataset, widget_examples(&data))),
    }
}

/// `dataset_size:196` of the tags.
fn tagged_size(golden: &Value) -> usize {
    let tags = golden["tags"].as_array().expect("tags");
    let size = tags
        .iter()
        .find_map(|tag| tag.as_str()?.strip_prefix("dataset_size:"))
        .expect("a size");
    size.parse().expect("a number")
}

fn training(
    golden: &Value,
    compat: Compat,
    dataset: DatasetCard,
    widget: Vec<matryo_train::card::WidgetExample>,
) -> Training {
    let best = golden["best"].as_str().expect("best");
    Training {
        loss: LossCard {
            names: vec![
                "MatryoshkaLoss".into(),
                "MultipleNegativesRankingLoss".into(),
            ],
            config: golden["loss_config"].clone(),
            citations: vec![(
                "MatryoshkaLoss".into(),
                "@misc{kusupati2024matryoshka}".into(),
            )],
        },
        dataset,
        eval_dataset: Some(EvalDatasetCard {
            name: "held out".into(),
            queries: 49,
            documents: 245,
            relevant: 49,
            fingerprint: "1".repeat(64),
            truncated: None,
        }),
        before: reports(&golden["before"], compat),
        evaluations: list(&golden["evaluations"])
            .iter()
            .map(|e| evaluation(e, compat))
            .collect(),
        losses: list(&golden["losses"]).iter().map(loss_row).collect(),
        saved_step: best
            .trim_start_matches("checkpoint-")
            .parse()
            .expect("a step"),
        best: Some(BestCheckpoint {
            metric: "eval_dim_128_cosine_ndcg@10".into(),
            value: 0.7494702926166725,
            greater_is_better: true,
        }),
        hyperparameters: hyperparameters(),
        hardware: Hardware {
            cpu: Some("Some CPU".into()),
            cores: 2,
            threads: 2,
            memory_bytes: Some(8_000_000_000),
            compute: "cpu, f32".into(),
        },
        times: Times {
            training: 480.0,
            evaluation: 288.0,
        },
        versions: vec![("matryo".into(), "0.1.0".into())],
        seeds: vec![("seed".into(), 42)],
        weights_sha256: Some("2".repeat(64)),
        widget,
        usage_similarities: None,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn loss_row(row: &Value) -> LossRow {
    LossRow {
        epoch: row[0].as_f64().expect("epoch"),
        step: row[1].as_u64().expect("step"),
        loss: row[2].as_f64().expect("loss"),
    }
}

fn evaluation(value: &Value, compat: Compat) -> Evaluation {
    Evaluation {
        epoch: value["epoch"].as_f64().expect("epoch"),
        step: value["step"].as_u64().expect("step"),
        reports: reports(&value["reports"], compat),
    }
}

fn reports(value: &Value, compat: Compat) -> Vec<ReportCard> {
    let primary = match compat {
        Compat::Current => "cosine_ndcg@10",
        Compat::V3_0 => "cosine_map@100",
    };
    let metric = |m: &Value| {
        (
            m[0].as_str().expect("key").to_owned(),
            m[1].as_f64().expect("value"),
        )
    };
    let report = |r: &Value| {
        let name = r["name"].as_str().expect("name").to_owned();
        let dim = name.trim_start_matches("dim_").parse().ok();
        let metrics = list(&r["metrics"]).iter().map(metric).collect();
        let report = matryo_eval::Report {
            name,
            primary: primary.to_owned(),
            metrics,
        };
        ReportCard::information_retrieval(&report, dim)
    };
    list(value).iter().map(report).collect()
}

/// all-MiniLM-L6-v2.
fn minilm() -> Architecture {
    Architecture {
        transformer: Some("BertModel".into()),
        max_seq_length: 256,
        do_lower_case: false,
        dim: 384,
        modules: vec![
            ModuleCard::Pooling {
                dim: 384,
                modes: vec!["mean".into()],
                include_prompt: true,
            },
            ModuleCard::Normalize,
        ],
        similarity: Some("cosine".into()),
        parameters: Some(22_713_216),
        has_roles: false,
    }
}

/// The settings of the 5.7 run, values as a configuration file holds them.
fn hyperparameters() -> Vec<Hyperparameter> {
    let set = [
        ("output_dir", json!("out"), false),
        ("eval_strategy", json!("epoch"), false),
        ("per_device_train_batch_size", json!(32), false),
        ("num_train_epochs", json!(4), false),
        ("learning_rate", json!(2e-5), false),
        ("lr_scheduler_type", json!("cosine"), false),
        ("warmup_steps", json!(0.1), false),
        ("gradient_accumulation_steps", json!(16), false),
        ("per_device_eval_batch_size", json!(16), false),
        ("load_best_model_at_end", json!(true), false),
        ("use_cpu", json!(true), false),
        ("dataloader_pin_memory", json!(false), false),
        ("batch_sampler", json!("no_duplicates"), false),
        ("adam_epsilon", json!(1e-8), true),
        ("max_grad_norm", json!(1.0), true),
        ("data_seed", json!(null), true),
    ];
    set.into_iter()
        .map(|(name, value, is_default)| Hyperparameter {
            name: name.into(),
            value,
            is_default,
        })
        .collect()
}
