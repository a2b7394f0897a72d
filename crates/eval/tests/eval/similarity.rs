//! The evaluator of sentence pairs against upstream's, on fixed embeddings.

use std::path::PathBuf;

use matryo_data::SentencePairs;
use matryo_eval::{
    EmbeddingSimilarityEvaluator, EmbeddingSimilarityOptions, EvalError, Evaluator, flatten,
};
use matryo_index::Mat;
use matryo_model::{Embed, ModelError, Role, SimilarityFn};
use matryo_testkit::{Tensor, Tolerance, assert_close, read_json, read_safetensors};
use serde_json::Value;

/// Scores are rounded to single precision in another order than upstream's.
const TOLERANCE: Tolerance = Tolerance::Absolute(1e-6);

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

/// Knows the rows of `a0`, `a1`... and `b0`, `b1`...
struct Stub {
    first: Tensor,
    second: Tensor,
}

impl Stub {
    fn row(&self, text: &str) -> &[f32] {
        let (tensor, i) = match text.strip_prefix('a') {
            Some(number) => (&self.first, number),
            None => (&self.second, &text[1..]),
        };
        let (_, cols) = tensor.rows_cols();
        &tensor.data[i.parse::<usize>().unwrap() * cols..][..cols]
    }
}

impl Embed for Stub {
    fn dim(&self) -> usize {
        self.first.rows_cols().1
    }

    fn embed(&self, texts: &[&str], role: Role) -> Result<Mat, ModelError> {
        assert_eq!(role, Role::Plain);
        let rows = texts
            .iter()
            .flat_map(|text| self.row(text).to_vec())
            .collect();
        Ok(Mat::from_vec(texts.len(), self.dim(), rows))
    }
}

fn data() -> (SentencePairs, Stub) {
    let mut tensors = read_safetensors(golden("similarity.safetensors"));
    let mut take = |name: &str| tensors.remove(name).unwrap();
    let (first, second, scores) = (take("first"), take("second"), take("scores"));
    let names = |side: char| {
        (0..scores.data.len())
            .map(|i| format!("{side}{i}"))
            .collect()
    };
    let pairs = SentencePairs {
        sentences1: names('a'),
        sentences2: names('b'),
        scores: Some(scores.data.iter().map(|&score| score.into()).collect()),
    };
    (pairs, Stub { first, second })
}

fn options(case: &Value) -> EmbeddingSimilarityOptions {
    let function = |name: &Value| name.as_str().unwrap().parse::<SimilarityFn>().unwrap();
    EmbeddingSimilarityOptions {
        name: case["name"].as_str().unwrap_or_default().to_owned(),
        similarity_fn_names: case["similarity_fn_names"]
            .as_array()
            .into_iter()
            .flatten()
            .map(function)
            .collect(),
        main_similarity: case["main_similarity"]
            .is_string()
            .then(|| function(&case["main_similarity"])),
        truncate_dim: case["truncate_dim"].as_u64().map(|dim| dim as usize),
    }
}

#[test]
fn correlations_and_their_order_equal_upstream() {
    let (pairs, model) = data();
    for case in read_json(golden("similarity.json")).as_array().unwrap() {
        let evaluator = EmbeddingSimilarityEvaluator::new(pairs.clone(), options(case)).unwrap();
        let reports = evaluator.run(&model).unwrap();
        let (metrics, expected) = (flatten(&reports), case["metrics"].as_object().unwrap());
        let keys: Vec<_> = metrics.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, expected.keys().collect::<Vec<_>>());
        let values: Vec<_> = metrics.iter().map(|(_, value)| *value).collect();
        let upstream: Vec<_> = expected
            .values()
            .map(|value| value.as_f64().unwrap())
            .collect();
        assert_close(
            &values,
            &upstream,
            TOLERANCE,
            &format!("{}", case["primary"]),
        );
        assert_eq!(
            reports[0].full_key(&reports[0].primary),
            case["primary"].as_str().unwrap()
        );
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let refused = |pairs, options| {
        EmbeddingSimilarityEvaluator::new(pairs, options)
            .err()
            .expect("an error")
    };
    let default = EmbeddingSimilarityOptions::default;
    let unscored = SentencePairs {
        scores: None,
        ..data().0
    };
    assert!(matches!(refused(unscored, default()), EvalError::NoScores));
    let one = SentencePairs {
        sentences1: vec!["a0".into()],
        sentences2: vec!["b0".into()],
        scores: Some(vec![1.0]),
    };
    assert_eq!(
        refused(one, default()).to_string(),
        "1 pair has no correlation, expected at least 2"
    );
    let options = EmbeddingSimilarityOptions {
        similarity_fn_names: vec![SimilarityFn::Dot],
        main_similarity: Some(SimilarityFn::Cosine),
        ..default()
    };
    assert!(matches!(
        refused(data().0, options),
        EvalError::MainScoreFunction { .. }
    ));
    let (pairs, model) = data();
    let options = EmbeddingSimilarityOptions {
        truncate_dim: Some(13),
        ..default()
    };
    let error = EmbeddingSimilarityEvaluator::new(pairs, options)
        .unwrap()
        .run(&model)
        .unwrap_err();
    assert!(matches!(
        error,
        EvalError::DimTooLarge {
            dim: 13,
            model_dim: 12
        }
    ));
}
