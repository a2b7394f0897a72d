//! Building losses by name: what is refused and how, names, citations, checks.

use matryo_losses::{LOSSES, Loss, LossBatch, LossError, build};
use matryo_ops::{Mat, MatRef};
use matryo_testkit::{Tolerance, assert_close, pseudo_random};
use serde_json::{Value, json};

fn error(name: &str, parameters: Value) -> LossError {
    build(name, &parameters)
        .err()
        .expect("the parameters are refused")
}

fn message(name: &str, parameters: Value) -> String {
    let error = error(name, parameters);
    error
        .hint()
        .map_or(error.to_string(), |hint| format!("{error}; {hint}"))
}

const MNRL: &str = "MultipleNegativesRankingLoss";
const MATRYOSHKA: &str = "MatryoshkaLoss";

fn matryoshka(rest: Value) -> Value {
    let mut parameters = json!({ "loss": MNRL, "matryoshka_dims": [8, 4, 2] });
    rest.as_object()
        .unwrap()
        .iter()
        .for_each(|(k, v)| parameters[k] = v.clone());
    parameters
}

#[test]
fn unknown_names_point_to_the_nearest() {
    let near = message("MultipleNegativeRankingLoss", json!({}));
    assert_eq!(
        near,
        "unknown loss `MultipleNegativeRankingLoss`; did you mean `MultipleNegativesRankingLoss`?"
    );
    let far = message("x", json!({}));
    assert_eq!(
        far,
        "unknown loss `x`; there are MultipleNegativesRankingLoss, MatryoshkaLoss, CosineSimilarityLoss"
    );
    let inner = message(MATRYOSHKA, matryoshka(json!({ "loss": "MatryoshkaLos" })));
    assert_eq!(
        inner,
        "unknown loss `MatryoshkaLos`; did you mean `MatryoshkaLoss`?"
    );
}

#[test]
fn unknown_keys_point_to_the_nearest() {
    let text = message(MNRL, json!({ "similarity_fn": "cos_sim" }));
    assert_eq!(
        text,
        "MultipleNegativesRankingLoss has no parameter `similarity_fn`; did you mean `similarity_fct`?"
    );
}

#[test]
fn wrong_values_are_shown() {
    let cases = [
        (
            MNRL,
            json!({ "scale": 0 }),
            "`scale` of MultipleNegativesRankingLoss is 0, expected a positive number",
        ),
        (
            MNRL,
            json!({ "scale": "20" }),
            r#"`scale` of MultipleNegativesRankingLoss is "20", expected a positive number"#,
        ),
        (
            MNRL,
            json!({ "similarity_fct": "cosine" }),
            r#"`similarity_fct` of MultipleNegativesRankingLoss is "cosine", expected cos_sim or dot_score"#,
        ),
        (
            MNRL,
            json!([1]),
            "`parameters` of MultipleNegativesRankingLoss is [1], expected a table",
        ),
        (
            MATRYOSHKA,
            matryoshka(json!({ "matryoshka_dims": [] })),
            "`matryoshka_dims` of MatryoshkaLoss is [], expected a list of positive whole numbers",
        ),
        (
            MATRYOSHKA,
            matryoshka(json!({ "matryoshka_dims": [8, -4] })),
            "`matryoshka_dims` of MatryoshkaLoss is [8,-4], expected a list of positive whole numbers",
        ),
        (
            MATRYOSHKA,
            matryoshka(json!({ "n_dims_per_step": 0 })),
            "`n_dims_per_step` of MatryoshkaLoss is 0, expected -1 for all, or a positive whole number",
        ),
        (
            MATRYOSHKA,
            matryoshka(json!({ "matryoshka_weights": [1] })),
            "MatryoshkaLoss has 1 values in `matryoshka_weights` for 3 in `matryoshka_dims`",
        ),
        (
            MATRYOSHKA,
            json!({ "loss": MNRL }),
            "MatryoshkaLoss needs the parameter `matryoshka_dims`, a list of positive whole numbers",
        ),
    ];
    for (name, parameters, expected) in cases {
        assert_eq!(error(name, parameters).to_string(), expected);
    }
}

#[test]
fn upstream_parameters_are_taken_at_their_defaults_only() {
    let loss = build(MNRL, &json!({})).unwrap();
    assert!(
        build(MNRL, &loss.config()).is_ok(),
        "what a card prints can be given back"
    );
    let text = message(MNRL, json!({ "partition_mode": "per_direction" }));
    assert_eq!(
        text,
        "`partition_mode` of MultipleNegativesRankingLoss is \"per_direction\"; only \"joint\" is supported; leave `partition_mode` out"
    );
}

#[test]
fn dimensions_are_checked_against_the_model() {
    let loss = build(MATRYOSHKA, &matryoshka(json!({}))).unwrap();
    assert_eq!(loss.check(8), Ok(()));
    let error = loss.check(7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`matryoshka_dims` names 8, but the model's embeddings have 7 values"
    );
    assert_eq!(error.hint().unwrap(), "7 is the largest possible value");
}

#[test]
fn names_and_citations_go_from_the_outside_in() {
    let loss = build(MATRYOSHKA, &matryoshka(json!({}))).unwrap();
    assert_eq!(loss.names(), [MATRYOSHKA, MNRL]);
    let citations = loss.citations();
    assert_eq!(
        citations.iter().map(|c| c.0).collect::<Vec<_>>(),
        [MATRYOSHKA, MNRL]
    );
    assert!(
        citations
            .iter()
            .all(|(_, entry)| entry.starts_with("@misc{") && entry.ends_with('}'))
    );
}

#[test]
fn registered_names_are_the_losses_own() {
    for entry in LOSSES {
        let loss = build(entry.name, &json!({}))
            .or_else(|_| build(entry.name, &matryoshka(json!({}))))
            .unwrap();
        assert_eq!(loss.name(), entry.name);
        assert!(!entry.about.is_empty());
    }
}

fn gradient(loss: &dyn Loss, seed: u64) -> Vec<f32> {
    let columns: Vec<_> = (0..2)
        .map(|c| Mat::from_vec(4, 8, pseudo_random(32, c)))
        .collect();
    let views: Vec<MatRef<'_>> = columns.iter().map(Mat::view).collect();
    loss.eval(
        &*matryo_ops::cpu(),
        &LossBatch {
            columns: &views,
            labels: None,
            seed,
        },
    )
    .d_columns[0]
        .data()
        .to_vec()
}

#[test]
fn a_subset_of_dimensions_depends_on_the_seed_alone() {
    let one = build(MATRYOSHKA, &matryoshka(json!({ "n_dims_per_step": 1 }))).unwrap();
    let of_dim = |dim: usize| {
        let loss = build(MATRYOSHKA, &matryoshka(json!({ "matryoshka_dims": [dim] }))).unwrap();
        gradient(&*loss, 0)
    };
    let single = [8, 4, 2].map(of_dim);
    let mut drawn = [false; 3];
    for seed in 0..20 {
        let d = gradient(&*one, seed);
        assert_eq!(d, gradient(&*one, seed));
        drawn[single
            .iter()
            .position(|s| *s == d)
            .expect("one of the dimensions")] = true;
    }
    assert_eq!(drawn, [true; 3], "20 steps draw each of 3 dimensions");
    let all = build(MATRYOSHKA, &matryoshka(json!({ "n_dims_per_step": 3 }))).unwrap();
    let sum: Vec<f32> = (0..32).map(|i| single.iter().map(|s| s[i]).sum()).collect();
    assert_close(
        &gradient(&*all, 0),
        &sum,
        Tolerance::Relative(1e-6),
        "all dimensions are their sum",
    );
}
