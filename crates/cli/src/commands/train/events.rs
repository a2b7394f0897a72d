//! Events of a training run as JSON, one object a line. The schema is told by `matryo train --help`.

use std::io::{self, Write};

use matryo_model::{HubProgress, limit};
use matryo_train::{
    Event, Observer, TrainOutcome,
    events::{MemoryPlan, RunPlan, StepEvent},
};
use serde_json::{Value, json};

use crate::metrics;

/// Writes every event as it comes.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`, one write a line.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Observer for JsonLines<W> {
    fn event(&mut self, event: &Event<'_>) {
        if let Some(value) = to_json(event) {
            write_line(&mut self.out, &value);
        }
    }
}

/// Downloads of the base model, as events.
pub struct JsonDownloads;

impl HubProgress for JsonDownloads {
    fn begin(&self, file: &str, size: Option<u64>, _: u64) {
        write_line(
            &mut io::stderr(),
            &json!({"event": "download", "file": file, "bytes": size}),
        );
    }

    fn note(&self, text: &str) {
        write_line(
            &mut io::stderr(),
            &json!({"event": "warning", "text": text}),
        );
    }
}

/// Training goes on when nobody listens any more, so an error is dropped.
fn write_line(out: &mut impl Write, value: &Value) {
    let _ = out.write_all(format!("{value}\n").as_bytes());
}

fn to_json(event: &Event<'_>) -> Option<Value> {
    let value = match event {
        Event::Plan(plan) => self::plan(plan),
        Event::Warning { text } => json!({"event": "warning", "text": text}),
        Event::Step(step) => self::step(step),
        Event::Evaluated {
            step,
            epoch,
            reports,
        } => {
            json!({"event": "evaluated", "step": step, "epoch": epoch, "metrics": metrics::json(reports)})
        }
        Event::Saved { path } => json!({"event": "saved", "path": path}),
        Event::Done(outcome) => done(outcome),
        _ => return None,
    };
    Some(value)
}

/// In bytes.
fn memory(memory: &MemoryPlan) -> Value {
    json!({
        "total": memory.total(),
        "process": memory.process,
        "texts": memory.texts,
        "parameters": memory.parameters,
        "optimizer": memory.optimizer,
        "activations": memory.activations,
        "working": memory.working,
        "evaluation": memory.evaluation,
    })
}

fn plan(plan: &RunPlan) -> Value {
    json!({
        "event": "plan",
        "model": plan.config.model,
        "dim": plan.dim,
        "parameters": plan.parameters,
        "trainable": plan.trainable,
        "max_seq_length": limit(plan.max_seq_length),
        "rows": plan.rows,
        "columns": plan.columns,
        "queries": plan.evaluation.map(|(queries, _)| queries),
        "documents": plan.evaluation.map(|(_, documents)| documents),
        "loss": plan.loss,
        "dims": plan.dims,
        "batches_per_epoch": plan.batches_per_epoch,
        "steps": plan.steps,
        "warmup_steps": plan.warmup_steps,
        "resumed_step": plan.resumed_step,
        "precision": plan.precision,
        "device": plan.device,
        "threads": plan.threads,
        "memory": memory(&plan.memory),
        "notes": plan.notes,
    })
}

fn step(step: &StepEvent) -> Value {
    json!({
        "event": "step",
        "step": step.step,
        "total": step.total,
        "epoch": step.epoch,
        "loss": step.loss,
        "learning_rate": step.learning_rate,
        "grad_norm": step.grad_norm,
        "tokens_per_second": step.tokens_per_second,
        "remaining_seconds": step.remaining.as_secs_f64(),
    })
}

/// What the run left; also the result on standard output with `--json`.
pub fn done(outcome: &TrainOutcome) -> Value {
    json!({
        "event": "done",
        "output_dir": outcome.output_dir,
        "steps": outcome.steps,
        "saved_step": outcome.saved_step,
        "best_metric": outcome.best.as_ref().map(|best| &best.metric),
        "best_value": outcome.best.as_ref().map(|best| best.value),
        "before": metrics::json(&outcome.before),
        "after": metrics::json(&outcome.after),
        "train_loss": outcome.train_loss,
        "training_seconds": outcome.training_seconds,
        "evaluation_seconds": outcome.evaluation_seconds,
    })
}
