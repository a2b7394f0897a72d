//! Semantic textual similarity: how well scores of sentence pairs follow those that people gave.

mod correlation;

use matryo_data::SentencePairs;
use matryo_index::MatRef;
use matryo_model::{Embed, Role, SimilarityFn, pairwise_similarity};

use crate::{EvalError, Evaluator, Report};

pub use correlation::{pearson, spearman};

/// Settings with upstream's names and defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingSimilarityOptions {
    /// Prefixes the keys; empty by default.
    pub name: String,
    /// How the two embeddings of a pair are compared; several add the best of each correlation. Empty: cosine.
    pub similarity_fn_names: Vec<SimilarityFn>,
    /// The score function of the primary metric; `None`: the only one, or the best.
    pub main_similarity: Option<SimilarityFn>,
    /// Leading values of the embeddings to compare; `None`: all.
    pub truncate_dim: Option<usize>,
}

/// Semantics of sentence_transformers/evaluation/EmbeddingSimilarityEvaluator.py 5.7 without a precision: sentences are encoded as they
/// are, and Pearson's and Spearman's correlations (SciPy's) are those of the scores of pairs with the scores given.
///
/// Keys are `pearson_{function}` and `spearman_{function}`, then of several functions `pearson_max` and `spearman_max`.
pub struct EmbeddingSimilarityEvaluator {
    sentences1: Vec<String>,
    sentences2: Vec<String>,
    scores: Vec<f64>,
    options: EmbeddingSimilarityOptions,
}

impl EmbeddingSimilarityEvaluator {
    /// Measures on `pairs`.
    ///
    /// # Errors
    /// [`EvalError::NoScores`] without scores, [`EvalError::TooFewPairs`] below two pairs, and
    /// [`EvalError::MainScoreFunction`].
    pub fn new(
        pairs: SentencePairs,
        options: EmbeddingSimilarityOptions,
    ) -> Result<Self, EvalError> {
        let SentencePairs {
            sentences1,
            sentences2,
            scores,
        } = pairs;
        let scores = scores.ok_or(EvalError::NoScores)?;
        if scores.len() < 2 {
            return Err(EvalError::TooFewPairs {
                pairs: scores.len(),
            });
        }
        let mut options = options;
        if options.similarity_fn_names.is_empty() {
            options.similarity_fn_names = vec![options.main_similarity.unwrap_or_default()];
        }
        match options.main_similarity {
            Some(main) if !options.similarity_fn_names.contains(&main) => {
                Err(EvalError::MainScoreFunction { main })
            }
            _ => Ok(Self {
                sentences1,
                sentences2,
                scores,
                options,
            }),
        }
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.scores.len()
    }

    /// The report on embeddings `[pairs, dim]` of the first sentences and of the second. Panics on other shapes.
    pub fn measure(&self, first: MatRef<'_>, second: MatRef<'_>) -> Report {
        assert_eq!(
            (first.rows(), second.rows()),
            (self.pairs(), self.pairs()),
            "an embedding a sentence"
        );
        let scores_of = |function| -> Vec<f64> {
            pairwise_similarity(function, first, second)
                .into_iter()
                .map(f64::from)
                .collect()
        };
        let functions = &self.options.similarity_fn_names;
        let mut metrics = Vec::new();
        let (mut best_pearson, mut best_spearman) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for &function in functions {
            let scores = scores_of(function);
            let (pearson, spearman) = (
                pearson(&self.scores, &scores),
                spearman(&self.scores, &scores),
            );
            (best_pearson, best_spearman) =
                (best_pearson.max(pearson), best_spearman.max(spearman));
            metrics.extend([
                (format!("pearson_{function}"), pearson),
                (format!("spearman_{function}"), spearman),
            ]);
        }
        if functions.len() > 1 {
            metrics.extend([
                ("pearson_max".to_owned(), best_pearson),
                ("spearman_max".to_owned(), best_spearman),
            ]);
        }
        Report {
            name: self.options.name.clone(),
            primary: self.primary(),
            metrics,
        }
    }

    fn primary(&self) -> String {
        match (
            self.options.main_similarity,
            &self.options.similarity_fn_names[..],
        ) {
            (Some(function), _) | (None, &[function]) => format!("spearman_{function}"),
            _ => "spearman_max".to_owned(),
        }
    }
}

impl Evaluator for EmbeddingSimilarityEvaluator {
    fn check(&self, dim: usize) -> Result<(), EvalError> {
        match self.options.truncate_dim {
            Some(asked) if asked > dim => Err(EvalError::DimTooLarge {
                dim: asked,
                model_dim: dim,
            }),
            _ => Ok(()),
        }
    }

    fn run(&self, model: &dyn Embed) -> Result<Vec<Report>, EvalError> {
        self.check(model.dim())?;
        let embed = |sentences: &[String]| {
            let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
            model.embed(&sentences, Role::Plain)
        };
        let (a, b) = (embed(&self.sentences1)?, embed(&self.sentences2)?);
        let kept = self.options.truncate_dim.unwrap_or(a.cols());
        let (a, b) = (a.view().first_cols(kept), b.view().first_cols(kept));
        Ok(vec![self.measure(a, b)])
    }
}
