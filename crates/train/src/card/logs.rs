//! View of "Training Logs": one row a logged step, the saved one bold.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::{
    CardData, Compat, ReportCard, Training,
    markdown::{Align, table},
    python,
};

/// Longer tables are folded away.
const FOLDED_FROM: usize = 100;

/// What is known of one step.
#[derive(Default)]
struct Row {
    epoch: f64,
    loss: Option<f64>,
    metrics: Vec<(String, f64)>,
}

/// `None` if nothing was logged.
pub(super) fn logs(card: &CardData) -> Option<Value> {
    let training = card.training.as_ref()?;
    let rows = rows(training);
    (!rows.is_empty()).then(|| {
        context! {
            table => log_table(&rows, training.saved_step, card.compat),
            folded => rows.len() > FOLDED_FROM,
            has_saved => rows.contains_key(&training.saved_step),
        }
    })
}

/// Losses and primary metrics by step; the base model is step 0.
fn rows(training: &Training) -> BTreeMap<u64, Row> {
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    if !training.before.is_empty() {
        rows.insert(
            0,
            Row {
                metrics: primaries(&training.before),
                ..Row::default()
            },
        );
    }
    for logged in &training.losses {
        let row = rows.entry(logged.step).or_default();
        (row.epoch, row.loss) = (logged.epoch, Some(logged.loss));
    }
    for evaluation in &training.evaluations {
        let row = rows.entry(evaluation.step).or_default();
        (row.epoch, row.metrics) = (evaluation.epoch, primaries(&evaluation.reports));
    }
    rows
}

fn primaries(reports: &[ReportCard]) -> Vec<(String, f64)> {
    reports
        .iter()
        .filter_map(|report| Some((report.primary_key(), report.primary_value()?)))
        .collect()
}

fn log_table(rows: &BTreeMap<u64, Row>, saved_step: u64, compat: Compat) -> String {
    let columns = metric_columns(rows, compat);
    let has_loss = rows.values().any(|row| row.loss.is_some());
    let mut header = vec!["Epoch".to_owned(), "Step".to_owned()];
    header.extend(has_loss.then(|| "Training Loss".to_owned()));
    header.extend(columns.iter().cloned());
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|(&step, row)| line(step, row, &columns, has_loss, step == saved_step))
        .collect();
    table(&header, &lines, Align::Center)
}

/// In order of evaluation; 3.0 sorts the names as strings.
fn metric_columns(rows: &BTreeMap<u64, Row>, compat: Compat) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for (name, _) in rows.values().flat_map(|row| &row.metrics) {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    if compat == Compat::V3_0 {
        columns.sort();
    }
    columns
}

fn line(step: u64, row: &Row, columns: &[String], has_loss: bool, saved: bool) -> Vec<String> {
    let float = |v: f64| {
        if saved {
            python::rounded(v, 4)
        } else {
            python::log_float(v)
        }
    };
    let cell = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), float);
    let metric = |name: &String| {
        cell(
            row.metrics
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| *value),
        )
    };
    let mut cells = vec![
        if step == 0 {
            "0".to_owned()
        } else {
            float(row.epoch)
        },
        step.to_string(),
    ];
    cells.extend(has_loss.then(|| cell(row.loss)));
    cells.extend(columns.iter().map(metric));
    cells
        .into_iter()
        .map(|cell| if saved { format!("**{cell}**") } else { cell })
        .collect()
}
