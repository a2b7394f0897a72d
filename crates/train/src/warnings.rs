//! What is allowed but deserves a word before hours are spent on it.

use matryo_data::{ColumnTokens, Findings, Rows};

use crate::{
    accumulation::{Accumulation, Length},
    config::{Compat, SamplerKind, TrainConfig},
    schedule::Schedule,
};

/// From this many queries on, one query is too small a part of a score to be mentioned.
const MANY_QUERIES: usize = 500;

/// What the warnings are about.
pub(crate) struct Subject<'a> {
    pub config: &'a TrainConfig,
    pub data: &'a dyn Rows,
    /// Whether the loss compares with labels, and not each row with the others of its batch.
    pub labelled: bool,
    pub findings: &'a Findings,
    pub tokens: &'a [ColumnTokens],
    /// Tokens of the longest text of each column that is not cut, in the order of `tokens`.
    pub limits: Vec<usize>,
    pub rules: &'a Accumulation,
    pub length: Length,
    pub schedule: &'a Schedule,
    /// Batches that the sampler makes of the first epoch.
    pub first_epoch: &'a [Vec<u32>],
    /// Queries of the evaluation.
    pub queries: Option<usize>,
}

/// One sentence each.
pub(crate) fn warnings(subject: &Subject<'_>) -> Vec<String> {
    let mut texts: Vec<String> = subject
        .findings
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    texts.extend(repeated_texts(subject));
    texts.extend(
        subject
            .tokens
            .iter()
            .zip(&subject.limits)
            .filter_map(|(column, limit)| truncated(column, *limit)),
    );
    let single = [
        idle_first_step,
        unreached_accumulation,
        lone_rows,
        rows_left_out,
        unused_data_seed,
        few_queries,
    ];
    texts.extend(single.iter().filter_map(|warning| warning(subject)));
    texts
}

/// In-batch negatives: a text that stands in two rows of a batch is a negative of its own pair.
fn repeated_texts(subject: &Subject<'_>) -> Vec<String> {
    if subject.labelled || subject.config.batch_sampler == SamplerKind::NoDuplicates {
        return Vec::new();
    }
    let rows = subject.findings.rows;
    let repeated = subject
        .findings
        .columns
        .iter()
        .filter(|column| column.distinct < rows);
    let warning = |column: &matryo_data::ColumnLengths| {
        format!(
            "column `{}` has {} different texts in {rows} rows: where one stands twice in a batch it is a negative of its \
             own pair; batch_sampler = \"no_duplicates\" keeps such rows apart",
            column.column, column.distinct
        )
    };
    repeated.map(warning).collect()
}

fn truncated(column: &ColumnTokens, limit: usize) -> Option<String> {
    let share = 100.0 * column.truncated as f64 / column.texts.max(1) as f64;
    (column.truncated > 0).then(|| {
        format!(
            "{} of {} texts in column `{}` ({share:.1} %) are longer than {limit} tokens and cut",
            column.truncated, column.texts, column.column
        )
    })
}

fn idle_first_step(subject: &Subject<'_>) -> Option<String> {
    let steps = subject.length.steps;
    (steps > 0 && subject.schedule.learning_rate(0) == 0.0).then(|| {
        format!("the first of {steps} optimizer steps has learning rate 0 and changes nothing")
    })
}

fn unreached_accumulation(subject: &Subject<'_>) -> Option<String> {
    let (wanted, found) = (subject.rules.accumulate, subject.rules.loader_len);
    if wanted <= found {
        return None;
    }
    let besides = match subject.config.compat {
        Compat::Current => "",
        Compat::V3_0 => ", and with 3.0 every such number of the whole run brings another step",
    };
    Some(format!(
        "{wanted} micro-batches per optimizer step are never reached: an epoch has {found}, and its last one brings the step\
         {besides}"
    ))
}

fn lone_rows(subject: &Subject<'_>) -> Option<String> {
    let alone =
        subject.config.per_device_train_batch_size == 1 && subject.data.columns().len() == 2;
    let alone = alone && !subject.labelled;
    alone.then(|| "a batch of one pair has nothing to tell apart: its loss is 0".to_owned())
}

fn rows_left_out(subject: &Subject<'_>) -> Option<String> {
    let made = subject.first_epoch.len();
    let trained = subject.rules.trained(made);
    let left_out: usize = subject.first_epoch[trained..].iter().map(Vec::len).sum();
    (left_out > 0).then(|| {
        format!(
            "repeated texts make {made} batches of the rows, of which an epoch trains on {trained}, as upstream does: {left_out} of \
             {} rows are left out of the first epoch",
            subject.data.len()
        )
    })
}

fn unused_data_seed(subject: &Subject<'_>) -> Option<String> {
    let config = subject.config;
    (config.data_seed.is_some() && config.batch_sampler == SamplerKind::NoDuplicates).then(|| {
        "data_seed has no effect on no_duplicates, whose order upstream does not seed".to_owned()
    })
}

fn few_queries(subject: &Subject<'_>) -> Option<String> {
    let queries = subject.queries.filter(|queries| *queries < MANY_QUERIES)?;
    Some(format!(
        "{queries} evaluation {} mean {:.1} points per query in accuracy@k: smaller differences say nothing",
        if queries == 1 { "query" } else { "queries" },
        100.0 / queries as f64
    ))
}
