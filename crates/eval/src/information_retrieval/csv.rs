//! The CSV file of an information-retrieval evaluator, with upstream's name, columns and numbers.

use std::{fs, io::Write, path::Path};

use matryo_base::{FileError, write_atomic};

use super::Metric;
use crate::{EvalError, Report, python_float};

/// One column of the file.
#[derive(Clone, Copy)]
struct Column<'a> {
    function: &'a str,
    metric: Metric,
    k: &'a str,
    value: f64,
}

/// Adds a line to `Information-Retrieval_evaluation[_{name}]_results.csv` in `dir`; makes folder, file and header where they are
/// missing. The file is replaced as a whole, so that an interruption leaves no half line.
pub fn write_csv(dir: &Path, report: &Report, epoch: f64, step: u64) -> Result<(), EvalError> {
    fs::create_dir_all(dir).map_err(FileError::new("create", dir))?;
    let name = if report.name.is_empty() {
        String::new()
    } else {
        format!("_{}", report.name)
    };
    let path = dir.join(format!(
        "Information-Retrieval_evaluation{name}_results.csv"
    ));
    let columns = columns(report)?;
    let header = columns.iter().fold("epoch,steps".to_owned(), |line, c| {
        format!("{line},{}", c.header())
    });
    let start = format!("{},{step}", python_float(epoch));
    let line = columns
        .iter()
        .fold(start, |line, c| format!("{line},{}", python_float(c.value)));
    let before = existing(&path, &header)?.unwrap_or_else(|| format!("{header}\n"));
    Ok(write_atomic(&path, |file| {
        writeln!(file, "{before}{line}")
    })?)
}

/// The file as it is, if it is there; its columns must be those of `header`.
fn existing(path: &Path, header: &str) -> Result<Option<String>, EvalError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(FileError::new("read", path))?;
    match text.lines().next() {
        None => Ok(None),
        Some(found) if found == header => Ok(Some(if text.ends_with('\n') {
            text
        } else {
            text + "\n"
        })),
        Some(found) => Err(EvalError::CsvColumns {
            path: path.to_owned(),
            found: found.to_owned(),
            expected: header.to_owned(),
        }),
    }
}

/// The columns in upstream's order: score functions by name; accuracy, precision and recall in turns, MRR, NDCG, MAP.
fn columns(report: &Report) -> Result<Vec<Column<'_>>, EvalError> {
    let columns = report
        .metrics
        .iter()
        .map(Column::parse)
        .collect::<Result<Vec<_>, _>>()?;
    let mut functions: Vec<_> = columns.iter().map(|column| column.function).collect();
    functions.sort_unstable();
    functions.dedup();
    let of = |function, metric| {
        columns
            .iter()
            .copied()
            .filter(move |c| c.function == function && c.metric == metric)
    };
    let of_function = |function| {
        let turns = of(function, Metric::Precision)
            .zip(of(function, Metric::Recall))
            .flat_map(|(p, r)| [p, r]);
        let rest = [Metric::Mrr, Metric::Ndcg, Metric::Map]
            .into_iter()
            .flat_map(|metric| of(function, metric));
        of(function, Metric::Accuracy)
            .chain(turns)
            .chain(rest)
            .collect::<Vec<_>>()
    };
    Ok(functions.into_iter().flat_map(of_function).collect())
}

impl<'a> Column<'a> {
    /// Takes `cosine_ndcg@10` apart.
    fn parse((key, value): &'a (String, f64)) -> Result<Self, EvalError> {
        let parts = || {
            let (function, rest) = key.split_once('_')?;
            let (name, k) = rest.split_once('@')?;
            let metric = Metric::ALL
                .into_iter()
                .find(|metric| metric.name() == name)?;
            Some(Self {
                function,
                metric,
                k,
                value: *value,
            })
        };
        parts().ok_or_else(|| EvalError::NotRetrieval { key: key.clone() })
    }

    fn header(&self) -> String {
        let name = match self.metric {
            Metric::Accuracy => "Accuracy",
            Metric::Precision => "Precision",
            Metric::Recall => "Recall",
            Metric::Ndcg => "NDCG",
            Metric::Mrr => "MRR",
            Metric::Map => "MAP",
        };
        format!("{}-{name}@{}", self.function, self.k)
    }
}
