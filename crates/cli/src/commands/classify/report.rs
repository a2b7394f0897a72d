//! A report on a classifier for people.

use std::io::Write;

use matryo_classify::{CalibrationBin, ClassReport, ClassificationReport};

use crate::{console::Console, error::CliError, progress::grouped, stdout, table};

/// Worst classes that are shown.
const CLASSES: usize = 10;
/// Unknown labels that are named.
const UNKNOWN: usize = 5;

/// Prints measures, reliability, worst classes.
pub fn print(report: &ClassificationReport) -> Result<(), CliError> {
    let mut rows = vec![("examples".to_owned(), grouped(report.examples as u64))];
    rows.extend(
        report
            .metrics()
            .map(|(key, value)| (key.to_owned(), format!("{value:.4}"))),
    );
    stdout::print(|out| {
        writeln!(
            out,
            "{}\n{}",
            table::pairs(&rows),
            reliability(&report.calibration)
        )?;
        worst(&report.classes).map_or(Ok(()), |worst| writeln!(out, "\n{worst}"))
    })
}

/// Tells of labels in the data that the classifier does not know.
pub fn warn_unknown(report: &ClassificationReport, console: &Console) {
    let unknown = &report.unknown_labels;
    if unknown.is_empty() {
        return;
    }
    let texts: usize = unknown.iter().map(|(_, count)| count).sum();
    let named: Vec<String> = unknown
        .iter()
        .take(UNKNOWN)
        .map(|(label, _)| format!("`{label}`"))
        .collect();
    let more = if unknown.len() > UNKNOWN { ", ..." } else { "" };
    console.warn(&format!(
        "{texts} of {} texts have labels that the classifier does not know and count as wrong: {}{more}",
        report.examples,
        named.join(", ")
    ));
}

/// A row a bin that has texts.
fn reliability(bins: &[CalibrationBin]) -> String {
    let header = ["confidence", "texts", "mean confidence", "accuracy"].map(str::to_owned);
    let row = |bin: &CalibrationBin| {
        vec![
            format!("{:.2} to {:.2}", bin.from, bin.to),
            grouped(bin.count as u64),
            format!("{:.4}", bin.confidence),
            format!("{:.4}", bin.accuracy),
        ]
    };
    let rows: Vec<_> = bins.iter().filter(|bin| bin.count > 0).map(row).collect();
    table::render(&header, &rows)
}

/// The classes of least F1, worst first; `None` if nothing is wrong.
fn worst(classes: &[ClassReport]) -> Option<String> {
    let mut wrong: Vec<&ClassReport> = classes.iter().filter(|class| class.f1 < 1.0).collect();
    wrong.sort_by(|a, b| a.f1.total_cmp(&b.f1));
    wrong.truncate(CLASSES);
    let header = [
        "worst classes",
        "texts",
        "precision",
        "recall",
        "f1",
        "most often taken for",
    ]
    .map(str::to_owned);
    let row = |class: &&ClassReport| {
        let taken = class.taken_for.first();
        vec![
            class.label.clone(),
            grouped(class.support as u64),
            format!("{:.4}", class.precision),
            format!("{:.4}", class.recall),
            format!("{:.4}", class.f1),
            taken.map_or_else(String::new, |other| {
                format!("{} ({})", other.label, grouped(other.count as u64))
            }),
        ]
    };
    (!wrong.is_empty()).then(|| table::render(&header, &wrong.iter().map(row).collect::<Vec<_>>()))
}
