//! What an information-retrieval evaluator computes.

use matryo_model::SimilarityFn;

use super::{Metric, Ranking};
use crate::EvalError;

/// Settings with upstream's names and defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InformationRetrievalOptions {
    /// Prefixes the keys; empty by default.
    pub name: String,
    /// Leading values of the embeddings to compare, a report named `dim_{d}` each; `None`: whole embeddings, one report.
    pub dims: Option<Vec<usize>>,
    /// How queries and documents are compared.
    pub score_functions: Vec<SimilarityFn>,
    /// The score function of the primary metric; `None`: the one that does best.
    pub main_score_function: Option<SimilarityFn>,
    /// Which metric ranks checkpoints.
    pub primary: PrimaryMetric,
    /// Share of queries with a relevant document among the first k.
    pub accuracy_at_k: Vec<usize>,
    /// Share of relevant documents among the first k, and share of the relevant documents that is there.
    pub precision_recall_at_k: Vec<usize>,
    /// Normalised discounted cumulative gain.
    pub ndcg_at_k: Vec<usize>,
    /// Mean reciprocal rank.
    pub mrr_at_k: Vec<usize>,
    /// Mean average precision.
    pub map_at_k: Vec<usize>,
    /// Documents encoded at a time; bounds the memory.
    pub corpus_chunk_size: usize,
}

/// The metric that ranks checkpoints, at its largest k.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrimaryMetric {
    /// NDCG, as sentence-transformers has it since 3.1.
    #[default]
    Ndcg,
    /// MAP, as sentence-transformers 3.0 had it.
    Map,
}

impl Default for InformationRetrievalOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            dims: None,
            score_functions: vec![SimilarityFn::Cosine],
            main_score_function: None,
            primary: PrimaryMetric::Ndcg,
            accuracy_at_k: vec![1, 3, 5, 10],
            precision_recall_at_k: vec![1, 3, 5, 10],
            ndcg_at_k: vec![10],
            mrr_at_k: vec![10],
            map_at_k: vec![100],
            corpus_chunk_size: 50_000,
        }
    }
}

impl InformationRetrievalOptions {
    pub(super) fn validate(&self) -> Result<(), EvalError> {
        let positive = |setting, values: &[usize]| {
            let found = || format!("{values:?}");
            if values.is_empty() || values.contains(&0) {
                return Err(EvalError::Setting {
                    setting,
                    found: found(),
                    expected: "positive whole numbers",
                });
            }
            Ok(())
        };
        positive("accuracy_at_k", &self.accuracy_at_k)?;
        positive("precision_recall_at_k", &self.precision_recall_at_k)?;
        positive("ndcg_at_k", &self.ndcg_at_k)?;
        positive("mrr_at_k", &self.mrr_at_k)?;
        positive("map_at_k", &self.map_at_k)?;
        positive("corpus_chunk_size", &[self.corpus_chunk_size])?;
        self.dims
            .as_ref()
            .map_or(Ok(()), |dims| positive("dims", dims))?;
        self.validate_functions()
    }

    fn validate_functions(&self) -> Result<(), EvalError> {
        if self.score_functions.is_empty() {
            let found = "empty".to_owned();
            return Err(EvalError::Setting {
                setting: "score_functions",
                found,
                expected: "at least one",
            });
        }
        match self.main_score_function {
            Some(main) if !self.score_functions.contains(&main) => {
                Err(EvalError::MainScoreFunction { main })
            }
            _ => Ok(()),
        }
    }

    /// Every metric and its k, in the order of the report.
    pub(super) fn columns(&self) -> Vec<(Metric, usize)> {
        let lists = [
            (Metric::Accuracy, &self.accuracy_at_k),
            (Metric::Precision, &self.precision_recall_at_k),
            (Metric::Recall, &self.precision_recall_at_k),
            (Metric::Ndcg, &self.ndcg_at_k),
            (Metric::Mrr, &self.mrr_at_k),
            (Metric::Map, &self.map_at_k),
        ];
        lists
            .into_iter()
            .flat_map(|(metric, ks)| ks.iter().map(move |&k| (metric, k)))
            .collect()
    }

    /// Documents that have to be found for each query.
    pub(super) fn max_k(&self) -> usize {
        self.columns()
            .into_iter()
            .map(|(_, k)| k)
            .max()
            .unwrap_or(0)
    }

    /// The name of each report.
    pub(super) fn names(&self) -> Vec<String> {
        let Some(dims) = &self.dims else {
            return vec![self.name.clone()];
        };
        let prefix = if self.name.is_empty() {
            String::new()
        } else {
            format!("{}_", self.name)
        };
        dims.iter()
            .map(|dim| format!("{prefix}dim_{dim}"))
            .collect()
    }

    /// Key of the primary metric; among several score functions the best one's, the first by name if they are equal.
    pub(super) fn primary_key(&self, rankings: &[Ranking]) -> String {
        let (metric, ks) = match self.primary {
            PrimaryMetric::Ndcg => (Metric::Ndcg, &self.ndcg_at_k),
            PrimaryMetric::Map => (Metric::Map, &self.map_at_k),
        };
        let k = ks.iter().copied().max().unwrap_or(0);
        let function = self
            .main_score_function
            .unwrap_or_else(|| best_function(rankings, metric, k));
        format!("{function}_{metric}@{k}")
    }
}

fn best_function(rankings: &[Ranking], metric: Metric, k: usize) -> SimilarityFn {
    let average = |r: &Ranking| {
        r.metrics
            .iter()
            .find(|m| m.metric == metric && m.k == k)
            .map_or(0.0, |m| m.average())
    };
    let mut scored: Vec<_> = rankings.iter().map(|r| (r.function, average(r))).collect();
    scored.sort_by_key(|(function, _)| function.name());
    let best = scored
        .into_iter()
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(function, _)| function).unwrap_or_default()
}
