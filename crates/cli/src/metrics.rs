//! Reports of evaluations as JSON, and as a table with a row per dimension.

use matryo_eval::Report;
use serde_json::{Map, Value};

use crate::table;

/// Metrics worth a column, without the score function in front.
const COLUMNS: [&str; 5] = ["accuracy@1", "accuracy@10", "ndcg@10", "mrr@10", "map@100"];
/// Fewer, where each cell holds two values.
const COMPARED_COLUMNS: [&str; 4] = ["accuracy@1", "ndcg@10", "mrr@10", "map@100"];

/// `{"dim_256": {"cosine_accuracy@1": 0.7, ...}, ...}`.
pub fn json(reports: &[Report]) -> Value {
    let entry = |report: &Report| {
        let metrics = report
            .metrics
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(*value)));
        (report.name.clone(), Value::Object(metrics.collect()))
    };
    Value::Object(reports.iter().map(entry).collect::<Map<_, _>>())
}

/// A row per dimension and score function.
pub fn table(reports: &[Report]) -> String {
    let cell = |report: &Report, key: &str| report.get(key).map_or_else(String::new, decimals);
    rows(reports, &COLUMNS, cell)
}

/// As [`table`], with the values of `before` in front of each.
pub fn comparison(before: &[Report], after: &[Report]) -> String {
    let earlier =
        |report: &Report, key: &str| before.iter().find(|b| b.name == report.name)?.get(key);
    let cell = |report: &Report, key: &str| match (earlier(report, key), report.get(key)) {
        (Some(before), Some(after)) => format!("{} → {}", decimals(before), decimals(after)),
        (_, after) => after.map_or_else(String::new, decimals),
    };
    rows(after, &COMPARED_COLUMNS, cell)
}

fn rows(reports: &[Report], columns: &[&str], cell: impl Fn(&Report, &str) -> String) -> String {
    let functions = score_functions(reports);
    let several = functions.len() > 1;
    let mut header = vec![String::from("dimension")];
    header.extend(columns.iter().map(|column| (*column).to_owned()));
    let mut lines = Vec::new();
    for report in reports {
        for function in &functions {
            let dim = report.name.trim_start_matches("dim_");
            let mut line = vec![if several {
                format!("{dim} {function}")
            } else {
                dim.to_owned()
            }];
            line.extend(
                columns
                    .iter()
                    .map(|column| cell(report, &format!("{function}_{column}"))),
            );
            lines.push(line);
        }
    }
    table::render(&header, &lines)
}

/// What stands in front of the metrics' names, in their order.
fn score_functions(reports: &[Report]) -> Vec<String> {
    let mut functions = Vec::new();
    let keys = reports.first().map_or(&[][..], |report| &report.metrics);
    for (key, _) in keys {
        let function = key.split_once('_').map_or("", |(function, _)| function);
        if !functions.iter().any(|known| known == function) {
            functions.push(function.to_owned());
        }
    }
    functions
}

fn decimals(value: f64) -> String {
    format!("{value:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, ndcg: f64) -> Report {
        let metrics = vec![
            ("cosine_ndcg@10".to_owned(), ndcg),
            ("cosine_recall@3".to_owned(), 0.5),
        ];
        Report {
            name: name.to_owned(),
            primary: "cosine_ndcg@10".to_owned(),
            metrics,
        }
    }

    #[test]
    fn a_table_has_a_row_per_dimension() {
        let text = table(&[report("dim_32", 0.71239), report("dim_8", 0.5)]);
        assert!(
            text.lines()
                .any(|l| l.trim_start().starts_with("32 ") && l.contains("0.7124")),
            "{text}"
        );
        assert!(
            text.lines()
                .any(|l| l.trim_start().starts_with("8 ") && l.contains("0.5000")),
            "{text}"
        );
        assert!(!text.contains("recall"), "{text}");
    }

    #[test]
    fn a_comparison_shows_both_values() {
        let text = comparison(&[report("dim_8", 0.25)], &[report("dim_8", 0.5)]);
        assert!(text.contains("0.2500 → 0.5000"), "{text}");
    }

    #[test]
    fn json_keeps_every_digit_and_key() {
        let value = json(&[report("dim_8", 0.1 + 0.2)]);
        assert_eq!(
            value.to_string(),
            r#"{"dim_8":{"cosine_ndcg@10":0.30000000000000004,"cosine_recall@3":0.5}}"#
        );
    }
}
