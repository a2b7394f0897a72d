//! What the model is measured on during training: one retrieval evaluation at every width.

use std::path::PathBuf;

use matryo_data::RetrievalData;
use matryo_eval::{
    Evaluator, InformationRetrievalEvaluator, InformationRetrievalOptions, Metric, PrimaryMetric, Report,
};
use matryo_model::Embed;

use crate::{TrainConfig, TrainError, config::Compat};

/// The evaluation of a run.
pub(crate) struct Measure {
    evaluator: InformationRetrievalEvaluator,
    /// Widths, in the order of the reports.
    pub dims: Vec<usize>,
    /// Where the data came from.
    pub path: PathBuf,
    /// Queries that count.
    pub queries: usize,
    /// Documents that are searched.
    pub documents: usize,
    /// Pairs of a query and a relevant document.
    pub relevant: usize,
    /// SHA-256 of the data.
    pub fingerprint: String,
}

impl Measure {
    /// The evaluation on `data` at the widths of the loss, or at the model's own, `dim`.
    pub fn new(config: &TrainConfig, path: PathBuf, data: RetrievalData, dim: usize) -> Result<Self, TrainError> {
        let dims = config.matryoshka_dims.clone().unwrap_or_else(|| vec![dim]);
        let (fingerprint, relevant) = (data.fingerprint(), data.relevant.values().map(|ids| ids.len()).sum());
        let options = InformationRetrievalOptions {
            dims: Some(dims.clone()),
            primary: match config.compat {
                Compat::Current => PrimaryMetric::Ndcg,
                Compat::V3_0 => PrimaryMetric::Map,
            },
            ..InformationRetrievalOptions::default()
        };
        let metrics = metric_keys(&options, &dims);
        let evaluator = InformationRetrievalEvaluator::new(data, options)?;
        evaluator.check(dim)?;
        check_best(config, metrics)?;
        let (queries, documents) = (evaluator.query_ids().len(), evaluator.documents());
        Ok(Self { evaluator, dims, path, queries, documents, relevant, fingerprint })
    }

    /// Measures the model as it stands.
    pub fn run(&self, model: &dyn Embed) -> Result<Vec<Report>, TrainError> {
        Ok(self.evaluator.run(model)?)
    }
}

/// The keys of all metrics that an evaluation gives.
fn metric_keys(options: &InformationRetrievalOptions, dims: &[usize]) -> Vec<String> {
    let lists = [
        (Metric::Accuracy, &options.accuracy_at_k),
        (Metric::Precision, &options.precision_recall_at_k),
        (Metric::Recall, &options.precision_recall_at_k),
        (Metric::Ndcg, &options.ndcg_at_k),
        (Metric::Mrr, &options.mrr_at_k),
        (Metric::Map, &options.map_at_k),
    ];
    let mut keys = Vec::new();
    for dim in dims {
        for function in &options.score_functions {
            let of = |(metric, ks): (Metric, &Vec<usize>)| -> Vec<String> {
                ks.iter().map(|k| format!("dim_{dim}_{function}_{}@{k}", metric.name())).collect()
            };
            keys.extend(lists.into_iter().flat_map(of));
        }
    }
    if dims.len() > 1 {
        keys.push("sequential_score".to_owned());
    }
    keys
}

fn check_best(config: &TrainConfig, available: Vec<String>) -> Result<(), TrainError> {
    match config.best_metric_key() {
        Some(metric) if !available.iter().any(|key| key == metric) => {
            Err(TrainError::UnknownMetric { metric: metric.to_owned(), available })
        }
        _ => Ok(()),
    }
}
