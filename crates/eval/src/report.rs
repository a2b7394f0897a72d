//! The trait of all evaluators, and their metrics as one list.

use matryo_model::Embed;

use crate::EvalError;

/// Metrics of one evaluator, keys as upstream names them, without the evaluator's name in front.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The evaluator's name, `dim_256`; prefixes the keys outside.
    pub name: String,
    /// Key of the metric that ranks checkpoints: `cosine_ndcg@10`.
    pub primary: String,
    /// In upstream's order.
    pub metrics: Vec<(String, f64)>,
}

/// Something that measures a model.
pub trait Evaluator: Send + Sync {
    /// Whether a model whose embeddings have `dim` values can be measured; to be asked before long work.
    fn check(&self, dim: usize) -> Result<(), EvalError> {
        let _ = dim;
        Ok(())
    }

    /// One report a dimension (or one in all).
    fn run(&self, model: &dyn Embed) -> Result<Vec<Report>, EvalError>;
}

impl Report {
    /// The value of a metric, by its key without the evaluator's name.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.metrics
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| *value)
    }

    /// `key` with the evaluator's name in front, if it has one.
    pub fn full_key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}_{key}", self.name)
        }
    }
}

/// The metrics of all reports under their full keys, `dim_256_cosine_ndcg@10`; several reports end with `sequential_score`, the
/// primary metric of the last, as upstream's SequentialEvaluator has it.
pub fn flatten(reports: &[Report]) -> Vec<(String, f64)> {
    let full = |report: &Report| {
        report
            .metrics
            .iter()
            .map(|(k, v)| (report.full_key(k), *v))
            .collect::<Vec<_>>()
    };
    let mut metrics: Vec<_> = reports.iter().flat_map(full).collect();
    if let [_, .., last] = reports {
        metrics.extend(
            last.get(&last.primary)
                .map(|score| ("sequential_score".to_owned(), score)),
        );
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, score: f64) -> Report {
        let metrics = vec![
            ("cosine_map@100".to_owned(), 0.5),
            ("cosine_ndcg@10".to_owned(), score),
        ];
        Report {
            name: name.to_owned(),
            primary: "cosine_ndcg@10".to_owned(),
            metrics,
        }
    }

    #[test]
    fn one_report_without_a_name_keeps_its_keys() {
        let keys: Vec<_> = flatten(&[report("", 0.25)])
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, ["cosine_map@100", "cosine_ndcg@10"]);
    }

    #[test]
    fn several_reports_end_with_the_last_primary() {
        let metrics = flatten(&[report("dim_8", 0.75), report("dim_4", 0.25)]);
        assert_eq!(metrics[0], ("dim_8_cosine_map@100".to_owned(), 0.5));
        assert_eq!(metrics[3], ("dim_4_cosine_ndcg@10".to_owned(), 0.25));
        assert_eq!(metrics[4], ("sequential_score".to_owned(), 0.25));
        assert_eq!(metrics.len(), 5);
    }
}
