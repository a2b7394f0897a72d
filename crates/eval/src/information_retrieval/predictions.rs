//! What was found for each query, one JSON line each, as upstream's `write_predictions`.

use std::{fs, io::Write, path::Path};

use matryo_base::{FileError, write_atomic};
use matryo_index::Hit;
use serde_json::{Value, json};

use super::{Evaluation, InformationRetrievalEvaluator};
use crate::EvalError;

/// Writes `Information-Retrieval_evaluation[_{name}]_predictions_{score function}.jsonl` in `dir`, a file a score function, over any
/// that is there: `{"query_id", "query", "results": [{"corpus_id", "score"}, ...]}`, best first.
pub fn write_predictions(
    dir: &Path,
    evaluator: &InformationRetrievalEvaluator,
    evaluation: &Evaluation,
) -> Result<(), EvalError> {
    fs::create_dir_all(dir).map_err(FileError::new("create", dir))?;
    let name = &evaluation.report.name;
    let name = if name.is_empty() {
        String::new()
    } else {
        format!("_{name}")
    };
    for ranking in &evaluation.rankings {
        let path = dir.join(format!(
            "Information-Retrieval_evaluation{name}_predictions_{}.jsonl",
            ranking.function
        ));
        write_atomic(&path, |file| {
            let mut lines =
                (0..ranking.hits.len()).map(|query| line(evaluator, &ranking.hits, query));
            lines.try_for_each(|line| writeln!(file, "{line}"))
        })?;
    }
    Ok(())
}

fn line(evaluator: &InformationRetrievalEvaluator, hits: &[Vec<Hit>], query: usize) -> Value {
    let result = |hit: &Hit| {
        // An f32 shown with the digits of the f64 that equals it, as Python shows it.
        json!({ "corpus_id": evaluator.document_id(hit.row), "score": f64::from(hit.score) })
    };
    let results: Vec<_> = hits[query].iter().map(result).collect();
    let query = &evaluator.queries[query];
    json!({ "query_id": query.id, "query": query.text, "results": results })
}
