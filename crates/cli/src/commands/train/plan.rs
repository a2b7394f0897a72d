//! What is going to run, in a few lines.

use matryo_model::limit;
use matryo_train::{
    config::Prompts,
    events::{MemoryPlan, RunPlan},
};

use crate::progress::grouped;

/// (what, facts) for people.
pub fn describe(plan: &RunPlan) -> Vec<(String, String)> {
    let mut rows = vec![
        ("model", model(plan)),
        ("data", data(plan)),
        ("loss", nested(&plan.loss)),
        ("steps", steps(plan)),
        ("evaluation", evaluation(plan)),
        ("runs on", format!("{}; {}", plan.device, plan.precision)),
        ("memory", memory(&plan.memory)),
        ("output", plan.config.output_dir.display().to_string()),
    ];
    if let Some(prompts) = &plan.config.prompts {
        rows.push(("prompts", describe_prompts(prompts)));
    }
    if let Some(mapping) = &plan.config.router_mapping {
        let each: Vec<String> = mapping
            .iter()
            .map(|(column, route)| format!("{column}: {route}"))
            .collect();
        rows.push(("routes", each.join(", ")));
    }
    if let Some(rates) = &plan.config.learning_rate_mapping {
        let each = rates
            .0
            .iter()
            .map(|(pattern, rate)| format!("{pattern}: {rate}"));
        rows.push(("rates", each.collect::<Vec<_>>().join(", ")));
    }
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn model(plan: &RunPlan) -> String {
    let trained = if plan.trainable == plan.parameters {
        "all trained".to_owned()
    } else {
        format!("{} trained", grouped(plan.trainable as u64))
    };
    let longest = match limit(plan.max_seq_length) {
        Some(tokens) => format!("texts up to {tokens} tokens"),
        None => "texts of any length".to_owned(),
    };
    format!(
        "{} ({} wide, {} parameters, {trained}, {longest})",
        plan.config.model,
        plan.dim,
        grouped(plan.parameters as u64),
    )
}

fn data(plan: &RunPlan) -> String {
    let columns = plan.columns.join(", ");
    format!(
        "{} ({} rows of {columns})",
        plan.config.train_data.display(),
        grouped(plan.rows as u64)
    )
}

/// `A(B)`, from the outside in.
fn nested(names: &[&str]) -> String {
    names.join("(") + &")".repeat(names.len().saturating_sub(1))
}

fn steps(plan: &RunPlan) -> String {
    let config = &plan.config;
    let warmup = if plan.warmup_steps > 0 {
        format!(", warm-up {}", plan.warmup_steps)
    } else {
        String::new()
    };
    let resumed = plan
        .resumed_step
        .map_or_else(String::new, |step| format!(", going on from step {step}"));
    format!(
        "{} ({} batches of {} rows an epoch, {} to a step{warmup}){resumed}",
        grouped(plan.steps),
        grouped(plan.batches_per_epoch),
        config.per_device_train_batch_size,
        config.gradient_accumulation_steps
    )
}

fn evaluation(plan: &RunPlan) -> String {
    let Some((queries, documents)) = plan.evaluation else {
        return "none".to_owned();
    };
    let dims: Vec<String> = plan.dims.iter().map(ToString::to_string).collect();
    format!(
        "{} queries over {} documents, at {}",
        grouped(queries as u64),
        grouped(documents as u64),
        dims.join(", ")
    )
}

/// The sum first, then its large parts, largest first.
fn memory(memory: &MemoryPlan) -> String {
    let mut parts = [
        ("activations", memory.activations + memory.working),
        ("weights", memory.parameters),
        ("gradients and moments", memory.optimizer),
        ("other", memory.process + memory.texts + memory.evaluation),
    ];
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let parts = parts.map(|(name, bytes)| format!("{name} {}", mebibytes(bytes)));
    format!(
        "about {} MiB at the peak ({})",
        mebibytes(memory.total()),
        parts.join(", ")
    )
}

fn mebibytes(bytes: usize) -> String {
    grouped(bytes as u64 >> 20)
}

fn describe_prompts(prompts: &Prompts) -> String {
    match prompts {
        Prompts::All(prompt) => format!("{prompt:?}"),
        Prompts::PerColumn(prompts) => {
            let each: Vec<String> = prompts
                .iter()
                .map(|(column, prompt)| format!("{column}: {prompt:?}"))
                .collect();
            each.join(", ")
        }
    }
}
