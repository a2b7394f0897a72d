//! View of the section "Evaluation": before against after, then one table a report.

use minijinja::{Value, context};

use super::{
    CardData, Compat, ReportCard, Training,
    markdown::{Align, indented, inline, table},
    python,
};

/// `None` if nothing was measured.
pub(super) fn evaluation(card: &CardData) -> Option<Value> {
    let reports = card.reports();
    if reports.is_empty() {
        return None;
    }
    let views: Vec<Value> = reports
        .iter()
        .map(|report| report_view(report, card.compat))
        .collect();
    Some(context! {
        reports => views,
        before_after => card.training.as_ref().and_then(|training| before_after(training, reports)),
    })
}

fn report_view(report: &ReportCard, compat: Compat) -> Value {
    let module = match compat {
        Compat::Current => "sentence_transformers.sentence_transformer.evaluation",
        Compat::V3_0 => "sentence_transformers.evaluation",
    };
    let config =
        (compat == Compat::Current && !report.config.is_null()).then(|| json_block(&report.config));
    context! {
        task => inline(&report.task),
        name => inline(&report.name),
        evaluator => &report.evaluator,
        module => module,
        config => config,
        table => metric_table(report),
    }
}

/// Keys and values rounded to 4 decimals, the primary one bold.
fn metric_table(report: &ReportCard) -> String {
    let row = |(key, value): &(String, f64)| {
        let cells = [key.clone(), python::rounded(*value, 4)];
        let bold = *key == report.primary;
        cells
            .map(|cell| if bold { format!("**{cell}**") } else { cell })
            .to_vec()
    };
    let rows: Vec<Vec<String>> = report.metrics.iter().map(row).collect();
    table(
        &["Metric".to_owned(), "Value".to_owned()],
        &rows,
        Align::Left,
    )
}

/// The primary metric of the base model and of the saved one; `None` unless both were measured.
fn before_after(training: &Training, after: &[ReportCard]) -> Option<String> {
    let row = |report: &ReportCard| {
        let before = training
            .before
            .iter()
            .find(|b| b.name == report.name && b.primary == report.primary)?;
        let (old, new) = (before.primary_value()?, report.primary_value()?);
        Some(vec![
            report.primary_key(),
            format!("{old:.4}"),
            format!("{new:.4}"),
            format!("{:+.4}", new - old),
        ])
    };
    let rows: Vec<Vec<String>> = after.iter().filter_map(row).collect();
    let header = ["Metric", "Base model", "This model", "Change"].map(str::to_owned);
    (!rows.is_empty()).then(|| table(&header, &rows, Align::Left))
}

/// A fenced JSON block for a list item, indented by 4 as Python's `json.dumps(.., indent=4)` lays it out.
pub(super) fn json_block(value: &serde_json::Value) -> String {
    let mut json = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, formatter);
    serde::Serialize::serialize(value, &mut serializer).expect("a JSON value writes to memory");
    indented(&format!("```json\n{}\n```", String::from_utf8_lossy(&json)))
}
