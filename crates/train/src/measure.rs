//! What the model is measured on during training: one retrieval evaluation at every width.

use std::path::PathBuf;

use matryo_data::RetrievalData;
use matryo_eval::{
    Evaluator, InformationRetrievalEvaluator, InformationRetrievalOptions, Metric, PrimaryMetric,
    Report,
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
    /// Bytes of all texts.
    pub text_bytes: usize,
    /// Pairs of a query and a relevant document.
    pub relevant: usize,
    /// SHA-256 of the data.
    pub fingerprint: String,
}

impl Measure {
    /// The evaluation on `data` at the widths of the loss, or at the model's own, `dim`.
    pub fn new(
        config: &TrainConfig,
        path: PathBuf,
        data: RetrievalData,
        dim: usize,
    ) -> Result<Self, TrainError> {
        let dims = config.matryoshka_dims.clone().unwrap_or_else(|| vec![dim]);
        let (fingerprint, relevant) = (
            data.fingerprint(),
            data.relevant.values().map(|ids| ids.len()).sum(),
        );
        let text_bytes = data
            .queries
            .iter()
            .chain(&data.corpus)
            .map(|(_, text)| text.len())
            .sum();
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
        Ok(Self {
            evaluator,
            dims,
            path,
            queries,
            documents,
            relevant,
            fingerprint,
            text_bytes,
        })
    }

    /// Documents whose embeddings are held at a time.
    pub fn documents_at_once(&self) -> usize {
        self.documents
            .min(InformationRetrievalOptions::default().corpus_chunk_size)
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
                ks.iter()
                    .map(|k| format!("dim_{dim}_{function}_{}@{k}", metric.name()))
                    .collect()
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
            Err(TrainError::UnknownMetric {
                metric: metric.to_owned(),
                available,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{TrainConfig, Trainer};

    /// Five widths, two evaluations: every text goes through the tokenizer once.
    #[test]
    fn texts_are_tokenized_once_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let row = |i: usize| serde_json::json!({"anchor": format!("What happened in {i}?"), "positive": format!("Revenue rose in {i}.")});
        let data = dir.path().join("pairs.jsonl");
        std::fs::write(
            &data,
            (0..20).map(|i| format!("{}\n", row(i))).collect::<String>(),
        )
        .unwrap();
        let (base, data) = (
            matryo_testkit::tiny_bert().display().to_string(),
            data.display().to_string(),
        );
        let output = dir.path().join("out").display().to_string();
        let flags = [
            ("model", base),
            ("train_data", data.clone()),
            ("eval_data", data),
            ("output_dir", output),
            ("columns", "anchor,positive".to_owned()),
            ("loss", "MultipleNegativesRankingLoss".to_owned()),
            ("matryoshka_dims", "32,16,8,4,2".to_owned()),
        ];
        let flags: Vec<_> = flags
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let trainer = Trainer::new(TrainConfig::load(None, &flags).unwrap()).unwrap();
        let measure = trainer.measure.as_ref().unwrap();
        let first = measure.run(&trainer.model).unwrap();
        // The texts of the evaluation are those of the training data, which the memory plan has tokenized.
        let pipeline = trainer.model.pipeline();
        assert_eq!(
            pipeline.texts_tokenized(),
            measure.queries + measure.documents
        );
        assert_eq!(
            (measure.run(&trainer.model).unwrap(), first.len()),
            (first, 5)
        );
        assert_eq!(pipeline.texts_tokenized(), 40);
    }
}
