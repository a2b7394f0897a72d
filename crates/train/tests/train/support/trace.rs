//! A recorded run of sentence-transformers' trainer.

use std::{collections::BTreeMap, path::Path};

use matryo_testkit::{Tensor, read_json, read_npy, read_safetensors};
use serde_json::Value;

/// What was recorded.
pub struct Trace {
    /// Rows, loss, and the scaled loss that `training_step` returned, of every micro-batch that was trained on.
    pub micro: Vec<(Vec<u32>, f64, f64)>,
    pub steps: Vec<TraceStep>,
    /// Epochs, step, metrics with `eval_` in front.
    pub epochs: Vec<(f64, u64, Value)>,
    /// Entries of the log that hold a loss.
    pub log: Vec<Value>,
    /// Step and value of the best checkpoint; zeros if the run had no evaluation.
    pub best: (u64, f64),
    pub train_loss: f64,
    /// Embeddings of the 16 probe sentences by name: `initial`, `epoch1`..., `final`.
    pub probes: BTreeMap<String, Tensor>,
    /// Final weights, if they were kept: `weights.{name}`, and `rows.{name}` where only changed rows were.
    pub weights: BTreeMap<String, Tensor>,
}

pub struct TraceStep {
    pub micro_batches: u64,
    pub learning_rate: f64,
    /// Before clipping.
    pub grad_norm: f64,
}

impl Trace {
    /// A run of this crate's golden values.
    pub fn tiny(name: &str) -> Self {
        Self::read(&super::golden("traces"), name)
    }

    /// A run in the files `name`.json and `name`.safetensors of a folder.
    pub fn read(folder: &Path, name: &str) -> Self {
        let trace = read_json(folder.join(format!("{name}.json")));
        let (weights, probes) = read_safetensors(folder.join(format!("{name}.safetensors")))
            .into_iter()
            .partition(|(key, _)| key.contains('.'));
        let micro = list(&trace["micro"])
            .iter()
            .map(|m| (rows(&m[0]), number(&m[1]), number(&m[2])))
            .collect();
        let step = |s: &Value| TraceStep {
            micro_batches: number(&s[0]) as u64,
            learning_rate: number(&s[1]),
            grad_norm: number(&s[2]),
        };
        Self {
            micro,
            steps: list(&trace["steps"]).iter().map(step).collect(),
            epochs: list(&trace["epochs"])
                .iter()
                .map(|e| (number(&e[0]), number(&e[1]) as u64, e[2].clone()))
                .collect(),
            log: list(&trace["log"]).to_vec(),
            best: match &trace["best"] {
                Value::Null => (0, 0.0),
                best => (number(&best[0]) as u64, number(&best[1])),
            },
            train_loss: number(&trace["train_loss"]),
            probes,
            weights,
        }
    }

    /// A run as it was recorded, in a folder with trace.json and probe16_*.npy.
    pub fn recorded(folder: &Path) -> Self {
        let trace = read_json(folder.join("trace.json"));
        let trained = list(&trace["micro"])
            .iter()
            .filter(|m| m.get("loss").is_some());
        let micro = trained.map(|m| {
            (
                rows(&m["indices"]),
                number(&m["loss"]),
                number(&m["training_step_return"]),
            )
        });
        let norms = list(&trace["grad_norms_before_clip"]);
        let steps = list(&trace["steps"])
            .iter()
            .zip(norms)
            .map(|(step, norm)| TraceStep {
                micro_batches: number(&step["micro_so_far"]) as u64,
                learning_rate: number(&step["lr_used"][0]),
                grad_norm: number(norm),
            });
        let epoch = |e: &Value| {
            (
                number(&e["epoch"]),
                number(&e["global_step"]) as u64,
                e["metrics"].clone(),
            )
        };
        let epochs: Vec<_> = list(&trace["epochs"]).iter().map(epoch).collect();
        let names = (1..=epochs.len())
            .map(|epoch| format!("epoch{epoch}"))
            .chain(["final".to_owned()]);
        let probe = |name: String| {
            (
                name.clone(),
                read_npy(folder.join(format!("probe16_{name}.npy"))),
            )
        };
        let state = &trace["state"];
        let best = state["best_model_checkpoint"]
            .as_str()
            .and_then(|path| path.rsplit('-').next()?.parse().ok());
        Self {
            micro: micro.collect(),
            steps: steps.collect(),
            log: list(&trace["trainer_log"])
                .iter()
                .filter(|entry| entry.get("loss").is_some())
                .cloned()
                .collect(),
            best: (best.unwrap(), number(&state["best_metric"])),
            train_loss: number(&trace["train_output"]["train_loss"]),
            probes: names.map(probe).collect(),
            weights: BTreeMap::new(),
            epochs,
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn rows(value: &Value) -> Vec<u32> {
    list(value)
        .iter()
        .map(|row| row.as_u64().unwrap() as u32)
        .collect()
}
